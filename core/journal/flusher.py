"""Copies the journal into the database: events, and the rows that are projections of them, exactly once.

Invariants: events, projections and the journal's high-water mark are written in one transaction, which begins by moving the
mark from where we believe it stands, so that neither a crash, nor a commit whose answer was lost, nor a second flusher of
the same journal writes anything twice; a fact that a projector or the database cannot take is set aside with its reason and
does not hold up the others; while the database or the journal's disk does not answer, facts wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import structlog
from sqlalchemy import BigInteger, Column, String, Table, Text, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.engine import Database
from core.db.metadata import metadata
from core.db.outbox import Statement, row_of, statements, write_rows, write_statements
from core.db.types import Json, Moment
from core.db.upsert import upsert
from core.errors import Unavailable
from core.events import from_record
from core.journal.journal import Journal
from core.journal.projector import Projector
from core.journal.store import Fact
from core.json_text import from_json

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
BATCH = 2000
WORTH = 1000  # so many are not waited upon: a transaction costs as much as a hundred facts
PAUSE_S = 0.5
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Source(Protocol):
    """The rows to be copied: our own journal, or one that somebody left behind."""

    journal_id: str
    flushed: int

    async def read(self, after: int, limit: int) -> list[Fact]: ...
    async def forget_until(self, seq: int) -> None: ...
    def at_hand(self, after: int, limit: int) -> list[Fact] | None: ...


class Batch(NamedTuple):
    """Facts, made ready to be written."""

    written: list[Statement]
    folded: list[Any]  # for each projector


class _MarkMoved(Exception):
    """The mark does not stand where we left it."""


NOT_THE_FACTS = (Unavailable, _MarkMoved)  # trying the same facts one by one would not help


class Flusher:
    """`run()` for ever; `flushed_up_to(seq)` waits; `down` tells that the database (or the disk) does not answer.

    `on_flush` is called after each batch that stands in the database.
    """

    def __init__(self, journal: Source, database: Database, projectors: Sequence[Projector] = ()) -> None:
        self._journal = journal
        self._database = database
        self._projectors = list(projectors)
        self._news = asyncio.Event()
        self._progress = asyncio.Condition()
        self._mark: int | None = None
        self._asleep = False  # until something is there to be copied
        self._ahead: tuple[list[Fact], Batch] | None = None
        self._awaited = 0
        self.down = ""
        self.on_flush: list[Callable[[], object]] = []

    async def run(self) -> None:
        own = self._journal
        assert isinstance(own, Journal)  # only our own tells when there is news
        loop = asyncio.get_running_loop()

        def wake() -> None:
            if self._asleep or own.synced - own.flushed >= WORTH:
                loop.call_soon_threadsafe(self._news.set)

        own.on_sync.append(wake)
        failures = 0
        try:
            while True:
                try:
                    written = await self.flush_once()
                except (Unavailable, sqlite3.Error) as error:
                    if not failures:
                        structlog.get_logger().warning("facts_not_flushed", reason=str(error.__cause__ or error))
                    self.down = str(error)
                    pause = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                    failures += 1
                    await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 (spreads retries, no secret)
                    continue
                if failures:
                    structlog.get_logger().info("facts_flushed_again", behind=own.behind)
                failures, self.down = 0, ""
                if written < BATCH:
                    await self._gather(own)
        finally:
            own.on_sync.remove(wake)

    async def _gather(self, own: Journal) -> None:
        """Returns when there is something to copy, and enough has gathered, which whoever waits for his facts is not made to
        wait for."""
        self._news.clear()
        self._asleep = True
        if own.synced == own.flushed:
            await self._news.wait()
        self._asleep = False
        self._news.clear()
        if not self._awaited and own.synced - own.flushed < WORTH:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await self._news.wait()

    async def flush_once(self) -> int:
        """Copies one batch. Returns its size; raises Unavailable when the database does not answer, sqlite3.Error when the
        journal's disk does not."""
        mark = self._mark if self._mark is not None else await self._find_mark()
        rows, ready = await self._next(mark)
        if not rows:
            self._mark = mark
            if mark > self._journal.flushed:  # the disk had not let them be forgotten
                await self._journal.forget_until(mark)
            return 0
        self._mark = None  # until we know how this ended
        try:
            await self._copy_all(mark, rows, ready)
        except _MarkMoved:
            return await self.flush_once()
        self._mark = rows[-1].seq
        await self._journal.forget_until(self._mark)
        async with self._progress:
            self._progress.notify_all()
        for call in self.on_flush:
            call()
        return len(rows)

    async def _find_mark(self) -> int:
        """The database's word counts: it may know of rows whose copies here were not yet forgotten."""
        here, flushed = mark_table.c.journal_id == self._journal.journal_id, self._journal.flushed
        async with self._database.write() as conn:
            row = {"journal_id": self._journal.journal_id, "seq": flushed}
            await upsert(conn, mark_table, [row], ["journal_id"], update=False)
            known = int((await conn.execute(select(mark_table.c.seq).where(here).with_for_update())).scalar_one())
            if known < flushed:  # an older copy of the database: what we forgot since is gone
                structlog.get_logger().error("database_behind_journal", database=known, journal=flushed)
                await conn.execute(update(mark_table).where(here).values(seq=flushed))
        if known > flushed:
            await self._journal.forget_until(known)
        return max(known, flushed)

    async def _next(self, mark: int) -> tuple[list[Fact], Batch | None]:
        """The facts behind the mark; ready when that was done ahead."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0][0].seq == mark + 1:
            return ahead
        return await self._journal.read(mark, BATCH), None

    def _look_ahead(self, after: int) -> None:
        """Makes the next batch ready while the database is busy with this one. What cannot be made ready fails in its turn."""
        facts = self._journal.at_hand(after, BATCH)
        if facts and len(facts) == BATCH:
            with contextlib.suppress(Exception):
                self._ahead = facts, self._ready(facts)

    def _ready(self, facts: Sequence[Fact]) -> Batch:
        events = [fact.event or from_record(from_json(fact.text)) for fact in facts]
        rows = [
            (fact.seq, event.interaction_id, event.kind, event.at, fact.text)
            for fact, event in zip(facts, events, strict=True)
        ]
        written = statements(self._journal.journal_id, rows, is_sqlite=self._database.is_sqlite)
        return Batch(written, [projector.fold(events) for projector in self._projectors])

    async def _copy_all(self, mark: int, rows: Sequence[Fact], ready: Batch | None) -> None:
        try:
            await self._copy(mark, rows, ready)
        except NOT_THE_FACTS:
            raise
        except Exception as error:
            structlog.get_logger().error("projection_failed", reason=type(error).__name__, rows=len(rows))
            for fact in rows:
                await self._copy_alone(mark, fact)
                mark = fact.seq

    async def _copy(self, mark: int, rows: Sequence[Fact], ready: Batch | None = None) -> None:
        async with self._database.write() as conn:
            await self._move_mark(conn, mark, rows[-1].seq)
            ready = ready or self._ready(rows)
            for projector, folded in zip(self._projectors, ready.folded, strict=True):
                await projector.write(conn, folded)
            if len(rows) == BATCH:
                asyncio.get_running_loop().call_soon(self._look_ahead, rows[-1].seq)
            await write_statements(conn, ready.written)

    async def _copy_alone(self, mark: int, fact: Fact) -> None:
        """Whole if it can be, else the event without its projections, else only set aside."""
        try:
            await self._copy(mark, [fact])
        except NOT_THE_FACTS:
            raise
        except Exception as error:
            record, reason = json.loads(fact.text), repr(error)[:2000]
            told = {"seq": fact.seq, "kind": record.get("kind", "")}
            structlog.get_logger().error("fact_set_aside", reason=type(error).__name__, **told)
        else:
            return
        try:
            await self._set_aside(mark, fact, record, reason, as_event=True)
        except NOT_THE_FACTS:
            raise
        except Exception:
            # The database takes no such value: as a text it can be kept all the same.
            await self._set_aside(mark, fact, {"text": fact.text}, reason, as_event=False)

    async def _set_aside(self, mark: int, fact: Fact, record: dict[str, Any], reason: str, *, as_event: bool) -> None:
        aside = {"journal_id": self._journal.journal_id, "seq": fact.seq, "at": self._database.clock.now()}
        async with self._database.write() as conn:
            await self._move_mark(conn, mark, fact.seq)
            await upsert(conn, quarantine_table, [{**aside, "record": record, "reason": reason}], ["journal_id", "seq"])
            if as_event:
                await write_rows(conn, self._journal.journal_id, [row_of(fact.seq, record, fact.text)])

    async def _move_mark(self, conn: AsyncConnection, old: int, new: int) -> None:
        """First in the transaction: whoever else holds it is waited for, and then it does not stand at `old` any more."""
        mine = (mark_table.c.journal_id == self._journal.journal_id) & (mark_table.c.seq == old)
        if (await conn.execute(update(mark_table).where(mine).values(seq=new))).rowcount != 1:
            raise _MarkMoved

    async def flushed_up_to(self, seq: int) -> None:
        """Returns when everything up to `seq` stands in the database."""
        self._awaited += 1
        self._news.set()
        try:
            async with self._progress:
                await self._progress.wait_for(lambda: self._journal.flushed >= seq)
        finally:
            self._awaited -= 1
