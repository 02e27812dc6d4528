"""Rows of recordings and transcripts, and the projection of what the telephone said about them.

Does not decide and does not commit: every function works on the connection it is given. Invariants: one recording per
interaction, whoever comes first; a stored recording is never turned back into a running one; a transcript appears with
all its turns or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.metadata import metadata
from core.db.types import Json, Moment
from core.events import DomainEvent
from core.events.pbx import CallConnected
from core.events.recordings import RecordingStarted
from core.journal.projector import Projector
from recordings.model import Recording, Speech, State, Transcript
from recordings.wav import Joined

recording_table = Table(
    "recording",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("interaction_id", String(96), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("path", String(200), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("seconds", Float, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("sample_rate", Integer, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("language", String(16), nullable=False),
    Column("extensions", Json, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("stored_at", Moment),
    Column("legal_hold", Boolean, nullable=False),
    Column("speech", String(16), nullable=False),
    Column("speech_reason", Text, nullable=False),
    Index("ix_recording_created_at_id", "created_at", "id"),
    Index("ix_recording_state", "state"),
    Index("ix_recording_speech", "speech"),
)
transcript_table = Table(
    "transcript",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("recording_id", String(64), ForeignKey("recording.id"), nullable=False, unique=True),
    Column("model", String(120), nullable=False),
    Column("model_sha256", String(64), nullable=False),
    Column("language", String(16), nullable=False),
    Column("turns", Json, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)
_r = recording_table.c


async def begin(
    conn: AsyncConnection, *, recording_id: str, interaction_id: str, language: str, extension: str, at: datetime
) -> None:
    """A row for a recording that has begun; where the interaction has one already, nothing happens."""
    await _begin(conn, [RecordingStarted(
        interaction_id=interaction_id, at=at, recording_id=recording_id, language=language, extension=extension
    )])  # fmt: skip


async def _begin(conn: AsyncConnection, begun: Sequence[RecordingStarted]) -> None:
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    rows = [
        {
            "id": it.recording_id, "interaction_id": it.interaction_id, "state": State.RECORDING, "reason": "", "path": "",
            "sha256": "", "seconds": 0.0, "channels": 0, "sample_rate": 0, "size": 0, "language": it.language,
            "extensions": [it.extension] if it.extension else [], "created_at": it.at, "stored_at": None,
            "legal_hold": False, "speech": Speech.NONE, "speech_reason": "",
        }
        for it in begun
    ]  # fmt: skip
    if rows:
        await conn.execute(dialect.insert(recording_table).on_conflict_do_nothing(), rows)


async def add_extension(conn: AsyncConnection, interaction_id: str, extension: str) -> None:
    """One more agent is heard on the interaction's recording."""
    await _add_extensions(conn, [(interaction_id, extension)])


async def _add_extensions(conn: AsyncConnection, heard: Sequence[tuple[str, str]]) -> None:
    """Pairs of interaction and extension; those without a recording, and those known, are left alone."""
    agents: dict[str, list[str]] = {}
    for interaction_id, extension in heard:
        if extension:
            agents.setdefault(interaction_id, []).append(extension)
    if not agents:
        return
    known = select(_r.id, _r.interaction_id, _r.extensions).where(_r.interaction_id.in_(list(agents)))
    for recording_id, interaction_id, before in await conn.execute(known):
        extensions = list(dict.fromkeys([*before, *agents[interaction_id]]))
        if len(extensions) > len(before):
            await _set(conn, recording_id, extensions=extensions)


async def mark_stored(
    conn: AsyncConnection, recording_id: str, joined: Joined, *, path: str, reason: str, at: datetime
) -> None:
    await _set(
        conn, recording_id, state=State.STORED, reason=reason, path=path, sha256=joined.sha256, seconds=joined.seconds,
        channels=joined.channels, sample_rate=joined.sample_rate, size=joined.size, stored_at=at,
    )  # fmt: skip


async def mark_damaged(conn: AsyncConnection, recording_id: str, reason: str, at: datetime) -> None:
    await _set(conn, recording_id, state=State.DAMAGED, reason=reason[:500], stored_at=at)


