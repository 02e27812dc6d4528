"""Stored calls, read for the console: interaction, timeline, recording and transcript in one place.

Satisfies `calls.CallBook`. Reads only; what may be shown is decided in `calls.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select

from app.web.calls import CallFilter, CallRecord, CallStory, TimelineEvent
from core.db.engine import Database
from core.db.outbox import EventLog, StoredEvent
from pbx.store import interaction_table
from recordings import store as recordings
from recordings.model import Recording, Speech, Transcript
from recordings.store import recording_table

_i = interaction_table.c
_joined = interaction_table.outerjoin(recording_table, recording_table.c.interaction_id == _i.id)
_columns: list[Any] = [
    interaction_table,
    recording_table.c.state.label("sound"),
    recording_table.c.speech.label("speech"),
]
# What several processes told of the same thing (after a restart, say) is shown once.
_ONCE = frozenset(
    {"CallArrived", "CallAnswered", "CallConnected", "LegRinging", "LegAnswered", "LegEnded", "CallEnded"}
)


class StoredCalls:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._events = EventLog(database)

    async def page(self, *, limit: int, before: tuple[datetime, str] | None, only: CallFilter) -> Sequence[CallRecord]:
        statement = select(*_columns).select_from(_joined).where(_i.arrived_at.is_not(None))
        if before is not None:
            at, key = before
            statement = statement.where(or_(_i.arrived_at < at, and_(_i.arrived_at == at, _i.id < key)))
        if only.queue:
            statement = statement.where(_i.queue == only.queue)
        statement = statement.order_by(_i.arrived_at.desc(), _i.id.desc())
        async with self._database.read() as conn:
            if not only.agent:
                return [_record(row) for row in await conn.execute(statement.limit(limit))]
            # Agents stand in a JSON list: the newest calls are looked through in steps, on both databases alike.
            rows = await conn.execute(statement.limit(5000))
            return [_record(row) for row in rows if only.agent in (row.agents or [])][:limit]

    async def story(self, interaction_id: str) -> CallStory | None:
        statement = select(*_columns).select_from(_joined).where(_i.id == interaction_id)
        async with self._database.read() as conn:
            row = (await conn.execute(statement)).first()
            if row is None or row.arrived_at is None:
                return None
            sound = await recordings.by_interaction(conn, interaction_id)
            words = await recordings.transcript_of(conn, sound.id) if sound is not None else None
        events = _timeline(await self._events.for_interaction(interaction_id))
        began = row.connected_at
        return CallStory(_record(row), events, _sound(sound, began), _said(sound, words))


def _record(row: Any) -> CallRecord:
    return CallRecord(
        id=row.id, arrived_at=row.arrived_at, ani=row.ani or "", caller_name=row.caller_name or "", dnis=row.dnis or "",
        entry=row.entry or "", language=row.language or "", queue=row.queue or "", agents=tuple(row.agents or ()),
        answered_at=row.answered_at, ended_at=row.ended_at, reason=row.end_reason or "", wait_s=row.wait_s,
        talk_s=row.talk_s, disposition=row.disposition or "", has_recording=row.sound == "stored",
        has_transcript=row.speech == Speech.DONE,
    )  # fmt: skip


def _timeline(stored: Sequence[StoredEvent]) -> list[TimelineEvent]:
    events: list[TimelineEvent] = []
    told: set[tuple[str, str]] = set()
    for item in stored:
        record = dict(item.record)
        kind = record.pop("kind")
        key = (kind, str(record.get("leg_id", "")))
        if kind in _ONCE:
            if key in told:
                continue
            told.add(key)
        events.append(TimelineEvent(len(events) + 1, datetime.fromisoformat(record.pop("at")), kind, record))
    return events


def _sound(sound: Recording | None, began: datetime | None) -> dict[str, Any] | None:
    if sound is None:
        return None
    return {
        "id": sound.id, "seconds": sound.seconds, "channels": sound.channels, "state": str(sound.state),
        "starts_at": began, "reason": sound.reason, "sha256": sound.sha256,
    }  # fmt: skip


_SPEECH = {Speech.DONE: "ready", Speech.QUEUED: "waiting", Speech.WAITING: "waiting", Speech.NONE: "waiting"}


def _said(sound: Recording | None, words: Transcript | None) -> dict[str, Any] | None:
    if sound is None or str(sound.state) != "stored":
        return None
    turns = words.turns if words is not None else []
    return {
        "state": _SPEECH.get(sound.speech, "skipped"), "model": words.model if words else "",
        "language": words.language if words else sound.language, "reason": sound.speech_reason,
        "turns": [_turn(turn) for turn in turns],
    }  # fmt: skip


def _turn(turn: dict[str, Any]) -> dict[str, Any]:
    said = [
        {"text": text, "start_s": start, "end_s": end, "confidence": sure} for text, start, end, sure in turn["words"]
    ]
    return {
        "side": turn["side"], "start_s": turn["start_s"], "end_s": turn["end_s"],
        "text": turn.get("text") or " ".join(word["text"] for word in said), "words": said,
    }  # fmt: skip
