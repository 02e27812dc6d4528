"""A database for tests of the order room: our own on a SQLite file, with switches for "away" and "never answers"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from core.clock import ManualClock
from core.db.engine import Database
from core.db.metadata import metadata
from core.db.unit_of_work import UnitOfWork
from core.ids import CountingIds
from orders_bridge import store


class Rows:
    """Satisfies `store.Storage`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.broken = False
        self.tried = 0
        self.hangs: asyncio.Event | None = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        if self.hangs is not None:
            await self.hangs.wait()
        async with self._database.read() as conn:
            yield conn

    @asynccontextmanager
    async def unit(self, actor: str) -> AsyncIterator[UnitOfWork]:
        self.tried += 1
        if self.hangs is not None:
            await self.hangs.wait()
        if self.broken:
            raise OSError("the database is away")
        async with self._database.unit(actor) as unit:
            yield unit


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Rows]:
    database = await Database.open(f"sqlite:///{folder}/orders.sqlite", clock=ManualClock(), ids=CountingIds())
    async with database.engine.begin() as conn:
        await conn.run_sync(metadata.create_all, tables=[store.shop_order, store.order_phone, store.shop_cursor])
    try:
        yield Rows(database)
    finally:
        await database.close()
