"""The database: SQLite (WAL) in the home folder, or Postgres. Every use has a deadline; nobody hangs on it.

Does not know what is stored. Invariants: writes on SQLite go one after another through one lock and begin IMMEDIATE, so
that no writer meets "database is locked" half-way; readers never wait for writers; whatever goes wrong outside our own
statements is told as `Unavailable("database")`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.clock import Clock
from core.errors import Unavailable
from core.events.stream import EventStream
from core.ids import IdMaker

if TYPE_CHECKING:
    from core.db.unit_of_work import UnitOfWork

BUSY_MS = 4000
STATEMENT_S = 5.0
OUTSIDE = (OperationalError, InterfaceError, PoolTimeout, OSError)


def async_url(url: str) -> str:
    """The URL with the driver we use: `postgresql://…` → asyncpg, `sqlite:///…` → aiosqlite."""
    scheme, _, rest = url.partition("://")
    drivers = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
    return f"{drivers.get(scheme, scheme)}://{rest}"


class Database:
    """`await Database.open(url, clock=…, ids=…)`; `read()` and `unit()` are its two doors; `close()` at the end."""

    def __init__(self, engine: AsyncEngine, *, clock: Clock, ids: IdMaker, stream: EventStream | None) -> None:
        self.engine = engine
        self.clock = clock
        self.ids = ids
        self.stream = stream
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.on_commit: list[Any] = []  # called without arguments after each commit that carried events
        self._writer = asyncio.Lock()

    @classmethod
    async def open(
        cls, url: str, *, clock: Clock, ids: IdMaker, stream: EventStream | None = None, pool: int = 5
    ) -> Database:
        """Opens without touching the server: a database that is down is found out at the first use."""
        url = async_url(url)
        if url.startswith("sqlite"):
            engine = create_async_engine(url, connect_args={"timeout": BUSY_MS / 1000})
            event.listen(engine.sync_engine, "connect", prepare_sqlite)
        else:
            settings = {"statement_timeout": str(int(STATEMENT_S * 1000)), "lock_timeout": str(BUSY_MS)}
            engine = create_async_engine(
                url, pool_size=pool, max_overflow=0, pool_timeout=STATEMENT_S, pool_pre_ping=False,
                connect_args={"timeout": 3, "command_timeout": STATEMENT_S, "server_settings": settings},
            )  # fmt: skip
        return cls(engine, clock=clock, ids=ids, stream=stream)

    async def close(self) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def read(self, *, deadline_s: float = STATEMENT_S) -> AsyncIterator[AsyncConnection]:
        """A connection for reading. Raises Unavailable when the database does not answer in `deadline_s`."""
        with outside_faults():
            async with asyncio.timeout(deadline_s), self.engine.connect() as conn:
                yield conn

    @asynccontextmanager
    async def write(self, *, deadline_s: float = STATEMENT_S * 2) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back when it raises. For the unit of work and the
        journal's flusher; rooms use `unit`."""
        with outside_faults():
            async with asyncio.timeout(deadline_s):
                if not self.is_sqlite:
                    async with self.engine.begin() as conn:
                        yield conn
                    return
                async with self._writer, self.engine.connect() as conn:
                    await conn.exec_driver_sql("BEGIN IMMEDIATE")
                    yield conn
                    await conn.commit()

    def unit(self, actor: str) -> UnitOfWork:
        """A unit of work for `actor` (`user:…`, `rule:…`, `system`)."""
        from core.db.unit_of_work import UnitOfWork  # the unit stands on the engine

        return UnitOfWork(self, actor)


def prepare_sqlite(connection: Any, _record: Any) -> None:
    """The pragmas every SQLite connection of ours gets."""
    # The driver's own transaction handling is off: BEGIN IMMEDIATE is ours to say.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class outside_faults:
    """Turns what is wrong with the database itself into `Unavailable("database")`; our own faults pass."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, Unavailable):
            return
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        if isinstance(error, (*OUTSIDE, TimeoutError)) or lost or "asyncpg" in type(error).__module__:
            raise Unavailable("database") from error
