"""Copies the journal into the database: events, and the rows that are projections of them, exactly once.

Invariant: events, projections and the high-water mark of the journal are written in one transaction; after a crash the
flusher goes on behind the mark. A fact that a projector cannot take is set aside with its reason and does not hold up the
others.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

import structlog
from sqlalchemy import BigInteger, Column, String, Table, Text, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.engine import Database
from core.db.metadata import metadata
from core.db.outbox import write_events
from core.db.types import Json, Moment
from core.db.upsert import upsert
from core.errors import Unavailable
from core.events import DomainEvent, from_record
from core.journal.journal import Journal
from core.journal.store import Row

mark_table = Table(
    "journal_mark",
    metadata,
    Column("journal_id", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)
quarantine_table = Table(
    "journal_quarantine",
    metadata,
    Column("journal_id", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("record", Json, nullable=False),
    Column("reason", Text, nullable=False),
)
BATCH = 500
PAUSE_S = 0.25
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Projector(Protocol):
    """Rows that follow from events. Idempotent: the same events twice leave the same rows."""

    async def project(self, conn: AsyncConnection, events: Sequence[DomainEvent]) -> None: ...


class Flusher:
    """`run()` for ever; `flushed_up_to(seq)` waits; `down` tells that the database does not answer."""

    def __init__(self, journal: Journal, database: Database, projectors: Sequence[Projector] = ()) -> None:
        self._journal = journal
        self._database = database
        self._projectors = list(projectors)
        self._news = asyncio.Event()
        self._progress = asyncio.Condition()
        self._mark: int | None = None
        self.down = ""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._news.set)

        self._journal.on_sync.append(wake)
        failures = 0
        try:
            while True:
                try:
                    written = await self.flush_once()
                    failures, self.down = 0, ""
                except Unavailable as error:
                    if not failures:
                        structlog.get_logger().warning("database_unavailable", reason=str(error.__cause__ or error))
                    self.down = str(error)
                    pause = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                    failures += 1
                    await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 (spreads retries, no secret)
                    continue
                if written < BATCH:
                    await self._news.wait()
                    self._news.clear()
                    await asyncio.sleep(PAUSE_S)  # a batch gathers: a transaction costs as much as fifty facts
        finally:
            self._journal.on_sync.remove(wake)

    async def flush_once(self) -> int:
        """Copies one batch. Returns its size; raises Unavailable when the database does not answer."""
        if self._mark is None:
            await self._find_mark()
        assert self._mark is not None
        rows = await self._journal.read(self._mark, BATCH)
        if not rows:
            return 0
        try:
            await self._copy(rows)
        except (SQLAlchemyError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            structlog.get_logger().error("projection_failed", reason=repr(error), rows=len(rows))
            for row in rows:
                await self._copy_alone(row)
        self._mark = rows[-1][0]
        await self._journal.forget_until(self._mark)
        async with self._progress:
            self._progress.notify_all()
        return len(rows)

    async def _find_mark(self) -> None:
        """The database's word counts: it may know of rows whose copies here were not yet forgotten."""
        statement = select(mark_table.c.seq).where(mark_table.c.journal_id == self._journal.journal_id)
        async with self._database.read() as conn:
            known = (await conn.execute(statement)).scalar()
        self._mark = max(int(known or 0), self._journal.flushed)
        if self._mark > self._journal.flushed:
            await self._journal.forget_until(self._mark)

    async def _copy(self, rows: Sequence[Row]) -> None:
        async with self._database.write() as conn:
            await write_events(conn, self._journal.journal_id, rows)
            events = [from_record(record) for _, record in rows]
            for projector in self._projectors:
                await projector.project(conn, events)
            await self._set_mark(conn, rows[-1][0])

    async def _copy_alone(self, row: Row) -> None:
        try:
            await self._copy([row])
        except (SQLAlchemyError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            seq, record = row
            aside = {"journal_id": self._journal.journal_id, "seq": seq, "at": self._database.clock.now()}
            async with self._database.write() as conn:
                await write_events(conn, self._journal.journal_id, [row])
                await upsert(conn, quarantine_table, [{**aside, "record": record, "reason": repr(error)[:2000]}],
                             ["journal_id", "seq"])  # fmt: skip
                await self._set_mark(conn, seq)

    async def _set_mark(self, conn: AsyncConnection, seq: int) -> None:
        await upsert(conn, mark_table, [{"journal_id": self._journal.journal_id, "seq": seq}], ["journal_id"])

    async def flushed_up_to(self, seq: int) -> None:
        """Returns when everything up to `seq` stands in the database."""
        async with self._progress:
            await self._progress.wait_for(lambda: self._journal.flushed >= seq)
