"""Tables of routing: skills an admin gave, what agents last said, and offers and segments as projections of events.

`unfinished` reads from them, and from the timelines they point into, what a process that was killed left under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Column, Float, Index, Integer, String, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.metadata import metadata
from core.db.outbox import event_table
from core.db.types import Json, Moment
from core.db.upsert import upsert
from core.events import DomainEvent, routing
from core.journal.projector import Projector
from core.lease import fenced_upsert
from pbx.store import interaction_table
from routing.callbacks import store as callbacks
from routing.model import OpenOffer, OpenWrapUp, Unfinished

skill_table = Table(
    "agent_skill",
    metadata,
    Column("extension", String(16), primary_key=True),
    Column("skills", Json, nullable=False),
    Column("teams", Json, nullable=False, server_default="[]"),
    Column("revision", Integer, nullable=False, server_default="0"),  # how often people changed it (`crew/store.py`)
)
said_table = Table(
    "agent_said",
    metadata,
    Column("extension", String(16), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("at", Moment, nullable=False),
)
offer_table = Table(
    "offer",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("interaction_id", String(96), nullable=False),
    Column("extension", String(16), nullable=False),
    Column("queue", String(64)),
    Column("attempt", Integer),
    Column("epoch", Integer),
    Column("made_at", Moment),
    Column("ringing_at", Moment),
    Column("ended_at", Moment),
    Column("outcome", String(16)),  # accepted, declined, rona, cancelled
    Column("reason", String(64)),
    Column("waited_s", Float),
    Index("ix_offer_interaction_id", "interaction_id"),
)
segment_table = Table(
    "segment",
    metadata,
    Column("offer_id", String(64), primary_key=True),
    Column("interaction_id", String(96), nullable=False),
    Column("extension", String(16), nullable=False),
    Column("queue", String(64)),
    Column("ended_at", Moment),
    Column("ring_s", Float),
    Column("talk_s", Float),
    Column("hold_s", Float),
    Column("wrap_up_s", Float),
    Column("disposition", String(64)),
    Column("reason", String(32)),
    Index("ix_segment_interaction_id", "interaction_id"),
)
Alike = tuple[Table, str, int, frozenset[str]]  # table, key, epoch, columns: what one statement can write
SAID = frozenset({"READY", "NOT_READY", "OFFLINE"})
LONGEST_TALK = timedelta(hours=12)


class RoutingProjector(Projector):
    """Offers, segments and last words from events. Idempotent: each event sets only what it knows.

    What an owner tells that has been replaced changes no row: its epoch is compared in the statement that writes, and
    `refused` counts it.
    """

    def __init__(self) -> None:
        self.refused = 0

    def fold(self, events: Sequence[DomainEvent]) -> list[tuple[Alike, list[dict[str, Any]]]]:
        changes: dict[tuple[Table, str, str, int], dict[str, Any]] = {}
        for event in events:
            if type(event) not in _TOLD_OF:
                continue
            epoch = event.epoch if isinstance(event, routing.RoutingEvent) else 0
            for table, key, row in _rows(event):
                changes.setdefault((table, key, row[key], epoch), {}).update(row)
        alike: dict[Alike, list[dict[str, Any]]] = {}
        for (table, key, _, epoch), row in changes.items():
            alike.setdefault((table, key, epoch, frozenset(row)), []).append(row)
        return sorted(alike.items(), key=lambda it: it[0][2])

    async def write(self, conn: AsyncConnection, folded: list[tuple[Alike, list[dict[str, Any]]]]) -> None:
        for (table, key, epoch, _), rows in folded:
            if not epoch:  # told before there were epochs
                await upsert(conn, table, rows, [key])
            elif refused := await fenced_upsert(conn, table, rows, key, epoch=epoch):
                self.refused += refused
                structlog.get_logger().warning("stale_write_refused", table=table.name, epoch=epoch, rows=refused)


_TOLD_OF = frozenset({
    routing.OfferMade, routing.OfferRinging, routing.OfferAccepted, routing.OfferDeclined, routing.OfferTimedOut,
    routing.OfferCancelled, routing.SegmentEnded, routing.WrapUpEnded, routing.AgentStateChanged, routing.AgentStateAsked,
    routing.CallbackRequested, routing.CallbackCalled, routing.CallbackReached, routing.CallbackMissed, routing.CallbackEnded,
})  # fmt: skip


def _rows(event: DomainEvent) -> list[tuple[Table, str, dict[str, Any]]]:
    match event:
        case (routing.CallbackRequested() | routing.CallbackCalled() | routing.CallbackReached()
              | routing.CallbackMissed() | routing.CallbackEnded()):  # fmt: skip
            return [(callbacks.callback_table, "id", callbacks.row(event))]
        case routing.OfferMade():
            return [(offer_table, "id", {
                "id": event.offer_id, "interaction_id": event.interaction_id, "extension": event.extension,
                "queue": event.queue, "attempt": event.attempt, "epoch": event.epoch, "made_at": event.at,
                "waited_s": event.waited_s,
            })]  # fmt: skip
        case routing.OfferRinging():
            return [_offer(event, ringing_at=event.at)]
        case routing.OfferAccepted():
            return [_offer(event, ended_at=event.at, outcome="accepted", reason=None, waited_s=event.waited_s)]
        case routing.OfferDeclined():
            return [_offer(event, ended_at=event.at, outcome="declined")]
        case routing.OfferTimedOut():
            return [_offer(event, ended_at=event.at, outcome="rona")]
        case routing.OfferCancelled():
            return [_offer(event, ended_at=event.at, outcome="cancelled", reason=event.reason[:64])]
        case routing.SegmentEnded():
            return [(segment_table, "offer_id", {
                "offer_id": event.offer_id, "interaction_id": event.interaction_id, "extension": event.extension,
                "queue": event.queue, "ended_at": event.at, "ring_s": event.ring_s, "talk_s": event.talk_s,
                "hold_s": event.hold_s, "reason": event.reason,
            })]  # fmt: skip
        case routing.WrapUpEnded() if event.offer_id:
            return [(segment_table, "offer_id", {
                "offer_id": event.offer_id, "interaction_id": event.interaction_id, "extension": event.extension,
                "wrap_up_s": event.wrap_up_s, "disposition": event.disposition[:64],
            })]  # fmt: skip
        case routing.AgentStateChanged() if event.state in SAID and event.actor.startswith(
            ("user:", "phone:", "rule:offer")
        ):
            return [_said(event)]
        case routing.AgentStateAsked() if event.state in SAID:
            return [_said(event)]
    return []


def _offer(event: Any, **values: Any) -> tuple[Table, str, dict[str, Any]]:
    ids = {"id": event.offer_id, "interaction_id": event.interaction_id, "extension": event.extension}
    return offer_table, "id", {**ids, **values}


def _said(event: Any) -> tuple[Table, str, dict[str, Any]]:
    row = {"extension": event.extension, "state": event.state, "reason": event.reason[:64], "at": event.at}
    return said_table, "extension", row


async def said_by_agents(conn: AsyncConnection) -> dict[str, tuple[str, str]]:
    """What each agent last said (or was put into by a rule): extension → (state, reason)."""
    return {row.extension: (row.state, row.reason) for row in await conn.execute(select(said_table))}


async def unfinished(conn: AsyncConnection, now: datetime) -> Unfinished:
    """Offers and talks that began, and after-call work that was begun, without an end; nothing older than half a day."""
    o, s, e = offer_table.c, segment_table.c, event_table.c
    since = now - LONGEST_TALK
    offers = select(o.id, o.interaction_id, o.extension, o.queue, o.made_at, o.ringing_at, o.ended_at, o.outcome).where(
        o.made_at >= since, (o.outcome.is_(None)) | (o.outcome == "accepted"),
        ~select(s.offer_id).where(s.offer_id == o.id, s.ended_at.is_not(None)).exists(),
    )  # fmt: skip
    found = [
        OpenOffer(row.interaction_id, row.id, row.extension, row.queue or "", row.made_at, row.ringing_at, row.ended_at)
        for row in await conn.execute(offers.order_by(o.made_at))
    ]
    without_end = (s.ended_at >= since, s.wrap_up_s.is_(None))
    works = select(s.offer_id, s.interaction_id, s.extension).where(*without_end)
    segments = {row.offer_id: row for row in await conn.execute(works)}
    told = select(e.at, e.body).where(
        e.kind == routing.WrapUpStarted.kind, e.interaction_id.in_(select(s.interaction_id).where(*without_end))
    )
    begun: dict[str, OpenWrapUp] = {}
    for row in await conn.execute(told.order_by(e.at)):
        offer_id = row.body["offer_id"]
        if offer_id in segments:
            began_at = begun[offer_id].began_at if offer_id in begun else row.at
            ix, extension = segments[offer_id].interaction_id, segments[offer_id].extension
            begun[offer_id] = OpenWrapUp(ix, offer_id, extension, began_at, row.at, row.body["seconds"])
    return Unfinished(tuple(found), tuple(begun.values()))


async def talks_since(conn: AsyncConnection, since: datetime) -> list[tuple[str, str, datetime]]:
    """Who talked to whom: (caller's number, extension, end), the oldest first."""
    s, i = segment_table.c, interaction_table.c
    talks = (
        select(i.ani, s.extension, s.ended_at)
        .join(interaction_table, i.id == s.interaction_id)
        .where(s.ended_at >= since, s.talk_s > 0, i.ani.is_not(None))
        .order_by(s.ended_at)
    )
    return [(row.ani, row.extension, row.ended_at) for row in await conn.execute(talks)]


async def contacts_since(conn: AsyncConnection, since: datetime) -> list[tuple[str, float]]:
    """How long contacts took with their after-call work: (queue, seconds), the oldest first."""
    s = segment_table.c
    seconds = func.coalesce(s.talk_s, 0.0) + func.coalesce(s.hold_s, 0.0) + func.coalesce(s.wrap_up_s, 0.0)
    contacts = (
        select(s.queue, seconds.label("seconds"))
        .where(s.ended_at >= since, s.talk_s > 0, s.queue.is_not(None))
        .order_by(s.ended_at)
    )
    return [(row.queue, row.seconds) for row in await conn.execute(contacts)]


async def skills_of_agents(conn: AsyncConnection) -> dict[str, dict[str, int]]:
    return {row.extension: dict(row.skills) for row in await conn.execute(select(skill_table))}


async def teams_of_agents(conn: AsyncConnection) -> dict[str, frozenset[str]]:
    return {row.extension: frozenset(row.teams) for row in await conn.execute(select(skill_table))}


async def set_skills(conn: AsyncConnection, skills: Mapping[str, Mapping[str, int]]) -> None:
    rows = [{"extension": extension, "skills": dict(given)} for extension, given in skills.items()]
    await upsert(conn, skill_table, rows, ["extension"])
