"""Transcripts as work: which recordings get one, when, and what becomes of those that cannot.

Decides what is tried again and what is not; how speech is recognised is `transcriber.py`'s business. Invariants: a
recording is transcribed once however often it is asked for; without a model it waits, with the reason beside it, and
costs no attempt; a transcript, its row's state and TranscriptReady appear in one transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from core.clock import Clock
from core.db.engine import Database
from core.errors import Unavailable
from core.events.orders import AlertCleared, AlertRaised
from core.events.recordings import TranscriptReady, TranscriptSkipped
from core.events.stream import EventSink
from core.ids import IdMaker
from core.jobs.store import Job
from core.jobs.worker import JobQueue
from recordings import store
from recordings.model import Recording, Speech, State, Transcript
from recordings.models import NoModel, SpeechModel, resolve
from recordings.transcriber import NoSpeech, Resolver, Spoken, Transcriber, TranscriptionFailed
from recordings.transcript import as_text, to_json, turns

JOB = "transcribe"
ALARM = "speech-model"
LOOK_S = 60.0


@dataclass(frozen=True)
class SpeechChoice:
    """What the operator set: switched on or off, and a model's folder for each language that has one."""

    enabled: bool = True
    paths: Mapping[str, Path] | None = None
    languages: Sequence[str] = ("en", "zh")

    def resolver(self) -> Resolver:
        def find(language: str) -> SpeechModel | NoModel:
            if not self.enabled:
                return NoModel(language, "it is switched off in the settings")
            return resolve(language, (self.paths or {}).get(language))

        return find


