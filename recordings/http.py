"""The edge of recordings: who may hear and read what, over HTTP.

Decides access and shapes; does not read files (the server sends them). Invariants: an agent hears only conversations they
took part in, for others the recording does not exist; nothing is played without an audit row that names who heard it.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from core.clock import Clock
from core.db.engine import Database
from core.errors import AftercallError, NotFound
from core.http.paging import PageQuery, cursor, read_cursor
from core.http.routes import Caller, FileAnswer, Nothing, Page, Request, Role, Route, Strict
from recordings import store
from recordings.model import Recording, State
from recordings.models import SpeechModel
from recordings.speech import Transcription

SAME_PLAYBACK_S = 60.0  # a player asks for a file in pieces: within this, they are one playback
_REMEMBERED = 10_000


class RecordingAnswer(Strict):
    id: str
    interaction_id: str
    state: State
    reason: str
    seconds: float
    channels: int
    sample_rate: int
    sha256: str
    size: int
    language: str
    agents: list[str]
    created_at: datetime
    stored_at: datetime | None
    legal_hold: bool
    transcript: str = Field(description='"", queued, waiting (for a model), done, failed')
    transcript_reason: str
    audio_url: str


class WordTuple(Strict):
    text: str
    start_s: float
    end_s: float
    confidence: float


class TurnAnswer(Strict):
    side: str
    start_s: float
    end_s: float
    text: str
    confidence: float
    words: list[WordTuple]


class TranscriptAnswer(Strict):
    id: str
    recording_id: str
    interaction_id: str
    model: str
    model_sha256: str
    language: str
    created_at: datetime
    turns: list[TurnAnswer]


class ModelAnswer(Strict):
    language: str
    on: bool
    model: str
    sha256: str
    reason: str


class ModelsAnswer(Strict):
    items: list[ModelAnswer]


class RecordingsQuery(PageQuery):
    interaction_id: Annotated[str, Field(max_length=96)] = ""


class NotStored(AftercallError):
    """There is a recording but no sound to play (yet, or any more)."""

    def __init__(self, recording: Recording) -> None:
        why = {
            State.RECORDING: "The conversation is not over yet.",
            State.EXPIRED: "The recording was kept for its time and then deleted.",
        }
        message = why.get(recording.state, f"The recording is damaged: {recording.reason}.")
        super().__init__("recordings:no-sound", message, status=409)


class NoTranscript(AftercallError):
    """The recording has no transcript; the message says whether one is to come."""

    def __init__(self, recording: Recording) -> None:
        said = recording.speech_reason or {"queued": "it is being made"}.get(recording.speech, "none was asked for")
        super().__init__("recordings:no-transcript", f"There is no transcript: {said}.", status=409)


class RecordingDesk:
    """What the routes do. `folder` is the recordings folder."""

    def __init__(self, database: Database, folder: Path, clock: Clock, transcription: Transcription) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        self._transcription = transcription
        self._heard: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def several(self, request: Request) -> Page[RecordingAnswer]:
        query: RecordingsQuery = request.query
        before = None
        if query.after:
            at, recording_id = read_cursor(query.after, str, str)
            before = (_moment(str(at)), str(recording_id))
        async with self._database.read() as conn:
            rows = await store.newest(
                conn, limit=query.limit + 1, before=before, interaction_id=query.interaction_id
            )  # fmt: skip
        shown = rows[: query.limit]
        more = len(rows) > query.limit
        return Page[RecordingAnswer](
            items=[_answer(row) for row in shown if _may_hear(request.caller, row)],
            next=cursor(shown[-1].created_at.isoformat(), shown[-1].id) if more else None,
        )

    async def one(self, request: Request) -> RecordingAnswer:
        return _answer(await self._of(request))

    async def audio(self, request: Request) -> FileAnswer:
        recording = await self._of(request)
        if recording.state is not State.STORED:
            raise NotStored(recording)
        await self._note_playback(request.caller, recording)
        started = f"{recording.created_at:%Y%m%d-%H%M%S}"
        return FileAnswer(str(self._folder / recording.path), "audio/wav", f"call-{started}.wav")

    async def transcript(self, request: Request) -> TranscriptAnswer:
        recording = await self._of(request)
        async with self._database.read() as conn:
            found = await store.transcript_of(conn, recording.id)
        if found is None:
            raise NoTranscript(recording)
        return TranscriptAnswer(
            **{name: value for name, value in vars(found).items() if name not in ("turns", "text")},
            interaction_id=recording.interaction_id,
            turns=[_turn(turn) for turn in found.turns],
        )

    async def models(self, request: Request) -> ModelsAnswer:
        items = []
        for language, found in sorted(self._transcription.status.items()):
            on = isinstance(found, SpeechModel)
            items.append(
                ModelAnswer(
                    language=language,
                    on=on,
                    model=found.name if isinstance(found, SpeechModel) else "",
                    sha256=found.sha256 if isinstance(found, SpeechModel) else "",
                    reason="" if on else str(found),
                )
            )
        return ModelsAnswer(items=items)

    async def _of(self, request: Request) -> Recording:
        async with self._database.read() as conn:
            recording = await store.find(conn, request.path["id"])
        if recording is None or not _may_hear(request.caller, recording):
            raise NotFound("recording", request.path["id"])
        return recording

    async def _note_playback(self, caller: Caller, recording: Recording) -> None:
        key, now = (caller.user_id, recording.id), self._clock.monotonic()
        heard = self._heard.get(key)
        if heard is None or now - heard > SAME_PLAYBACK_S:
            async with self._database.unit(actor=f"user:{caller.name}") as unit:
                await unit.audit("recordings:play", f"recording:{recording.id}", after={"via": caller.via})
            self._heard[key] = now
            self._heard.move_to_end(key)
            while len(self._heard) > _REMEMBERED:
                self._heard.popitem(last=False)


def routes(desk: RecordingDesk) -> list[Route]:
    """All operations of recordings."""
    one = "/api/recordings/{id}"
    return [
        Route("GET", "/api/recordings", desk.several, "Recordings, newest first", Page[RecordingAnswer],
              query=RecordingsQuery, tag="recordings"),
        Route("GET", one, desk.one, "One recording", RecordingAnswer, query=Nothing, tag="recordings", errors=(404,)),
        Route("GET", f"{one}/audio", desk.audio, "Its sound: caller left, agent right; writes an audit row", FileAnswer,
              tag="recordings", errors=(404, 409)),
        Route("GET", f"{one}/transcript", desk.transcript, "Its transcript by turns and words", TranscriptAnswer,
              tag="recordings", errors=(404, 409)),
        Route("GET", "/api/speech-models", desk.models, "Which languages are transcribed, by which model, or why not",
              ModelsAnswer, tag="recordings"),
    ]  # fmt: skip


def _may_hear(caller: Caller, recording: Recording) -> bool:
    return caller.may(Role.SUPERVISOR) or bool(caller.extension and caller.extension in recording.extensions)


def _answer(row: Recording) -> RecordingAnswer:
    return RecordingAnswer(
        id=row.id, interaction_id=row.interaction_id, state=row.state, reason=row.reason, seconds=round(row.seconds, 3),
        channels=row.channels, sample_rate=row.sample_rate, sha256=row.sha256, size=row.size, language=row.language,
        agents=list(row.extensions), created_at=row.created_at, stored_at=row.stored_at, legal_hold=row.legal_hold,
        transcript=row.speech, transcript_reason=row.speech_reason,
        audio_url=f"/api/recordings/{row.id}/audio" if row.state is State.STORED else "",
    )  # fmt: skip


def _turn(turn: dict[str, Any]) -> TurnAnswer:
    words = [WordTuple(text=t, start_s=s, end_s=e, confidence=c) for t, s, e, c in turn["words"]]
    return TurnAnswer(**{**turn, "words": words})


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise ValueError(text)
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise AftercallError("http:bad-cursor", "This is not a place in the list.", status=422) from error
