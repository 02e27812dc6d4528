"""A day's events from the event table, for the replay.

Reads, decides nothing: what routing told, and the tickets with which callers came. A day is one of the house's time zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.outbox import event_table
from core.events import DomainEvent, from_record
from core.events import routing as told
from core.events.pbx import CallWaiting

KINDS = (
    CallWaiting, told.ItemQueued, told.OfferAccepted, told.SegmentEnded, told.WrapUpEnded, told.ItemAbandoned,
    told.ItemOverflowed, told.AgentStateChanged,
)  # fmt: skip
BEFORE = timedelta(hours=12)  # who said READY that long before the day began is there at its beginning


def bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The local day's beginning and end, in UTC."""
    begins = datetime.combine(day, time(), zone)
    return begins.astimezone(UTC), datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)


async def events_of_day(conn: AsyncConnection, day: date, zone: ZoneInfo) -> list[DomainEvent]:
    """What routing told on that day, in the order of the table, and before it how each agent came into it."""
    since, until = bounds(day, zone)
    e = event_table.c
    of_day = select(e.body).where(e.at >= since, e.at < until, e.kind.in_([kind.kind for kind in KINDS]))
    rows = await conn.execute(of_day.order_by(e.at, e.position))
    events = [from_record(row.body) for row in rows]
    return [*await _states_at(conn, since), *events]


async def _states_at(conn: AsyncConnection, at: datetime) -> list[DomainEvent]:
    """Each agent's state at that moment, as if it had been told then."""
    e = event_table.c
    before = select(e.body).where(e.kind == told.AgentStateChanged.kind, e.at >= at - BEFORE, e.at < at)
    latest: dict[str, dict[str, object]] = {}
    for row in await conn.execute(before.order_by(e.at, e.position)):
        latest[row.body["extension"]] = row.body
    return [from_record({**body, "at": at.isoformat()}) for _, body in sorted(latest.items())]
