"""Who changed what, and what it was before: rows chained by hash, so that a row taken out or altered shows.

Invariant: each row's hash covers the one before it; `verify` walks the chain and names the first break. Whoever can write
the whole table anew, or cuts off its end, is not found out by this: keep the newest hash elsewhere (it is what `newest`
tells) to see that too.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, String, Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.metadata import metadata
from core.db.types import Json, Moment

audit_table = Table(
    "audit",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Moment, nullable=False),
    Column("actor", String(96), nullable=False),
    Column("action", String(96), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("before", Json),
    Column("after", Json),
    Column("hash", String(64), nullable=False),
)
PAGE = 1000


def chained(previous: str, at: datetime, actor: str, action: str, subject: str, before: Any, after: Any) -> str:
    """SHA-256 over the previous hash and the row's own fields in canonical JSON."""
    moment = at.astimezone(UTC).isoformat(timespec="milliseconds")
    body = [previous, moment, actor, action, subject, _settled(before), _settled(after)]
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _settled(value: Any) -> Any:
    """SQLite keeps a bare 1.0 as 1 (a JSON column is numeric to it)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


async def write_audit(
    conn: AsyncConnection, *, at: datetime, actor: str, action: str, subject: str, before: Any = None, after: Any = None
) -> None:
    """One row, inside the caller's transaction. `action` is `room:verb`, such as `users:create`."""
    if conn.dialect.name == "postgresql":
        # Two writers must not continue the chain from the same row. The lock ends with the transaction.
        await conn.exec_driver_sql("SELECT pg_advisory_xact_lock(4711)")
    previous = await newest(conn)
    row_hash = chained(previous, at, actor, action, subject, before, after)
    await conn.execute(
        insert(audit_table).values(
            at=at, actor=actor, action=action, subject=subject, before=before, after=after, hash=row_hash
        )
    )


async def newest(conn: AsyncConnection) -> str:
    """The hash at the end of the chain; "" when there is no row."""
    end = select(audit_table.c.hash).order_by(audit_table.c.position.desc()).limit(1)
    return str((await conn.execute(end)).scalar() or "")


async def verify(conn: AsyncConnection) -> int | None:
    """None when the chain is whole, else the position of the first row that does not fit."""
    previous, position = "", -1
    while True:  # page by page: the chain grows for ever
        page = select(audit_table).where(audit_table.c.position > position).order_by(audit_table.c.position)
        rows = (await conn.execute(page.limit(PAGE))).all()
        if not rows:
            return None
        for row in rows:
            if row.hash != chained(previous, row.at, row.actor, row.action, row.subject, row.before, row.after):
                return int(row.position)
            previous, position = row.hash, row.position
