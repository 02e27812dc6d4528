"""Work that is done later, surely and with bounds: a lease while it runs, at most three attempts, then quarantine.

Does not know what the work is. Invariants: a job is enqueued in the transaction of the decision it follows from; a worker
that dies loses its lease and the job is tried again; a handler gets the same job more than once and must bear it; one bad
job never holds up those behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from core.clock import Clock
from core.db.engine import Database
from core.errors import NotFound, Unavailable
from core.ids import IdMaker
from core.jobs import store
from core.jobs.store import Job

LEASE_S = 30.0
POLL_S = 2.0
PAUSES_S = (2.0, 15.0)
Handler = Callable[[Job], Awaitable[None]]
Given = Callable[[Job, str], Awaitable[None]]


class JobQueue:
    """`enqueue` in a transaction, `run` in one or more places; `on_quarantine` is told of jobs that were given up."""

    def __init__(self, database: Database, clock: Clock, ids: IdMaker) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
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
            self._news.clear()
            if self._closing:
                return
            try:
                async with asyncio.timeout(POLL_S):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def work_once(self, handlers: Mapping[str, Handler], owner: str) -> bool:
        """Claims and does one job; False when there was none."""
        async with self._database.write() as conn:
            job, lost = await store.claim(
                conn, owner=owner, kinds=list(handlers), now=self._clock.now(), lease_s=LEASE_S
            )
        for given_up in lost:
            await self._tell(given_up, given_up.reason)
        if job is None:
            return bool(lost)
        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(self._keep(job, owner))
                await handlers[job.kind](job)
                keeper.cancel()
        except ExceptionGroup as group_error:
            await self._failed(job, group_error.exceptions[0])
            return True
        async with self._database.write() as conn:
            await store.finish(conn, job, self._clock.now())
        return True

    async def _keep(self, job: Job, owner: str) -> None:
        """Extends the lease while the handler works."""
        while True:
            await asyncio.sleep(LEASE_S / 3)
            try:
                async with self._database.write() as conn:
                    until = self._clock.now() + timedelta(seconds=LEASE_S)
                    if not await store.extend(conn, job, owner, until):
                        raise Unavailable("lease", "Another worker has taken this job.")
            except Unavailable as error:
                structlog.get_logger().warning("job_lease_not_extended", job=job.id, reason=str(error))

    async def _failed(self, job: Job, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        structlog.get_logger().warning("job_failed", job=job.id, kind=job.kind, attempt=job.attempts, reason=reason)
        pause_s = PAUSES_S[min(job.attempts, len(PAUSES_S)) - 1]
        async with self._database.write() as conn:
            given_up = await store.fail(conn, job, now=self._clock.now(), reason=reason, pause_s=pause_s)
        if given_up:
            await self._tell(job, reason)

    async def _tell(self, job: Job, reason: str) -> None:
        for listener in self.on_quarantine:
            await listener(job, reason)

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
