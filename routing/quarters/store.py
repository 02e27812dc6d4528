"""Tables of quarters of an hour, and the events they are counted from.

Does not count (`routing/intervals.py`) and does not decide when (`keeper.py`). A row's key is the beginning of its interval in
UTC and whose it is; its figures are those of `QueueRow` and `AgentRow`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, String, Table, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.metadata import metadata
from core.db.outbox import event_table
from core.db.types import Json, Moment
from core.db.upsert import upsert
from core.events import DomainEvent, from_record
from core.events import routing as told
from routing.intervals import AgentRow, QueueRow

queue_table = Table(
    "quarter_queue",
    metadata,
    Column("since", Moment, primary_key=True),
    Column("queue", String(64), primary_key=True),
    Column("figures", Json, nullable=False),
)
agent_table = Table(
    "quarter_agent",
    metadata,
    Column("since", Moment, primary_key=True),
    Column("extension", String(64), primary_key=True),
    Column("figures", Json, nullable=False),
)
mark_table = Table(
    "quarter_mark",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("until", Moment, nullable=False),
)
OF_ITEMS = (
    told.ItemQueued,
    told.OfferAccepted,
    told.ItemAbandoned,
    told.ItemOverflowed,
    told.SegmentEnded,
    told.WrapUpEnded,
)
OF_AGENTS = (told.AgentStateChanged, told.OfferTimedOut, told.OfferDeclined)
ITEM_KINDS = [kind.kind for kind in OF_ITEMS]
KINDS = [*ITEM_KINDS, *(kind.kind for kind in OF_AGENTS)]
BEFORE = timedelta(hours=12)  # who said READY that long before an interval is there at its beginning
LATER = timedelta(hours=6)  # so late a caller who came in an interval may be told of for the first time: we were away


@dataclass(frozen=True)
class Mark:
    """Events up to `position` are in the rows, and rows up to `until` are there."""

    position: int
    until: datetime


async def mark(conn: AsyncConnection) -> Mark | None:
    row = (await conn.execute(select(mark_table))).first()
    return None if row is None else Mark(row.position, row.until)


async def newest_position(conn: AsyncConnection) -> int:
    return int((await conn.execute(select(func.max(event_table.c.position)))).scalar() or 0)


async def earliest(conn: AsyncConnection) -> datetime | None:
    """When the first event that counts was told."""
    e = event_table.c
    at: datetime | None = (await conn.execute(select(func.min(e.at)).where(e.kind.in_(KINDS)))).scalar()
    return at


async def touched(conn: AsyncConnection, after: int, upto: int) -> datetime | None:
    """The earliest moment about which the events behind position `after` tell something new."""
    e = event_table.c
    found: list[datetime] = []
    new = select(e.at, e.kind, e.body, e.interaction_id).where(
        e.position > after, e.position <= upto, e.kind.in_(KINDS)
    )
    ended: set[str] = set()
    for row in await conn.execute(new):
        back_s = max(float(row.body.get(name) or 0.0) for name in ("waited_s", "wrap_up_s"))
        found.append(row.at - timedelta(seconds=back_s + (1.0 if back_s else 0.0)))
        if row.kind == told.ItemQueued.kind:
            found.append(datetime.fromisoformat(row.body["enqueued_at"]).astimezone(UTC))
        elif row.kind == told.ItemOverflowed.kind:  # it does not say how long they had waited
            ended.add(row.interaction_id)
    known = sorted(ended)
    for n in range(0, len(known), 500):
        came = select(e.body).where(e.interaction_id.in_(known[n : n + 500]), e.kind == told.ItemQueued.kind)
        found += [datetime.fromisoformat(row.body["enqueued_at"]).astimezone(UTC) for row in await conn.execute(came)]
    return min(found, default=None)


async def events_of(conn: AsyncConnection, since: datetime, until: datetime) -> list[DomainEvent]:
    """All that the rows of [since, until) are counted from, in order: what was told then, and before and afterwards of the same
    callers; with each agent's state at the beginning."""
    e = event_table.c
    then = and_(e.at >= since, e.at < until, e.kind.in_(KINDS))
    around = and_(e.kind.in_(ITEM_KINDS), e.at >= since, e.at < until + LATER, e.interaction_id != "")
    whose = select(e.interaction_id).where(around).distinct()
    wanted = select(e.body).where(or_(then, and_(e.interaction_id.in_(whose), e.kind.in_(ITEM_KINDS))))
    rows = await conn.execute(wanted.order_by(e.at, e.position))
    return [*await states_at(conn, since), *(from_record(row.body) for row in rows)]


async def states_at(conn: AsyncConnection, at: datetime) -> list[DomainEvent]:
    """Each agent's state at that moment, as if it had been told then."""
    e = event_table.c
    before = select(e.body).where(e.kind == told.AgentStateChanged.kind, e.at >= at - BEFORE, e.at < at)
    latest: dict[str, dict[str, object]] = {}
    for row in await conn.execute(before.order_by(e.at, e.position)):
        latest[row.body["extension"]] = row.body
    return [from_record({**body, "at": at.isoformat()}) for _, body in sorted(latest.items())]


async def replace_rows(
    conn: AsyncConnection, since: datetime, until: datetime, queues: Sequence[QueueRow], agents: Sequence[AgentRow]
) -> None:
    """These and no others in [since, until)."""
    both: tuple[tuple[Table, str, Sequence[QueueRow | AgentRow]], ...] = (
        (queue_table, "queue", queues), (agent_table, "extension", agents),
    )  # fmt: skip
    for table, key, rows in both:
        await conn.execute(delete(table).where(table.c.since >= since, table.c.since < until))
        values = [{"since": row.since, key: getattr(row, key), "figures": _figures(row, key)} for row in rows]
        if values:
            await conn.execute(insert(table), values)


def _figures(row: QueueRow | AgentRow, key: str) -> dict[str, Any]:
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in asdict(row).items() if name not in ("since", key)
    }  # fmt: skip


async def move_mark(conn: AsyncConnection, before: Mark | None, now: Mark) -> bool:
    """False when somebody else has counted meanwhile."""
    values = {"position": now.position, "until": now.until}
    if before is None:
        return await upsert(conn, mark_table, [{"id": 1, **values}], ["id"], update=False)
    known = update(mark_table).where(mark_table.c.position == before.position, mark_table.c.until == before.until)
    return bool((await conn.execute(known.values(**values))).rowcount)


async def rows(
    conn: AsyncConnection, table: Table, key: str, since: datetime, until: datetime, *, only: str = "", limit: int,
    after: tuple[datetime, str] | None = None,
) -> list[tuple[datetime, str, dict[str, Any]]]:  # fmt: skip
    """By moment and key, those behind `after`."""
    c = table.c
    wanted = select(c.since, c[key], c.figures).where(c.since >= since, c.since < until)
    if only:
        wanted = wanted.where(c[key] == only)
    if after is not None:
        wanted = wanted.where(or_(c.since > after[0], and_(c.since == after[0], c[key] > after[1])))
    found = await conn.execute(wanted.order_by(c.since, c[key]).limit(limit))
    return [(row[0], row[1], dict(row[2])) for row in found]
