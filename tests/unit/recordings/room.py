"""The whole room on a database in memory of the test: real rows, real files, a scripted transcriber."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import core.audit
import core.db.outbox  # noqa: F401 - its table
from core.clock import ManualClock
from core.db.engine import Database
from core.db.metadata import metadata
from core.events import DomainEvent
from core.events.pbx import CallConnected, CallEnded
from core.events.stream import EventStream
from core.ids import CountingIds
from core.jobs.worker import JobQueue
from recordings import store
from recordings.disk import DiskGuard
from recordings.model import Recording
from recordings.models import NoModel, SpeechModel
from recordings.service import Recordings
from recordings.speech import SpeechChoice, Transcription
from recordings.transcriber import NoSpeech, Spoken
from recordings.transcript import Word
from tests.unit.recordings.sounds import tone, write_wav

MODEL = SpeechModel("fake-en", "en", Path("/fake"), "f" * 64)
IX = "n1-1764000000.12"


class Projecting:
    """A journal that projects at once, as the flusher does in a moment."""

    def __init__(self) -> None:
        self.pending: list[DomainEvent] = []
        self.told: list[DomainEvent] = []

    def emit(self, event: DomainEvent) -> None:
        self.pending.append(event)
        self.told.append(event)


class FakeTranscriber:
    def __init__(self) -> None:
        self.models: dict[str, SpeechModel | NoModel] = {"en": MODEL}
        self.asked: list[tuple[Path, str, float]] = []
        self.fails: list[Exception] = []
        self.closed = False

    async def __aenter__(self) -> FakeTranscriber:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True

    async def run(self) -> None:
        await asyncio.Event().wait()

    def find(self, language: str) -> SpeechModel | NoModel:
        return self.models.get(language, NoModel(language, f"no speech model for '{language}'"))

    async def check(self, language: str) -> SpeechModel | NoModel:
        return self.find(language)

    async def transcribe(self, path: Path, language: str, audio_s: float) -> Spoken:
        self.asked.append((path, language, audio_s))
        model = self.find(language)
        if isinstance(model, NoModel):
            raise NoSpeech(model.reason)
        if self.fails:
            raise self.fails.pop(0)
        words = {"caller": (Word(0.1, 0.4, "hello"),), "agent": (Word(1.0, 1.5, "yes"),)}
        return Spoken(model, words, audio_s, 0.1, 0.1)


@dataclass
class Room:
    folder: Path
    database: Database
    stream: EventStream
    clock: ManualClock
    jobs: JobQueue
    transcriber: FakeTranscriber
    transcription: Transcription
    recordings: Recordings
    disk: DiskGuard
    journal: Projecting
    heard: list[DomainEvent]
    live: set[str]
    known: list[bool]
    disk_part: list[float]
    allowed: list[bool] = field(default_factory=list)

    def legs(
        self, interaction_id: str = IX, caller_s: float | None = 2.0, agent_s: float | None = 2.0,
        declared: int | None = None,
    ) -> None:  # fmt: skip
        for side, seconds, hertz in (("rx", caller_s, 300), ("tx", agent_s, 900)):
            if seconds is not None:
                path = self.folder / "incoming" / f"{interaction_id}-{side}.wav"
                write_wav(path, tone(seconds, hertz=hertz), declared=declared)

    def connect(self, interaction_id: str = IX, extension: str = "1001") -> None:
        self.stream.emit(
            CallConnected(
                interaction_id=interaction_id, at=self.clock.now(), leg_id="l", offer_id="o", extension=extension
            )
        )

    def end(self, interaction_id: str = IX) -> None:
        self.stream.emit(CallEnded(interaction_id=interaction_id, at=self.clock.now(), reason="caller_hangup"))

    async def ended_in_vain(self, interaction_id: str = IX) -> None:
        """The call ends; returns when closing it has been tried and given up."""
        tried: list[str] = []
        guarded = self.recordings._close_guarded

        async def spy(name: str, **how: bool) -> None:
            await guarded(name, **how)
            tried.append(name)

        self.recordings._close_guarded = spy  # type: ignore[method-assign]
        self.end(interaction_id)
        await self.until(lambda: tried)
        for path in self.recordings.incoming.folder.iterdir():
            os.utime(path, (1, 1))

    async def flush(self) -> None:
        """What the journal's flusher does."""
        pending, self.journal.pending = self.journal.pending, []
        async with self.database.write() as conn:
            await store.RecordingProjector().project(conn, pending)

    async def row(self, interaction_id: str = IX) -> Recording | None:
        async with self.database.read() as conn:
            return await store.by_interaction(conn, interaction_id)

    async def work(self) -> int:
        """Does all jobs that are due."""
        count = 0
        while await self.jobs.work_once(self.transcription.handlers, "worker"):
            count += 1
        return count

    async def until(self, holds: Callable[[], object], timeout_s: float = 5.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not holds():
                await asyncio.sleep(0.005)

    def kinds(self) -> list[str]:
        return [e.kind for e in self.heard]

    async def said(self, kind: str, count: int = 1) -> DomainEvent:
        await self.until(lambda: self.kinds().count(kind) >= count)
        return [e for e in self.heard if e.kind == kind][-1]


class RealClock(ManualClock):
    """Wall time by hand, durations real: closing waits for files."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def room(tmp_path: Path, *, choice: SpeechChoice | None = None) -> AsyncIterator[Room]:
    """The room, not running; `running(room)` runs it."""
    clock, ids, journal = RealClock(), CountingIds(), Projecting()
    stream = EventStream(journal)
    database = await Database.open(f"sqlite:///{tmp_path}/db.sqlite", clock=clock, ids=ids, stream=stream)
    try:
        async with database.engine.begin() as conn:
            await conn.run_sync(metadata.create_all)
        folder = tmp_path / "recordings"
        folder.mkdir(exist_ok=True)
        jobs = JobQueue(database, clock, ids)
        transcriber = FakeTranscriber()
        allowed: list[bool] = []
        disk_part = [0.5]

        async def allow(on: bool) -> None:
            allowed.append(on)

        transcription = Transcription(
            folder=folder, database=database, jobs=jobs, events=stream, clock=clock, ids=ids,
            transcriber=transcriber, choice=choice or SpeechChoice(),  # type: ignore[arg-type]
        )  # fmt: skip
        transcription._resolver = transcriber.find
        disk = DiskGuard(folder, stream, clock, allow, lambda _: disk_part[0])
        live: set[str] = set()
        known = [True]
        service = Recordings(
            folder=folder, database=database, stream=stream, clock=clock, ids=ids, transcription=transcription,
            disk=disk, live_calls=lambda: live if known[0] else None, still_s=0.2,
        )  # fmt: skip
        heard: list[DomainEvent] = []
        spread = stream.spread

        def listen(event: DomainEvent) -> None:
            heard.append(event)
            spread(event)

        stream.spread = listen  # type: ignore[method-assign]
        yield Room(
            folder, database, stream, clock, jobs, transcriber, transcription, service, disk, journal, heard, live,
            known, disk_part, allowed,
        )  # fmt: skip
    finally:
        await database.close()


@asynccontextmanager
async def running(a_room: Room) -> AsyncIterator[Room]:
    """The room with its service listening."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(a_room.recordings.run())
        await a_room.until(lambda: a_room.stream._subscriptions and "en" in a_room.transcription.status)
        yield a_room
        task.cancel()
