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
from routing.quarters.store import states_at

KINDS = (
    CallWaiting, told.ItemQueued, told.OfferAccepted, told.SegmentEnded, told.WrapUpEnded, told.ItemAbandoned,
    told.ItemOverflowed, told.AgentStateChanged,
)  # fmt: skip


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
    return [*await states_at(conn, since), *events]
