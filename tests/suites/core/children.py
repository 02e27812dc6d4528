"""Real processes for tests that kill: forked from one that has imported everything, so that each costs milliseconds.

`start(children.something, …)`; a child that is not killed ends with the status of what it ran.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess

from core.clock import SystemClock
from core.db import migrate
from core.db.engine import Database
from core.events import DomainEvent
from core.events.orders import AlertCleared
from core.events.stream import EventStream
from core.ids import new_id

migrate.tables()  # the rooms' modules too
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", __name__])


def start(target: Callable[..., None], *args: object) -> ForkServerProcess:
    process = _CONTEXT.Process(target=target, args=args)
    process.start()
    return process


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
