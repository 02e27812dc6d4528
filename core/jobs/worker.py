"""Work that is done later, surely and with bounds: a lease while it runs, at most three attempts, then quarantine.

Does not know what the work is. Invariants: a job is enqueued in the transaction of the decision it follows from; a worker
that dies loses its lease and the job is tried again; one that cannot keep its lease stops before another gets the job, and
whatever it still writes is refused; a handler gets the same job more than once and must bear it; one bad job, whether it
fails, hangs or kills its worker, never holds up those behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from core.clock import Clock
from core.db.engine import Database
from core.errors import NotFound, Unavailable
from core.ids import IdMaker
from core.jobs import store
from core.jobs.store import MAX_ATTEMPTS, Job

LEASE_S = 30.0
POLL_S = 2.0
LONGEST_S = 3600.0
PAUSES_S = (2.0, 15.0)
Handler = Callable[[Job], Awaitable[None]]
Given = Callable[[Job, str], Awaitable[None]]


class LeaseLost(Exception):
    """The job is, or may be, another worker's now."""


class JobQueue:
    """`enqueue` in a transaction, `run` in one or more places; `on_quarantine` is told of jobs that are given up (it can
    be told twice). `longest_s`: a handler that takes longer has failed."""

    def __init__(
        self, database: Database, clock: Clock, ids: IdMaker, *, lease_s: float = LEASE_S, longest_s: float = LONGEST_S
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._lease_s = lease_s
        self._longest_s = longest_s
        self._news = asyncio.Event()
        self._in_hand = 0
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.on_quarantine: list[Given] = []
        database.on_commit.append(self._news.set)

    async def enqueue(self, conn: AsyncConnection, kind: str, payload: dict[str, Any], *, key: str) -> bool:
        """A job once per `key`, for ever; False when it was there already. Wake workers with `wake()` after the commit."""
        return await store.enqueue(
            conn, job_id=self._ids(), kind=kind, key=key, payload=payload, now=self._clock.now()
        )  # fmt: skip

    def wake(self) -> None:
        self._news.set()

    def close(self) -> None:
        """This process begins no job any more; `await idle()` for those in hand."""
        self._closing = True
        self._news.set()

    async def idle(self) -> None:
        await self._idle.wait()

    async def run(self, handlers: Mapping[str, Handler]) -> None:
        """One job after another, for ever. Run it several times at once for more hands."""
        owner = self._ids()
        while not self._closing:
            self._news.clear()
            self._in_hand += 1
            self._idle.clear()
            try:
                worked = await self.work_once(handlers, owner)
            except Unavailable:
                worked = False
            finally:
                self._in_hand -= 1
                if not self._in_hand:
                    self._idle.set()
            if worked:
                continue
            try:
                async with asyncio.timeout(POLL_S):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def work_once(self, handlers: Mapping[str, Handler], owner: str) -> bool:
        """Claims and does one job; False when there was none. Raises Unavailable: then the lease brings the job back."""
        held_until = asyncio.get_running_loop().time() + self._lease_s
        async with self._database.write() as conn:
            job = await store.claim(
                conn, owner=owner, kinds=list(handlers), now=self._clock.now(), lease_s=self._lease_s
            )  # fmt: skip
        if job is None:
            return False
        if job.attempts > MAX_ATTEMPTS:
            await self._give_up(job, job.reason or "its worker died at every attempt")
            return True
        try:
            await self._do(handlers[job.kind], job, held_until)
        except LeaseLost as error:
            structlog.get_logger().warning("job_lease_lost", job=job.id, kind=job.kind, reason=str(error))
            return True
        except Exception as error:
            await self._failed(job, error)
            return True
        async with self._database.write() as conn:
            if not await store.finish(conn, job, self._clock.now()):
                structlog.get_logger().warning("job_lease_lost", job=job.id, kind=job.kind, reason="done too late")
        return True

    async def _do(self, handler: Handler, job: Job, held_until: float) -> None:
        """Raises LeaseLost, or what the handler raised."""
        try:
            async with asyncio.timeout(self._longest_s) as longest, asyncio.TaskGroup() as group:
                keeper = group.create_task(self._keep(job, held_until))
                await handler(job)
                keeper.cancel()
        except ExceptionGroup as several:
            lost = next((e for e in several.exceptions if isinstance(e, LeaseLost)), None)
            raise (lost or several.exceptions[0]) from None
        except TimeoutError:
            if longest.expired():
                raise TimeoutError(f"it took longer than {self._longest_s:g} s") from None
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise RuntimeError("the handler let itself be cancelled") from None

    async def _keep(self, job: Job, held_until: float) -> None:
        """Extends the lease while the handler works. Raises LeaseLost when it is somebody else's, or must be taken for it."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(0.0, min(self._lease_s / 3, held_until - loop.time())))
            asked = loop.time()
            try:
                async with asyncio.timeout_at(held_until), self._database.write() as conn:
                    extended = await store.extend(conn, job, self._clock.now() + timedelta(seconds=self._lease_s))
            except (Unavailable, TimeoutError) as error:
                if loop.time() >= held_until:
                    raise LeaseLost("it could not be extended in time") from error
                continue
            if not extended:
                raise LeaseLost("another worker has it")
            held_until = asked + self._lease_s

    async def _failed(self, job: Job, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        structlog.get_logger().warning("job_failed", job=job.id, kind=job.kind, attempt=job.attempts, reason=reason)
        if job.attempts >= MAX_ATTEMPTS:
            await self._give_up(job, reason)
            return
        due_at = self._clock.now() + timedelta(seconds=PAUSES_S[min(job.attempts, len(PAUSES_S)) - 1])
        async with self._database.write() as conn:
            await store.postpone(conn, job, due_at=due_at, reason=reason)

    async def _give_up(self, job: Job, reason: str) -> None:
        """Told first, written second: killed between the two, the next worker tells again."""
        told = replace(job, attempts=min(job.attempts, MAX_ATTEMPTS))
        for listener in self.on_quarantine:
            try:
                await listener(told, reason)
            except Unavailable:
                raise
            except Exception:
                structlog.get_logger().exception("quarantine_listener_failed", job=job.id, kind=job.kind)
        async with self._database.write() as conn:
            await store.quarantine(conn, job, now=self._clock.now(), reason=reason)

    async def quarantined(self) -> list[Job]:
        """Jobs that were given up, with their reasons."""
        async with self._database.read() as conn:
            return await store.quarantined(conn)

    async def retry(self, job_id: str) -> None:
        """Gives a quarantined job its attempts anew. Raises NotFound."""
        async with self._database.write() as conn:
            if not await store.retry(conn, job_id, self._clock.now()):
                raise NotFound("quarantined job", job_id)
        self.wake()
