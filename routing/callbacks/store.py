"""The table of callbacks as a projection of events, what a start reads from it, and who called and was not served.

`missed` joins what was told of calls with callbacks: a number stands there once, and not when somebody has talked to it since.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, Integer, String, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.metadata import metadata
from core.db.outbox import event_table
from core.db.types import Json, Moment
from core.events import routing
from pbx.store import interaction_table
from routing.callbacks.model import Callback, Outcome, State
from routing.model import item_from

callback_table = Table(
    "callback",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("number", String(64)),
    Column("queue", String(64)),
    Column("state", String(16)),
    Column("item", Json),
    Column("enqueued_at", Moment),
    Column("requested_at", Moment),
    Column("asked_by", String(96)),
    Column("first_id", String(96)),
    Column("call_id", String(96)),
    Column("attempts", Integer),
    Column("next_at", Moment),
    Column("outcome", String(16)),
    Column("reason", String(64)),
    Column("ended_at", Moment),
    Index("ix_callback_state", "state"),
)
Event = (
    routing.CallbackRequested
    | routing.CallbackCalled
    | routing.CallbackReached
    | routing.CallbackMissed
    | routing.CallbackEnded
)


def row(event: Event) -> dict[str, Any]:
    """What the event says of its row; each sets only what it knows."""
    found: dict[str, Any] = {"id": event.callback_id}
    match event:
        case routing.CallbackRequested():
            found |= {
                "number": event.number[:64], "queue": event.queue, "state": str(State.WAITING), "item": event.item,
                "enqueued_at": event.enqueued_at, "requested_at": event.at, "asked_by": event.by[:96],
                "first_id": event.interaction_id,
            }  # fmt: skip
        case routing.CallbackCalled():
            found |= {"state": str(State.CALLING), "call_id": event.interaction_id}
        case routing.CallbackReached():
            found |= {"state": str(State.TALKING)}
        case routing.CallbackMissed():
            found |= {
                "state": str(State.WAITING), "attempts": event.attempt, "reason": event.reason, "next_at": event.next_at,
                "call_id": None,
            }  # fmt: skip
        case routing.CallbackEnded():
            found |= {
                "state": str(State.ENDED), "outcome": str(event.outcome), "reason": event.reason[:64], "ended_at": event.at,
                "attempts": event.attempts, "call_id": event.call_id,
            }  # fmt: skip
    return found


@dataclass(frozen=True)
class Pending:
    """Entries that have not ended; of their calls those that had arrived, and those of them that are over."""

    entries: tuple[Callback, ...] = ()
    up: frozenset[str] = frozenset()
    over: frozenset[str] = frozenset()


async def pending(conn: AsyncConnection) -> Pending:
    c, i = callback_table.c, interaction_table.c
    rows = await conn.execute(select(callback_table).where(c.state != str(State.ENDED)).order_by(c.enqueued_at))
    entries = tuple(_callback(found) for found in rows if found.item)
    ids = [it.call_id for it in entries if it.state is not State.WAITING]
    calls = await conn.execute(select(i.id, i.ended_at).where(i.id.in_(ids), i.arrived_at.is_not(None))) if ids else ()
    arrived = {call.id: call.ended_at for call in calls}
    return Pending(entries, frozenset(arrived), frozenset(key for key, ended_at in arrived.items() if ended_at))


def _callback(found: Any) -> Callback:
    item = item_from(found.item)
    if found.call_id:
        item = replace(item, interaction_id=found.call_id)
    return Callback(
        found.id, found.number or item.ani, item, found.requested_at or item.enqueued_at, found.first_id or "",
        found.asked_by or "", State(found.state), found.attempts or 0, found.next_at, found.outcome or "", found.reason or "",
    )  # fmt: skip


@dataclass(frozen=True)
class Missed:
    """A number that reached nobody, newest call first. `id`: that call's, or the callback's that was given up."""

    id: str
    number: str
    queue: str
    at: datetime
    reason: str  # abandoned, full, timeout, no_agents, closed; callback_… for a callback that was given up
    times: int = 1
    wait_s: float = 0.0


async def missed(conn: AsyncConnection, since: datetime, key: Callable[[str], str]) -> list[Missed]:
    """Who called since then, waited, and has not been talked to since. `key`: one text for one number."""
    i, c = interaction_table.c, callback_table.c
    calls = [
        call
        for call in await conn.execute(
            select(
                i.id, i.ani, i.queue, i.arrived_at, i.ended_at, i.queued_at, i.connected_at, i.wait_s, i.entry
            ).where(i.arrived_at >= since)
        )
    ]
    backs = list(await conn.execute(select(callback_table).where(c.requested_at >= since)))
    served: dict[str, datetime] = {}
    for call in calls:
        if call.connected_at is not None and call.ani:
            number = key(call.ani)
            served[number] = max(call.connected_at, served.get(number, call.connected_at))
    pending = {(key(back.number or ""), back.queue) for back in backs if back.state != State.ENDED}
    asked = {back.first_id for back in backs}
    lost = [
        call for call in calls
        if call.ani and call.ended_at is not None and call.queued_at is not None and call.connected_at is None
        and call.id not in asked and call.entry != "callback"
    ]  # fmt: skip
    why = await _why(conn, [call.id for call in lost])
    found = [
        Missed(call.id, call.ani, call.queue or "", call.ended_at, why.get(call.id, "abandoned"), 1, call.wait_s or 0.0)
        for call in lost
    ] + [
        Missed(back.id, back.number, back.queue or "", back.ended_at, f"callback_{back.reason}")
        for back in backs if back.outcome == Outcome.GIVEN_UP and back.number
    ]  # fmt: skip
    newest: dict[tuple[str, str], Missed] = {}
    for it in sorted(found, key=lambda it: (it.at, it.id)):
        number = key(it.number)
        place = (number, it.queue)
        if place in pending or (number in served and served[number] >= it.at):
            newest.pop(place, None)
            continue
        before = newest.get(place)
        newest[place] = replace(it, times=before.times + 1) if before is not None else it
    return sorted(newest.values(), key=lambda it: (it.at, it.id), reverse=True)


async def _why(conn: AsyncConnection, ids: Collection[str]) -> dict[str, str]:
    e = event_table.c
    told = await conn.execute(
        select(e.interaction_id, e.body).where(
            e.kind == routing.ItemOverflowed.kind, e.interaction_id.in_(list(ids))
        ).order_by(e.at)
    )  # fmt: skip
    return {row.interaction_id: str(row.body.get("reason", "")) or "abandoned" for row in told}