async def mark_expired(conn: AsyncConnection, recording_id: str) -> None:
    """The sound is gone, and what was said in it too."""
    await conn.execute(delete(transcript_table).where(transcript_table.c.recording_id == recording_id))
    await _set(conn, recording_id, state=State.EXPIRED, reason="kept for its time", path="", speech=Speech.NONE)


async def mark_speech(conn: AsyncConnection, recording_id: str, speech: Speech, reason: str = "") -> None:
    await _set(conn, recording_id, speech=speech, speech_reason=reason[:500])


async def save_transcript(conn: AsyncConnection, transcript: Transcript) -> None:
    """The recording's transcript; an older one is replaced."""
    await conn.execute(delete(transcript_table).where(transcript_table.c.recording_id == transcript.recording_id))
    await conn.execute(insert(transcript_table).values(vars(transcript)))
    await mark_speech(conn, transcript.recording_id, Speech.DONE)


async def find(conn: AsyncConnection, recording_id: str) -> Recording | None:
    return await _one(conn, _r.id == recording_id)


async def by_interaction(conn: AsyncConnection, interaction_id: str) -> Recording | None:
    return await _one(conn, _r.interaction_id == interaction_id)


async def transcript_of(conn: AsyncConnection, recording_id: str) -> Transcript | None:
    row = (await conn.execute(select(transcript_table).where(transcript_table.c.recording_id == recording_id))).first()
    return Transcript(**row._mapping) if row is not None else None


async def newest(
    conn: AsyncConnection, *, limit: int, before: tuple[datetime, str] | None = None, interaction_id: str = ""
) -> list[Recording]:
    """Newest first, behind the place `before`."""
    statement = select(recording_table).order_by(_r.created_at.desc(), _r.id.desc()).limit(limit)
    if before is not None:
        at, recording_id = before
        statement = statement.where((_r.created_at < at) | ((_r.created_at == at) & (_r.id < recording_id)))
    if interaction_id:
        statement = statement.where(_r.interaction_id == interaction_id)
    return _all(await conn.execute(statement))


async def in_state(
    conn: AsyncConnection, state: State, *, created_until: datetime, limit: int = 1000
) -> list[Recording]:
    """Oldest first."""
    statement = select(recording_table).where(_r.state == state, _r.created_at <= created_until)
    return _all(await conn.execute(statement.order_by(_r.created_at).limit(limit)))


async def waiting_for_speech(conn: AsyncConnection, limit: int = 1000) -> list[Recording]:
    """Stored recordings whose transcript waits for a model, oldest first."""
    statement = select(recording_table).where(_r.state == State.STORED, _r.speech == Speech.WAITING)
    return _all(await conn.execute(statement.order_by(_r.created_at).limit(limit)))


class RecordingProjector(Projector):
    """Rows that follow from the journal: a recording has begun, another agent is heard on it."""

    def fold(self, events: Sequence[DomainEvent]) -> tuple[list[RecordingStarted], list[CallConnected]]:
        begun = [event for event in events if isinstance(event, RecordingStarted)]
        return begun, [event for event in events if isinstance(event, CallConnected)]

    async def write(self, conn: AsyncConnection, folded: tuple[list[RecordingStarted], list[CallConnected]]) -> None:
        begun, talks = folded
        await _begin(conn, begun)
        await _add_extensions(conn, [(event.interaction_id, event.extension) for event in talks])


async def _set(conn: AsyncConnection, recording_id: str, **values: Any) -> None:
    await conn.execute(update(recording_table).where(_r.id == recording_id).values(values))


async def _one(conn: AsyncConnection, where: Any) -> Recording | None:
    found = _all(await conn.execute(select(recording_table).where(where)))
    return found[0] if found else None


def _all(rows: Iterable[Any]) -> list[Recording]:
    found = []
    for row in rows:
        values = dict(row._mapping)
        values.update(
            state=State(row.state), speech=Speech(row.speech), extensions=tuple(row.extensions), path=row.path or ""
        )
        found.append(Recording(**values))
    return found
