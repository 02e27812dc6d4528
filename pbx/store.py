"""Tables of interactions and their calls, as projections of events: the same function builds them live and anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Float, Index, Integer, String, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.metadata import metadata
from core.db.outbox import event_table
from core.db.types import Json, Moment
from core.db.upsert import upsert
from core.events import DomainEvent, ivr, pbx, routing
from core.journal.projector import Projector
from pbx.switchboard import KnownCall

interaction_table = Table(
    "interaction",
    metadata,
    Column("id", String(96), primary_key=True),
    Column("channel_kind", String(16), nullable=False),
    Column("ani", String(64)),
    Column("dnis", String(64)),
    Column("caller_name", String(160)),
    Column("entry", String(32)),
    Column("channel", String(120)),
    Column("linkedid", String(96)),
    Column("arrived_at", Moment),
    Column("answered_at", Moment),
    Column("queued_at", Moment),
    Column("connected_at", Moment),
    Column("ended_at", Moment),
    Column("end_reason", String(48)),
    Column("end_cause", Integer),
    Column("queue", String(64)),
    Column("language", String(8)),
    Column("level", String(24)),
    Column("problem", String(64)),
    Column("order_id", String(96)),
    Column("order_no", String(64)),
    Column("flow", String(64)),
    Column("disposition", String(64)),
    Column("agents", Json),
    Column("talk_s", Float),
    Column("wait_s", Float),
    Index("ix_interaction_arrived_at", "arrived_at"),
)
Values = dict[str, Any]
Folded = tuple[dict[str, Values], dict[str, Values]]  # by interaction: what is new, and ends that are corrected


def _arrived(event: DomainEvent) -> Values:
    assert isinstance(event, pbx.CallArrived)
    return {
        "ani": event.ani[:64], "dnis": event.dnis[:64], "caller_name": event.caller_name[:160], "entry": event.entry,
        "channel": event.channel, "linkedid": event.linkedid, "arrived_at": event.at,
    }  # fmt: skip


def _ended(event: DomainEvent) -> Values:
    assert isinstance(event, pbx.CallEnded | pbx.CallEndCorrected)
    return {"ended_at": event.at, "end_reason": event.reason, "end_cause": event.cause, "talk_s": event.talk_s}


_PROJECT: dict[type[DomainEvent], Callable[[Any], Values]] = {
    pbx.CallArrived: _arrived,
    pbx.CallAnswered: lambda e: {"answered_at": e.at},
    pbx.CallConnected: lambda e: {"connected_at": e.at, "agents": [e.extension]},
    pbx.CallEnded: _ended,
    pbx.CallEndCorrected: _ended,
    routing.ItemQueued: lambda e: {"queue": e.queue, "queued_at": e.enqueued_at, "language": e.language},
    routing.OfferAccepted: lambda e: {"wait_s": round(e.waited_s, 3)},
    routing.ItemAbandoned: lambda e: {"wait_s": round(e.waited_s, 3)},
    routing.WrapUpEnded: lambda e: {"disposition": e.disposition} if e.disposition else {},
    ivr.FlowStarted: lambda e: {"flow": e.flow, "language": e.language},
    ivr.FlowEnded: lambda e: {"problem": e.problem} if e.problem else {},
    ivr.CallerIdentified: lambda e: {"level": e.level, "order_id": e.order_id},
    ivr.OrderLookedUp: lambda e: {"order_no": e.order_no} if e.outcome == "found" else {},
}
_FIRST_WINS = frozenset(
    {"arrived_at", "answered_at", "queued_at", "connected_at", "ended_at", "end_reason", "end_cause", "talk_s"}
)
_COLUMNS = [column.name for column in interaction_table.columns if column.name != "id"]


class InteractionProjector(Projector):
    """Rows of `interaction` from events. Idempotent: the first arrival, answer and end stand, unless the end is corrected;
    the rest is the newest."""

    def fold(self, events: Sequence[DomainEvent]) -> Folded:
        changes: dict[str, Values] = {}
        corrected: dict[str, Values] = {}
        for event in events:
            project = _PROJECT.get(type(event))
            if project is None or not event.interaction_id:
                continue
            row = changes.setdefault(event.interaction_id, {})
            if isinstance(event, pbx.CallEndCorrected):
                corrected[event.interaction_id] = project(event)
                continue
            for name, value in project(event).items():
                if name == "agents":
                    row["agents"] = [*row.get("agents", []), *value]
                elif name not in _FIRST_WINS or row.get(name) is None:
                    row[name] = value
        return {key: row for key, row in changes.items() if row or key in corrected}, corrected

    async def write(self, conn: AsyncConnection, folded: Folded) -> None:
        changes, corrected = folded
        if not changes:
            return
        statement = select(interaction_table).where(interaction_table.c.id.in_(list(changes)))
        before = {row.id: row._mapping for row in await conn.execute(statement)}
        rows = [_merged(key, row, before.get(key)) | corrected.get(key, {}) for key, row in changes.items()]
        await upsert(conn, interaction_table, rows, ["id"])


def _merged(key: str, changed: Values, before: Any) -> Values:
    row: Values = {"id": key, "channel_kind": "voice"}
    for name in _COLUMNS:
        if name == "channel_kind":
            continue
        old, new = (before[name] if before is not None else None), changed.get(name)
        if name == "agents":
            row[name] = list(dict.fromkeys([*(old or []), *(new or [])]))
        elif name in _FIRST_WINS:
            row[name] = old if old is not None else new
        else:
            row[name] = new if new is not None else old
    return row


async def open_calls(conn: AsyncConnection) -> dict[str, KnownCall]:
    """Calls that arrived and have not ended, as far as the database knows."""
    t, e = interaction_table.c, event_table.c
    rows = await conn.execute(select(t.id, t.arrived_at).where(t.ended_at.is_(None), t.arrived_at.is_not(None)))
    arrived = {row.id: row.arrived_at for row in rows}
    talks = select(e.interaction_id, e.at, e.body).where(
        e.kind == pbx.CallConnected.kind, e.interaction_id.in_(list(arrived))
    )
    connected: dict[str, dict[str, datetime]] = {}
    for row in await conn.execute(talks.order_by(e.at.desc())):
        connected.setdefault(row.interaction_id, {})[row.body["leg_id"]] = row.at
    return {key: KnownCall(at, connected.get(key, {})) for key, at in arrived.items()}
