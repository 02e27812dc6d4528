"""A database of one test, with the newest schema, and the hand that does to it what happens to databases."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import asyncpg
from sqlalchemy import Table, func, select

from core.clock import ManualClock
from core.db.engine import Database
from core.events.stream import EventStream
from core.ids import CountingIds

PATIENT_S = 20.0  # on a machine that is busy with other tests
QUICK_S = 1.0  # where a fault is waited for: it costs its test this much


class Place:
    """`async with Place(url) as place:`; `open()` gives handles that are closed at its end; `locked()` is another client
    who holds everything."""

    entered: ClassVar[int] = 0

    def __init__(self, url: str) -> None:
        self.url = url
        self.clock = ManualClock()
        self.ids = CountingIds()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Place:
        Place.entered += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        """A cancelled statement of SQLite ends in its thread, in its own time: while there is a loop to tell of it."""
        await self._stack.aclose()
        Place.entered -= 1
        async with asyncio.timeout(60):
            while not Place.entered and any(
                "_connection_worker_thread" in thread.name for thread in threading.enumerate()
            ):
                await asyncio.sleep(0.002)

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    async def open(self, *, stream: EventStream | None = None, statement_s: float = PATIENT_S) -> Database:
        database = await Database.open(self.url, clock=self.clock, ids=self.ids, stream=stream, statement_s=statement_s)
        self._stack.push_async_callback(database.close)
        return database

    async def count(self, table: Table, *where: Any) -> int:
        """Rows as a stranger sees them."""
        database = await self.open()
        async with database.read() as conn:
            return int((await conn.execute(select(func.count()).select_from(table).where(*where))).scalar_one())

    async def rows(self, table: Table, *columns: str) -> list[tuple[Any, ...]]:
        database = await self.open()
        wanted = [table.c[name] for name in columns] or list(table.c)
        async with database.read() as conn:
            return [tuple(row) for row in await conn.execute(select(*wanted).order_by(*table.primary_key))]

    @asynccontextmanager
    async def locked(self, *tables: str) -> AsyncIterator[None]:
        """Another program holds `tables` (SQLite knows no less than the whole file) and does not let go."""
        if self.is_sqlite:
            file = self.url.removeprefix("sqlite:///")
            held = sqlite3.connect(file, isolation_level=None, timeout=60, check_same_thread=False)
            try:
                await asyncio.to_thread(held.execute, "BEGIN IMMEDIATE")  # whoever has it needs our loop to let it go
                yield
            finally:
                held.close()
            return
        other = await asyncpg.connect(self.url)
        try:
            async with other.transaction():
                await other.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
                yield
        finally:
            await other.close()

    def everything(self) -> bytes:
        """All that lies in the database's files, for looking for what must not be there. SQLite only."""
        file = Path(self.url.removeprefix("sqlite:///"))
        return b"".join(one.read_bytes() for one in sorted(file.parent.glob(file.name + "*")))


def whats(events: Sequence[Any]) -> list[str]:
    """The `what` of stored or told alarms, which these tests use as plain events."""
    return [(event.event() if hasattr(event, "record") else event).what for event in events]
