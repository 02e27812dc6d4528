"""Real processes for tests that kill: forked from one that has imported everything, so that each costs milliseconds.

`start(children.something, …)`; a child that is not killed ends with the status of what it ran.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import random
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.clock import SystemClock
from core.db import migrate
from core.db.engine import Database
from core.db.upsert import upsert
from core.events import DomainEvent
from core.events.orders import AlertCleared
from core.events.stream import EventStream
from core.ids import new_id
from core.jobs.store import Job
from core.jobs.worker import JobQueue
from core.journal.flusher import Flusher, mark_table
from core.journal.journal import Journal
from core.journal.projector import Projector

migrate.tables()  # the rooms' modules too
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", __name__])


def start(target: Callable[..., None], *args: object) -> ForkServerProcess:
    process = _CONTEXT.Process(target=target, args=args)
    process.start()
    return process


def pipe() -> tuple[Connection, Connection]:
    """(to read, to write): what was written stays there when the writer is killed."""
    return _CONTEXT.Pipe(duplex=False)


async def ended(process: ForkServerProcess, timeout_s: float = 60.0) -> int:
    """Its exit status, negative for a signal."""
    await asyncio.to_thread(process.join, timeout_s)
    status = process.exitcode
    assert status is not None, "the child does not end"
    process.close()
    return status


def bring_to_newest(url: str) -> None:
    asyncio.run(migrate.migrate(url))


def commit_and_die(url: str) -> None:
    """Commits a unit of work and is killed before it can tell anybody."""

    def die(_event: DomainEvent) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async def main() -> None:
        stream, clock = EventStream(), SystemClock()
        stream.spread = die  # type: ignore[method-assign]
        database = await Database.open(url, clock=clock, ids=new_id, stream=stream, statement_s=20)
        async with database.unit("rule:test") as unit:
            unit.emit(AlertCleared(at=clock.now(), what="committed"))

    asyncio.run(main())


class Counting(Projector):
    """A projector that must run exactly once: it adds up how many facts it has seen, in a row of its own."""

    async def write(self, conn: AsyncConnection, events: Sequence[DomainEvent]) -> None:
        row = {"journal_id": "counted", "seq": 0}
        await upsert(conn, mark_table, [row], ["journal_id"], update=False)
        counted = update(mark_table).where(mark_table.c.journal_id == "counted")
        await conn.execute(counted.values(seq=mark_table.c.seq + len(events)))


def journal_and_flush(file: Path, url: str, life: int, told: Connection) -> None:
    """Tells facts `life/0`, `life/1`, … and flushes them, until it is killed; says what is synced as soon as it is."""

    async def main() -> None:
        clock = SystemClock()
        journal = Journal(file, f"first-opened-in-{life}")
        database = await Database.open(url, clock=clock, ids=new_id, statement_s=20)
        journal.on_sync.append(lambda: told.send(journal.synced))
        chance = random.Random(life)
        async with asyncio.TaskGroup() as group:
            group.create_task(Flusher(journal, database, [Counting()]).run())
            for n in itertools.count():
                journal.emit(AlertCleared(at=clock.now(), what=f"{life}/{n}"))
                if chance.random() < 0.1:
                    await asyncio.sleep(chance.random() * 0.01)

    asyncio.run(main())


def work_for_ever(url: str, told: Connection) -> None:
    """Takes one job, says its key, and works at it until it is killed."""

    async def work(job: Job) -> None:
        told.send(job.key)
        await asyncio.Event().wait()

    async def main() -> None:
        clock = SystemClock()
        database = await Database.open(url, clock=clock, ids=new_id, statement_s=20)
        await JobQueue(database, clock, new_id).work_once({"k": work}, "killed")

    asyncio.run(main())
