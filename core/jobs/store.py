"""The table of jobs, and the statements that claim, finish, fail and quarantine them.

Invariant: whoever ends, fails or extends a job holds it still; that is asked inside the statement that writes, by the
worker and the attempt that claimed it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Index, Integer, String, Table, Text, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.metadata import metadata
from core.db.types import Json, Moment
from core.db.upsert import upsert

job_table = Table(
    "job",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("key", String(160), nullable=False, unique=True),
    Column("payload", Json, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, running, done, quarantined
    Column("attempts", Integer, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("lease_until", Moment),
    Column("owner", String(64)),
    Column("reason", Text),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index("ix_job_state_due_at", "state", "due_at"),
)
MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class Job:
    """A piece of work: `attempts` counts this one too; `owner` is the worker that holds it."""

    id: str
    kind: str
    key: str
    payload: dict[str, Any]
    attempts: int
    reason: str = ""
    owner: str = ""


async def enqueue(
    conn: AsyncConnection, *, job_id: str, kind: str, key: str, payload: dict[str, Any], now: datetime
) -> bool:
    """Adds a job inside the caller's transaction; one with the same key is there already: nothing happens (False)."""
    row = {
        "id": job_id, "kind": kind, "key": key, "payload": payload, "state": "waiting", "attempts": 0, "due_at": now,
        "lease_until": None, "owner": None, "reason": None, "created_at": now, "ended_at": None,
    }  # fmt: skip
    return await upsert(conn, job_table, [row], ["key"], update=False)


async def claim(conn: AsyncConnection, *, owner: str, kinds: list[str], now: datetime, lease_s: float) -> Job | None:
    """The oldest due job, with a lease on it; None when there is none.

    One with more than MAX_ATTEMPTS has had its last worker die on it: it is claimed to be given up.
    """
    t = job_table.c
    free = or_(and_(t.state == "waiting", t.due_at <= now), and_(t.state == "running", t.lease_until < now))
    oldest = select(job_table).where(free, t.kind.in_(kinds)).order_by(t.due_at, t.id).limit(1)
    # Of several workers each gets another one (Postgres); on SQLite they come one after the other anyway.
    row = (await conn.execute(oldest.with_for_update(skip_locked=True))).first()
    if row is None:
        return None
    values = {"state": "running", "owner": owner, "attempts": row.attempts + 1,
              "lease_until": now + timedelta(seconds=lease_s)}  # fmt: skip
    await conn.execute(update(job_table).where(t.id == row.id).values(values))
    return Job(row.id, row.kind, row.key, row.payload, row.attempts + 1, row.reason or "", owner)


async def extend(conn: AsyncConnection, job: Job, until: datetime) -> bool:
    """A longer lease; False when the job is held by somebody else meanwhile (here as in all that follow)."""
    return await _write(conn, job, lease_until=until)


async def finish(conn: AsyncConnection, job: Job, now: datetime) -> bool:
    return await _write(conn, job, state="done", ended_at=now, lease_until=None, owner=None, reason=None)


async def postpone(conn: AsyncConnection, job: Job, *, due_at: datetime, reason: str) -> bool:
    """Back to waiting for another attempt."""
    return await _write(conn, job, state="waiting", due_at=due_at, lease_until=None, owner=None, reason=reason)


async def quarantine(conn: AsyncConnection, job: Job, *, now: datetime, reason: str) -> bool:
    return await _write(conn, job, state="quarantined", ended_at=now, lease_until=None, owner=None, reason=reason,
                        attempts=min(job.attempts, MAX_ATTEMPTS))  # fmt: skip


async def _write(conn: AsyncConnection, job: Job, **values: Any) -> bool:
    t = job_table.c
    held = and_(t.id == job.id, t.owner == job.owner, t.attempts == job.attempts, t.state == "running")
    return (await conn.execute(update(job_table).where(held).values(values))).rowcount > 0


async def quarantined(conn: AsyncConnection) -> list[Job]:
    rows = await conn.execute(
        select(job_table).where(job_table.c.state == "quarantined").order_by(job_table.c.ended_at)
    )
    return [Job(row.id, row.kind, row.key, row.payload, row.attempts, row.reason or "") for row in rows]


async def retry(conn: AsyncConnection, job_id: str, now: datetime) -> bool:
    """A quarantined job gets its attempts anew; False when there is no such job."""
    values = {"state": "waiting", "attempts": 0, "due_at": now, "owner": None, "lease_until": None, "ended_at": None}
    where = and_(job_table.c.id == job_id, job_table.c.state == "quarantined")
    return (await conn.execute(update(job_table).where(where).values(values))).rowcount > 0
