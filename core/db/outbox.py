"""The event table: what has happened, in the order it was written down, and for each interaction its timeline.

It is also the outbox: readers (`relay.py`) remember the last position they have seen, and the bus only wakes them up.
Invariants: (journal_id, seq) is unique, so a fact written twice stands once; positions become visible in their order, so
that a reader who has seen one has seen all before it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    cast,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.bundles import in_bundles
from core.db.engine import Database
from core.db.metadata import metadata
from core.db.types import Json, Moment, stored_moment
from core.events import DomainEvent, from_record
from core.json_text import from_json

event_table = Table(
    "event",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("journal_id", String(64), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("interaction_id", String(96), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("body", Json, nullable=False),
    UniqueConstraint("journal_id", "seq"),
    Index("ix_event_interaction_id_at", "interaction_id", "at"),
    Index("ix_event_kind_at", "kind", "at"),
)


@dataclass(frozen=True)
class StoredEvent:
    """An event with its place: `position` in the whole table, (`journal_id`, `seq`) in the process that told it; `text` is
    its record as it was written down, read by whom it concerns."""

    position: int
    journal_id: str
    seq: int
    interaction_id: str
    kind: str
    text: str

    @cached_property
    def record(self) -> dict[str, Any]:
        read: dict[str, Any] = from_json(self.text)
        return read

    def event(self) -> DomainEvent:
        """The typed event. Raises KeyError for a kind this release does not know."""
        return from_record(self.record)


POSITIONS = 4712  # Postgres' advisory lock of whoever has positions that are not committed


async def hold_positions(conn: AsyncConnection) -> None:
    """Waits until nobody else has taken a position without committing it, and lets nobody take one until our commit."""
    if conn.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
        await conn.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSITIONS})")


_INSERT = "INSERT INTO event (journal_id, seq, interaction_id, kind, at, body)"
_ONCE = " ON CONFLICT (journal_id, seq) DO NOTHING"
_UNNESTED = (
    "SELECT $1::varchar, seq, interaction_id, kind, at, body::json FROM "
    "unnest($2::bigint[], $3::varchar[], $4::varchar[], $5::timestamptz[], $6::text[]) WITH ORDINALITY "
    "AS given (seq, interaction_id, kind, at, body, place) ORDER BY place"
)


# A row of the event table but for its journal: seq, interaction, kind, moment, and its record as it was written down.
EventRow = tuple[int, str, str, datetime, str]


async def write_events(conn: AsyncConnection, journal_id: str, rows: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Writes (seq, record) rows of one journal; those already there are left alone.

    The last thing a transaction does.
    """
    await write_rows(conn, journal_id, [row_of(seq, record, json.dumps(record)) for seq, record in rows])


def row_of(seq: int, record: dict[str, Any], text: str) -> EventRow:
    at = datetime.fromisoformat(record["at"])
    return seq, record.get("interaction_id", ""), record["kind"], at, text


async def write_rows(conn: AsyncConnection, journal_id: str, rows: Sequence[EventRow]) -> None:
    """`write_events` for texts that are at hand."""
    await write_statements(conn, statements(journal_id, rows, is_sqlite=conn.dialect.name == "sqlite"))


Statement = tuple[str, Any]  # and its values, as the driver takes them


def statements(journal_id: str, rows: Sequence[EventRow], *, is_sqlite: bool) -> list[Statement]:
    """What writes the rows. Their texts go into the table as they are, past SQLAlchemy, which would take longer over each
    row than the database does. Pure: it can be done ahead."""
    if is_sqlite:
        given = [(journal_id, seq, ix, kind, stored_moment(at), text) for seq, ix, kind, at, text in rows]
        return list(in_bundles(_INSERT, "(?, ?, ?, ?, ?, ?)", given, _ONCE))
    made: list[Statement] = []
    for start in range(0, len(rows), 500):
        seqs, ids, kinds, moments, texts = map(list, zip(*rows[start : start + 500], strict=True))
        if any(at.tzinfo is None for at in moments):
            raise ValueError("a moment needs its time zone")
        ats = [at.replace(microsecond=at.microsecond // 1000 * 1000) for at in moments]
        made.append((f"{_INSERT} {_UNNESTED}{_ONCE}", (journal_id, seqs, ids, kinds, ats, texts)))
    return made


async def write_statements(conn: AsyncConnection, made: Sequence[Statement]) -> None:
    """The last thing a transaction does: until its commit, nobody else writes events."""
    if made:
        await hold_positions(conn)
    for text, values in made:
        await conn.exec_driver_sql(text, values)


async def events_after(conn: AsyncConnection, position: int, limit: int) -> list[StoredEvent]:
    """Events written after `position`, oldest first."""
    return await _stored(conn, _AFTER, {"after": position, "most": limit})


_e = event_table.c
_STORED = select(_e.position, _e.journal_id, _e.seq, _e.interaction_id, _e.kind, cast(_e.body, Text))
_AFTER = _STORED.where(_e.position > bindparam("after")).order_by(_e.position).limit(bindparam("most", type_=Integer))


async def _stored(
    conn: AsyncConnection, statement: Select[Any], values: Mapping[str, Any] | None = None
) -> list[StoredEvent]:
    return [StoredEvent(*row) for row in await conn.execute(statement, values)]


class EventLog:
    """Reads the event table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def after(self, position: int, limit: int = 500) -> list[StoredEvent]:
        """Events written after `position`, oldest first."""
        async with self._database.read() as conn:
            return await events_after(conn, position, limit)

    async def for_interaction(self, interaction_id: str) -> list[StoredEvent]:
        """An interaction's timeline: by time, then by sequence in the process that told it."""
        statement = _STORED.where(_e.interaction_id == interaction_id)
        return await self._all(statement.order_by(_e.at, _e.journal_id, _e.seq))

    async def latest(self, kinds: Sequence[str], limit: int = 5000) -> list[StoredEvent]:
        """The newest events of these kinds, oldest first."""
        statement = _STORED.where(_e.kind.in_(kinds))
        rows = await self._all(statement.order_by(_e.position.desc()).limit(limit))
        return rows[::-1]

    async def _all(self, statement: Select[Any]) -> list[StoredEvent]:
        async with self._database.read() as conn:
            return await _stored(conn, statement)
