"""Tables of policies: every version ever published, and every turn of the surge's switch. Rows are added, never changed.

The newest row is the one in force. Does not read texts. Invariant: numbers count up by one without a gap; of two who add the
same number one is told that it is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Integer, Select, String, Table, Text, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.metadata import metadata
from core.db.types import Moment
from core.db.upsert import upsert

policy_table = Table(
    "routing_policy",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("author", String(96), nullable=False),
    Column("at", Moment, nullable=False),
    Column("note", String(500), nullable=False),
    Column("rollback_of", Integer),
)
surge_table = Table(
    "routing_surge",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("until", Moment),  # null = switched off
    Column("author", String(96), nullable=False),
    Column("at", Moment, nullable=False),
    Column("note", String(500), nullable=False),
)


@dataclass(frozen=True)
class Version:
    """`rollback_of`: the version whose text this is, when it was brought back."""

    number: int
    text: str
    sha256: str
    author: str
    at: datetime
    note: str = ""
    rollback_of: int | None = None


@dataclass(frozen=True)
class Switch:
    """One turn of the surge's switch; `until` None = off."""

    number: int
    until: datetime | None
    author: str
    at: datetime
    note: str = ""


async def newest_version(conn: AsyncConnection) -> Version | None:
    row = (await conn.execute(_newest(policy_table))).first()
    return None if row is None else _version(row)


async def newest_number(conn: AsyncConnection) -> tuple[int, int]:
    """The numbers of the version and of the turn of the switch in force; 0 where there is none. What is looked at often."""
    numbers = [
        (await conn.execute(select(t.c.number).order_by(t.c.number.desc()).limit(1))).scalar() or 0
        for t in (policy_table, surge_table)
    ]
    return numbers[0], numbers[1]


async def version(conn: AsyncConnection, number: int) -> Version | None:
    row = (await conn.execute(select(policy_table).where(policy_table.c.number == number))).first()
    return None if row is None else _version(row)


async def versions(conn: AsyncConnection, *, limit: int, before: int | None = None) -> Sequence[Version]:
    """Newest first; those before the number `before`."""
    wanted = select(policy_table).order_by(policy_table.c.number.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(policy_table.c.number < before)
    return [_version(row) for row in await conn.execute(wanted)]


async def add_version(conn: AsyncConnection, made: Version) -> bool:
    """False when there is a version of this number already."""
    return await upsert(conn, policy_table, [vars(made)], ["number"], update=False)


async def newest_switch(conn: AsyncConnection) -> Switch | None:
    row = (await conn.execute(_newest(surge_table))).first()
    return None if row is None else Switch(row.number, row.until, row.author, row.at, row.note)


async def add_switch(conn: AsyncConnection, made: Switch) -> bool:
    """False when the switch has been turned meanwhile."""
    return await upsert(conn, surge_table, [vars(made)], ["number"], update=False)


def _newest(table: Table) -> Select[Any]:
    return select(table).order_by(table.c.number.desc()).limit(1)


def _version(row: Any) -> Version:
    return Version(row.number, row.text, row.sha256, row.author, row.at, row.note, row.rollback_of)
