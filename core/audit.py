"""Who changed what, and what it was before: rows chained by hash, so that a row taken out or altered shows.

Invariant: each row's hash covers the one before it; `verify` walks the chain and names the first break.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
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


def chained(previous: str, at: datetime, actor: str, action: str, subject: str, before: Any, after: Any) -> str:
    """SHA-256 over the previous hash and the row's own fields in canonical JSON."""
    body = [previous, at.isoformat(timespec="milliseconds"), actor, action, subject, before, after]
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


async def write_audit(
    conn: AsyncConnection, *, at: datetime, actor: str, action: str, subject: str, before: Any = None, after: Any = None
) -> None:
    """One row, inside the caller's transaction. `action` is `room:verb`, such as `users:create`."""
    if conn.dialect.name == "postgresql":
        # Two writers must not continue the chain from the same row. The lock ends with the transaction.
        await conn.exec_driver_sql("SELECT pg_advisory_xact_lock(4711)")
    newest = select(audit_table.c.hash).order_by(audit_table.c.position.desc()).limit(1)
    previous = (await conn.execute(newest)).scalar() or ""
    row_hash = chained(previous, at, actor, action, subject, before, after)
    await conn.execute(
        insert(audit_table).values(
            at=at, actor=actor, action=action, subject=subject, before=before, after=after, hash=row_hash
        )
    )


async def verify(conn: AsyncConnection) -> int | None:
    """None when the chain is whole, else the position of the first row that does not fit."""
    previous = ""
    rows = await conn.execute(select(audit_table).order_by(audit_table.c.position))
    for row in rows:
        if row.hash != chained(previous, row.at, row.actor, row.action, row.subject, row.before, row.after):
            return int(row.position)
        previous = row.hash
    return None
