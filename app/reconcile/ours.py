"""Our side of a comparison, read from the database in pages: calls, recordings, offers, facts that were set aside.

Reads only. What a difference is, is decided in `rules.py`. Moments are UTC; `since` is included, `until` is not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.reconcile.rules import UNSEEN, OurCall, StoredSound
from core.journal.flusher import mark_table, quarantine_table
from pbx.store import interaction_table
from recordings.model import State
from recordings.store import recording_table
from routing.store import offer_table, segment_table

PAGE = 500
LONGEST_CALL = timedelta(hours=12)
LONGEST_RING = timedelta(seconds=150)
JOINED_BY = timedelta(seconds=180)  # the end of the call, two minutes for sound to appear, one sweep
_i, _r, _o, _s, _q = interaction_table.c, recording_table.c, offer_table.c, segment_table.c, quarantine_table.c
_VOICE = (_i.channel_kind == "voice") & _i.arrived_at.is_not(None)


async def calls(conn: AsyncConnection, ids: Collection[str]) -> dict[str, OurCall]:
    """The calls of these ids that we know of."""
    rows = (await conn.execute(select(interaction_table).where(_VOICE, _i.id.in_(ids)))).all()
    ended = select(_s.interaction_id, _s.offer_id).where(_s.interaction_id.in_(ids), _s.ended_at.is_not(None))
    segments: dict[str, set[str]] = {}
    for row in await conn.execute(ended):
        segments.setdefault(row.interaction_id, set()).add(row.offer_id)
    return {row.id: _call(row, segments.get(row.id, ())) for row in rows}


async def ended_calls(
    conn: AsyncConnection, since: datetime, until: datetime, *, after: tuple[datetime, str] | None = None
) -> list[OurCall]:
    """A page of the calls that ended in this time, by their arrival, behind `after`; without their segments."""
    statement = select(interaction_table).where(
        _VOICE, _i.arrived_at >= since - LONGEST_CALL, _i.ended_at >= since, _i.ended_at < until
    )
    if after is not None:
        at, key = after
        statement = statement.where(or_(_i.arrived_at > at, and_(_i.arrived_at == at, _i.id > key)))
    return [_call(row) for row in await conn.execute(statement.order_by(_i.arrived_at, _i.id).limit(PAGE))]


async def unseen_calls(conn: AsyncConnection, since: datetime) -> list[OurCall]:
    """The calls that arrived since then and whose end nobody of ours saw, the newest few hundred."""
    statement = select(interaction_table).where(_VOICE, _i.arrived_at >= since, _i.end_reason.in_(UNSEEN))
    return [_call(row) for row in await conn.execute(statement.order_by(_i.arrived_at.desc()).limit(PAGE))]


def _call(row: Any, segments: Collection[str] = ()) -> OurCall:
    return OurCall(
        row.id, row.arrived_at, row.ended_at, row.end_reason or "", row.talk_s or 0.0, frozenset(segments)
    )  # fmt: skip


async def stored_sounds(
    conn: AsyncConnection, since: datetime, until: datetime, *, after: str = ""
) -> list[tuple[StoredSound, int]]:
    """A page of the recordings that were stored in this time, each with its number of channels, by id behind `after`."""
    statement = select(recording_table).where(
        _r.state == State.STORED, _r.created_at >= since - LONGEST_CALL, _r.stored_at >= since, _r.stored_at < until,
        _r.id > after,
    )  # fmt: skip
    return [
        (StoredSound(row.id, row.interaction_id, row.path or "", row.sha256, row.seconds), row.channels)
        for row in await conn.execute(statement.order_by(_r.id).limit(PAGE))
    ]


async def paths_of(conn: AsyncConnection, recording_ids: Collection[str]) -> dict[str, str]:
    """Where each of these recordings is said to lie; those that have no row are not in it."""
    rows = await conn.execute(select(_r.id, _r.path).where(_r.id.in_(recording_ids)))
    return {row.id: row.path for row in rows}


async def unfinished_sounds(conn: AsyncConnection, since: datetime, until: datetime) -> list[tuple[str, str, datetime]]:
    """Recordings that began and came to nothing: (recording, interaction, the call's end)."""
    statement = select(_r.id, _r.interaction_id, _i.ended_at).join(interaction_table, _i.id == _r.interaction_id)
    late = (_i.ended_at >= since - JOINED_BY) & (_i.ended_at < until - JOINED_BY)
    rows = await conn.execute(statement.where(_r.state == State.RECORDING, late).order_by(_i.ended_at))
    return [(row.id, row.interaction_id, row.ended_at) for row in rows]


async def open_offers(conn: AsyncConnection, since: datetime, until: datetime) -> list[tuple[str, str, str, datetime]]:
    """Offers nothing became of, though their call is over or no phone rings so long: (interaction, offer, extension, made)."""
    statement = select(_o.id, _o.interaction_id, _o.extension, _o.made_at).outerjoin(
        interaction_table, _i.id == _o.interaction_id
    )
    over = or_(_i.ended_at < until, _o.made_at < until - LONGEST_RING)
    rows = await conn.execute(
        statement.where(_o.outcome.is_(None), _o.made_at >= since, _o.made_at < until, over).order_by(_o.made_at)
    )
    return [(row.interaction_id, row.id, row.extension, row.made_at) for row in rows]


async def facts_set_aside(conn: AsyncConnection, since: datetime, until: datetime) -> list[Any]:
    """Rows of the quarantine of this time."""
    return list(
        (await conn.execute(select(quarantine_table).where(_q.at >= since, _q.at < until).order_by(_q.at))).all()
    )


async def marks(conn: AsyncConnection, journal_ids: Sequence[str]) -> dict[str, int]:
    """Up to which fact each of these journals stands in the database."""
    rows = await conn.execute(select(mark_table).where(mark_table.c.journal_id.in_(journal_ids)))
    return {row.journal_id: row.seq for row in rows}


async def newest_arrival(conn: AsyncConnection) -> datetime | None:
    """When the newest call arrived that anybody of ours told of."""
    newest = select(_i.arrived_at).where(_VOICE).order_by(_i.arrived_at.desc()).limit(1)
    return (await conn.execute(newest)).scalar()