class Transcription:
    """The room's half that writes transcripts. `handlers` go to the job queue's workers."""

    def __init__(
        self, *, folder: Path, database: Database, jobs: JobQueue, events: EventSink, clock: Clock, ids: IdMaker,
        transcriber: Transcriber, choice: SpeechChoice, language: str = "en",
    ) -> None:  # fmt: skip
        self._folder = folder
        self._database = database
        self._jobs = jobs
        self._events = events
        self._clock = clock
        self._ids = ids
        self._transcriber = transcriber
        self._choice = choice
        self._resolver = choice.resolver()
        self._refused: dict[str, SpeechModel] = {}
        self._language = language
        self.status: dict[str, SpeechModel | NoModel] = {}
        self.handlers = {JOB: self.transcribe}
        jobs.on_quarantine.append(self.given_up)

    async def run(self) -> None:
        """Until cancelled: says at once what can be transcribed, and looks again now and then, so that a model installed
        meanwhile is taken up and what waited for it goes on. The speech processes end with it."""
        async with self._transcriber, asyncio.TaskGroup() as group:
            group.create_task(self._transcriber.run())
            while True:
                try:
                    await self.look()
                except Unavailable as error:
                    structlog.get_logger().warning("waiting_transcripts_not_read", reason=str(error))
                await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Finds out which languages can be transcribed, and lets what waited for one of them go on."""
        for language in dict.fromkeys((self._language, *self._choice.languages)):
            before = self.status.get(language)
            if not isinstance(before, SpeechModel):
                found = await asyncio.to_thread(self._resolver, language)
                if found == before or (isinstance(found, SpeechModel) and self._refused.get(language) == found):
                    continue
                proved = await self._transcriber.check(language)
                if isinstance(found, SpeechModel) and isinstance(proved, NoModel):
                    self._refused[language] = found  # it would be loaded in vain every minute
                self._say(language, proved)
            if isinstance(self.status[language], SpeechModel):
                await self._resume(language)

    def _say(self, language: str, found: SpeechModel | NoModel) -> None:
        had_alarm = language == self._language and isinstance(self.status.get(language), NoModel)
        self.status[language] = found
        if isinstance(found, SpeechModel):
            log = structlog.get_logger()
            log.info("transcription_on", language=language, model=found.name, sha256=found.sha256[:16])
            if had_alarm:
                self._events.emit(AlertCleared(at=self._clock.now(), what=ALARM))
            return
        structlog.get_logger().warning("transcription_off", language=language, reason=found.reason)
        if self._choice.enabled and language == self._language:
            self._events.emit(
                AlertRaised(at=self._clock.now(), what=ALARM, message=f"Calls have no transcript; {found}.")
            )

    async def ask(self, conn: AsyncConnection, recording: Recording) -> None:
        """A job for a stored recording, in the caller's transaction; asked again, nothing happens."""
        await store.mark_speech(conn, recording.id, Speech.QUEUED)
        await self._jobs.enqueue(conn, JOB, {"recording_id": recording.id}, key=f"{JOB}:{recording.id}")

    async def transcribe(self, job: Job) -> None:
        """The job's handler. Raises TranscriptionFailed where another attempt may help."""
        async with self._database.read() as conn:
            recording = await store.find(conn, str(job.payload["recording_id"]))
        if recording is None or recording.state is not State.STORED or recording.speech is Speech.DONE:
            return
        language = recording.language or self._language
        try:
            spoken = await self._transcriber.transcribe(self._folder / recording.path, language, recording.seconds)
        except NoSpeech as error:
            if isinstance(self.status.get(language), SpeechModel):
                self._say(language, NoModel(language, error.message.removeprefix("transcription off: ")))
            await self._skip(recording, Speech.WAITING, error.message)
            return
        except TranscriptionFailed as error:
            if error.kind != "audio":
                raise
            await self._skip(recording, Speech.FAILED, error.message)
            return
        await self._save(recording, language, spoken)

    async def given_up(self, job: Job, reason: str) -> None:
        """The job's last attempt failed: the recording says why it has no transcript."""
        if job.kind != JOB:
            return
        async with self._database.read() as conn:
            recording = await store.find(conn, str(job.payload["recording_id"]))
        if recording is not None and recording.speech is not Speech.DONE:
            await self._skip(recording, Speech.FAILED, f"given up after {job.attempts} attempts: {reason}")

    async def _save(self, recording: Recording, language: str, spoken: Spoken) -> None:
        conversation = turns(spoken.sides)
        transcript = Transcript(
            id=self._ids(),
            recording_id=recording.id,
            model=spoken.model.name,
            model_sha256=spoken.model.sha256,
            language=language,
            turns=to_json(conversation),
            text=as_text(conversation),
            created_at=self._clock.now(),
        )
        async with self._database.unit(actor="rule:transcription") as unit:
            await store.save_transcript(unit.conn, transcript)
            unit.emit(
                TranscriptReady(
                    interaction_id=recording.interaction_id, at=transcript.created_at, recording_id=recording.id,
                    transcript_id=transcript.id, model=transcript.model, turns=len(conversation), language=language,
                )
            )  # fmt: skip

    async def _skip(self, recording: Recording, speech: Speech, reason: str) -> None:
        async with self._database.unit(actor="rule:transcription") as unit:
            await store.mark_speech(unit.conn, recording.id, speech, reason)
            unit.emit(
                TranscriptSkipped(
                    interaction_id=recording.interaction_id, at=self._clock.now(), recording_id=recording.id,
                    reason=reason[:500],
                )
            )  # fmt: skip

    async def _resume(self, language: str) -> None:
        async with self._database.read() as conn:
            waiting = [r for r in await store.waiting_for_speech(conn) if (r.language or self._language) == language]
        if not waiting:
            return
        async with self._database.unit(actor="rule:transcription") as unit:
            for recording in waiting:
                await store.mark_speech(unit.conn, recording.id, Speech.QUEUED)
                again = f"{JOB}:{recording.id}:{self._ids()}"  # the first job is done: it found no model
                await self._jobs.enqueue(unit.conn, JOB, {"recording_id": recording.id}, key=again)
        self._jobs.wake()
