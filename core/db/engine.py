"""The database: SQLite (WAL) in the home folder, or Postgres. Every use has a deadline; nobody hangs on it.

Does not know what is stored. Invariants: writes on SQLite go one after another through one lock and begin IMMEDIATE, so
that no writer meets "database is locked" half-way; readers never wait for writers; whatever is wrong with the database
itself is told as `Unavailable("database")`, whatever is wrong with what we asked or did passes as it is (`faults.py`); no
error's text holds the values of a statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from core.clock import Clock
from core.db import one_visit
from core.db.faults import outside_faults
from core.events.stream import EventStream
from core.ids import IdMaker
from core.json_text import from_json

if TYPE_CHECKING:
    from core.db.unit_of_work import UnitOfWork

STATEMENT_S = 5.0
CONNECT_S = 3.0
LOCKED_SHARE = 0.8  # of a statement's time for waiting on another writer's lock


def async_url(url: str) -> str:
    """The URL with the driver we use: `postgresql://…` → asyncpg, `sqlite:///…` → aiosqlite."""
    scheme, _, rest = url.partition("://")
    drivers = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
    return f"{drivers.get(scheme, scheme)}://{rest}"


class Database:
    """`await Database.open(url, clock=…, ids=…)`; `read()` and `unit()` are its two doors; `close()` at the end."""

    def __init__(
        self, engine: AsyncEngine, *, clock: Clock, ids: IdMaker, stream: EventStream | None,
        statement_s: float = STATEMENT_S,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.clock = clock
        self.ids = ids
        self.stream = stream
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.on_commit: list[Callable[[], object]] = []  # called after each commit that carried events
        self._statement_s = statement_s
        self._writer = asyncio.Lock()

    @classmethod
    async def open(
        cls, url: str, *, clock: Clock, ids: IdMaker, stream: EventStream | None = None, pool: int = 5,
        statement_s: float = STATEMENT_S,
    ) -> Database:  # fmt: skip
        """Opens without touching the server: a database that is down is found out at the first use.

        `statement_s`: how long one statement may take; a transaction may take twice that.
        """
        url = async_url(url)
        locked_ms = int(statement_s * LOCKED_SHARE * 1000)
        if url.startswith("sqlite"):
            engine = create_async_engine(
                url.replace("sqlite+aiosqlite", one_visit.SCHEME, 1), hide_parameters=True,
                json_deserializer=from_json, pool_size=pool, max_overflow=0,
                pool_timeout=statement_s, connect_args={"timeout": locked_ms / 1000},
            )  # fmt: skip
            event.listen(engine.sync_engine, "connect", lambda conn, _record: prepare_sqlite(conn, locked_ms))
        else:
            settings = {"statement_timeout": str(int(statement_s * 1000)), "lock_timeout": str(locked_ms)}
            engine = create_async_engine(
                url, hide_parameters=True,
                json_deserializer=from_json, pool_size=pool, max_overflow=0, pool_timeout=statement_s, pool_pre_ping=False,
                connect_args={"timeout": CONNECT_S, "command_timeout": statement_s, "server_settings": settings},
            )  # fmt: skip
        return cls(engine, clock=clock, ids=ids, stream=stream, statement_s=statement_s)

    async def close(self) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def read(self, *, deadline_s: float | None = None) -> AsyncIterator[AsyncConnection]:
        """A connection for reading. Raises Unavailable when the database does not answer in `deadline_s` (a statement's
        time; a server that is frozen costs two seconds more, for hanging up on it)."""
        with outside_faults() as faults:
            async with asyncio.timeout(deadline_s or self._statement_s), self.engine.connect() as conn:
                with faults.block():
                    yield conn

    @asynccontextmanager
    async def write(self, *, deadline_s: float | None = None) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed at the end of the block, rolled back when it raises. For the unit of work, the
        journal's flusher and the jobs; rooms use `unit`. Raises Unavailable when it is not through in `deadline_s` (twice
        a statement's time); it can have been committed all the same when the answer alone was lost."""
        with outside_faults() as faults:
            async with asyncio.timeout(deadline_s or self._statement_s * 2):
                if not self.is_sqlite:
                    async with self.engine.begin() as conn:
                        with faults.block():
                            yield conn
                    return
                async with self._writer, self.engine.connect() as conn:
                    await conn.exec_driver_sql("BEGIN IMMEDIATE")
                    with faults.block():
                        yield conn
                    await conn.commit()

    def unit(self, actor: str) -> UnitOfWork:
        """A unit of work for `actor` (`user:…`, `rule:…`, `system`)."""
        from core.db.unit_of_work import UnitOfWork  # the unit stands on the engine

        return UnitOfWork(self, actor)


def prepare_sqlite(connection: Any, locked_ms: int) -> None:
    """The pragmas every SQLite connection of ours gets."""
    # The driver's own transaction handling is off: BEGIN IMMEDIATE is ours to say.
    connection.isolation_level = None
    cursor = connection.cursor()
    # The time for locks comes first: switching to WAL waits for a lock too.
    for pragma in (f"busy_timeout={locked_ms}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
