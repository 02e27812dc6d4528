"""A database for tests of the order room: a SQLite file, with switches for "broken" and "never answers"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.db.metadata import metadata
from orders_bridge import store


@dataclass
class Unit:
    conn: AsyncConnection


class Rows:
    """Satisfies `store.Storage`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.broken = False
        self.hangs: asyncio.Event | None = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        if self.hangs is not None:
            await self.hangs.wait()
        async with self._engine.connect() as conn:
            yield conn

    @asynccontextmanager
    async def unit(self, *, actor: str) -> AsyncIterator[Unit]:
        assert actor
        if self.hangs is not None:
            await self.hangs.wait()
        if self.broken:
            raise OSError("the database is away")
        async with self._engine.begin() as conn:
            yield Unit(conn)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Rows]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{folder}/orders.sqlite")
    async with engine.begin() as conn:
        await conn.run_sync(metadata.create_all, tables=[store.shop_order, store.order_phone, store.shop_cursor])
    try:
        yield Rows(engine)
    finally:
        await engine.dispose()
