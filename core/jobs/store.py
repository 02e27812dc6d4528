"""The table of jobs, and the statements that claim, finish, fail and quarantine them."""

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
    """A piece of work: `attempts` counts this one too."""

    id: str
    kind: str
    key: str
    payload: dict[str, Any]
    attempts: int
    reason: str = ""


async def enqueue(
    conn: AsyncConnection, *, job_id: str, kind: str, key: str, payload: dict[str, Any], now: datetime
) -> bool:
    """Adds a job inside the caller's transaction; one with the same key is there already: nothing happens (False)."""
    row = {
        "id": job_id, "kind": kind, "key": key, "payload": payload, "state": "waiting", "attempts": 0, "due_at": now,
        "lease_until": None, "owner": None, "reason": None, "created_at": now, "ended_at": None,
    }  # fmt: skip
    return await upsert(conn, job_table, [row], ["key"], update=False) > 0


async def claim(
    conn: AsyncConnection, *, owner: str, kinds: list[str], now: datetime, lease_s: float
) -> tuple[Job | None, list[Job]]:
    """The oldest due job with a lease on it, and those quarantined on the way because their last worker died on them."""
    t = job_table.c
    free = or_(and_(t.state == "waiting", t.due_at <= now), and_(t.state == "running", t.lease_until < now))
    quarantined: list[Job] = []
    while True:
        oldest = select(job_table).where(free, t.kind.in_(kinds)).order_by(t.due_at, t.id).limit(1)
        if conn.dialect.name == "postgresql":
            oldest = oldest.with_for_update(skip_locked=True)
        row = (await conn.execute(oldest)).first()
        if row is None:
            return None, quarantined
        job = Job(row.id, row.kind, row.key, row.payload, row.attempts + 1, row.reason or "")
        if row.attempts < MAX_ATTEMPTS:
            values = {"state": "running", "owner": owner, "attempts": job.attempts,
                      "lease_until": now + timedelta(seconds=lease_s)}  # fmt: skip
            await conn.execute(update(job_table).where(t.id == row.id).values(values))
            return job, quarantined
        reason = row.reason or "its worker died at every attempt"
        await _end(conn, row.id, "quarantined", now, reason)
        quarantined.append(Job(row.id, row.kind, row.key, row.payload, row.attempts, reason))


async def extend(conn: AsyncConnection, job: Job, owner: str, until: datetime) -> bool:
    """A longer lease; False when it has been lost to somebody else."""
    mine = and_(job_table.c.id == job.id, job_table.c.owner == owner, job_table.c.attempts == job.attempts)
    result = await conn.execute(update(job_table).where(mine, job_table.c.state == "running").values(lease_until=until))
    return result.rowcount > 0


async def finish(conn: AsyncConnection, job: Job, now: datetime) -> None:
    await _end(conn, job.id, "done", now, None)


async def fail(conn: AsyncConnection, job: Job, *, now: datetime, reason: str, pause_s: float) -> bool:
    """Back to waiting after a pause, or quarantined when that was the last attempt (True)."""
    if job.attempts >= MAX_ATTEMPTS:
        await _end(conn, job.id, "quarantined", now, reason)
        return True
    values = {"state": "waiting", "owner": None, "lease_until": None, "reason": reason,
              "due_at": now + timedelta(seconds=pause_s)}  # fmt: skip
    await conn.execute(update(job_table).where(job_table.c.id == job.id).values(values))
    return False


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


async def _end(conn: AsyncConnection, job_id: str, state: str, now: datetime, reason: str | None) -> None:
    values = {"state": state, "ended_at": now, "lease_until": None, "owner": None, "reason": reason}
    await conn.execute(update(job_table).where(job_table.c.id == job_id).values(values))
