"""Keeps the sound of conversations: notes when one begins, and when the caller is gone makes one stereo file of it.

Decides when a recording is complete, damaged or over its time; how sound is joined is `wav.py`'s business, transcripts
are `speech.py`'s. Invariants: a recording is shown as stored only when its file lies whole and synced on disk and its
row, checksum and event are committed together; the legs are removed after that and not before; whatever was left lying
by a crash, a full disk or a database that was down is picked up by `sweep`; a call never waits for any of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from core.clock import Clock
from core.db.engine import Database
from core.errors import Unavailable
from core.events.base import DomainEvent
from core.events.ivr import FlowEnded, FlowStarted
from core.events.pbx import CallConnected, CallEnded, CallWaiting, SwitchLinkChanged
from core.events.recordings import RecordingDamaged, RecordingExpired, RecordingStarted, RecordingStored
from core.events.stream import EventStream
from core.ids import IdMaker
from recordings import store, wav
from recordings.disk import DiskGuard
from recordings.legs import Incoming, Legs
from recordings.model import Recording, State, place_of, safe_id
from recordings.retention import Kept, expired
from recordings.speech import Transcription

POLL_S = 0.05  # how often files that are being closed are looked at; Asterisk needs less than 0.5 s
STILL_S = 1.0  # files that have not grown for this long after the call will not
LEGS_S = 10.0
SWEEP_S = 60.0
DISK_S = 10.0
LOST_S = 120.0  # a recording that began, whose call is over and that left no file after this, has none
MOST_CLOSING = 4
MOST_CALLS = 20_000
ACTOR = "rule:recording"
LISTENS = ("FlowStarted", "FlowEnded", "CallWaiting", "CallConnected", "CallEnded", "SwitchLinkChanged")
LiveCalls = Callable[[], Collection[str] | None]


@dataclass
class _Begun:
    """What is known of a recording while its call lives."""

    recording_id: str
    at: datetime
    language: str
    extensions: list[str] = field(default_factory=list)
    fault: str = ""


class Recordings:
    """`run()` until cancelled, the transcription's with it. `live_calls()` names the interactions whose callers are on
    the line, None while that is not known."""

    def __init__(
        self, *, folder: Path, database: Database, stream: EventStream, clock: Clock, ids: IdMaker,
        transcription: Transcription, disk: DiskGuard, live_calls: LiveCalls, keep_days: int = 180,
        still_s: float = STILL_S,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.incoming = Incoming(folder / "incoming")
        self._aside = folder / "unusable"
        self._database = database
        self._stream = stream
        self._clock = clock
        self._ids = ids
        self._transcription = transcription
        self._disk = disk
        self._live_calls = live_calls
        self._keep_days = keep_days
        self._still_s = still_s
        self._languages: dict[str, str] = {}
        self._begun: dict[str, _Begun] = {}
        self._closing: set[str] = set()
        self._hands = asyncio.Semaphore(MOST_CLOSING)
        self._sweep_now = asyncio.Event()

    async def run(self) -> None:
        """Listens, closes, sweeps, watches the disk."""
        await asyncio.to_thread(self._make_folders)
        subscription = self._stream.subscribe("recordings", asyncio.Event(), only=LISTENS)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch_disk())
                group.create_task(self._sweep_ever())
                group.create_task(self._transcription.run())
                async for event in subscription:
                    if subscription.lagged:
                        subscription.lagged = False
                        self._sweep_now.set()
                    if isinstance(event, CallEnded):
                        if safe_id(event.interaction_id):
                            group.create_task(self._close_guarded(event.interaction_id, only_ours=True))
                    else:
                        await self._note(event)
        finally:
            subscription.close()

    # --- while the call lives

    async def _note(self, event: DomainEvent) -> None:
        if isinstance(event, CallWaiting | FlowStarted | FlowEnded):
            if event.language:
                self._languages[event.interaction_id] = event.language
                if len(self._languages) > MOST_CALLS:  # calls whose end we missed
                    del self._languages[next(iter(self._languages))]
        elif isinstance(event, CallConnected):
            await self._begin(event)
        elif isinstance(event, SwitchLinkChanged) and event.up:
            await self._disk.tell()
            self._sweep_now.set()

    async def _begin(self, event: CallConnected) -> None:
        """The first agent: a recording has begun. Others after a transfer are heard on the same one."""
        known = self._begun.get(event.interaction_id)
        if known is None:
            row = await self._known_row(event.interaction_id)
            language = self._languages.get(event.interaction_id, "")
            known = _Begun(row.id if row else self._ids(), event.at, (row.language if row else "") or language)
            known.fault = self._disk.reason
            self._begun[event.interaction_id] = known
            if row is None:
                self._stream.emit(
                    RecordingStarted(
                        interaction_id=event.interaction_id, at=event.at, recording_id=known.recording_id,
                        language=language, extension=event.extension,
                    )
                )  # fmt: skip
        if event.extension and event.extension not in known.extensions:
            known.extensions.append(event.extension)

    async def _known_row(self, interaction_id: str) -> Recording | None:
        """A row from before a restart. A database that is down is no reason to wait: the row is found when closing."""
        try:
            async with self._database.read(deadline_s=1.0) as conn:
                return await store.by_interaction(conn, interaction_id)
        except Unavailable:
            return None

    # --- when it is over

    async def _close_guarded(self, interaction_id: str, *, only_ours: bool = False) -> None:
        """Closes once at a time; what cannot be done now is left lying for the next sweep."""
        if interaction_id in self._closing:
            return
        self._closing.add(interaction_id)
        try:
            async with self._hands:
                await self.close(interaction_id, only_ours=only_ours)
        except (Unavailable, OSError) as error:
            structlog.get_logger().warning(
                "recording_not_closed_yet", interaction_id=interaction_id, reason=str(error.__cause__ or error)
            )
        finally:
            self._closing.discard(interaction_id)
            if interaction_id not in self._begun:
                self._languages.pop(interaction_id, None)

    async def close(self, interaction_id: str, *, only_ours: bool = False) -> None:
        """Makes the recording of a call that is over. Does nothing when the call left no sound and none was due: as far as
        we know (`only_ours`; most calls are never recorded, and what we do not know of is swept), or the database. Raises
        Unavailable or OSError when it must be tried again."""
        begun = self._begun.get(interaction_id)
        if not await self._legs_are_done(interaction_id, expected=begun is not None):
            if begun is None and only_ours:
                return
            row = await self._known_row(interaction_id)
            if begun is None and (row is None or row.state is not State.RECORDING):
                return
        row = await self._claim(interaction_id, begun)
        if row.state is State.RECORDING:
            await self._store(row, begun)
        elif row.state is State.DAMAGED:
            await asyncio.to_thread(self.incoming.set_aside, interaction_id, self._aside)
        else:
            await asyncio.to_thread(self.incoming.remove, interaction_id)  # stored before we were killed
        self._begun.pop(interaction_id, None)

    async def _legs_are_done(self, interaction_id: str, *, expected: bool) -> bool:
        """Waits until both files are whole, or have not grown for a while; False when there are none. Raises OSError when
        they still grow at the deadline: somebody is still talking into them."""
        begun = self._clock.monotonic()
        still_since, before = begun, None
        while True:
            look = await asyncio.to_thread(self.incoming.look, interaction_id)
            now = self._clock.monotonic()
            if look.whole:
                return True
            if look.sizes != before:
                still_since, before = now, look.sizes
            if now - still_since >= self._still_s or not (look.any or expected):
                return look.any
            if now - begun > LEGS_S:
                raise OSError("the files still grow though the call is over")
            await asyncio.sleep(POLL_S)

    async def _claim(self, interaction_id: str, begun: _Begun | None) -> Recording:
        """The recording's row, made now if the journal has not brought it yet: from here on its id, and with it the
        file's place, is fixed whatever happens."""
        async with self._database.unit(actor=ACTOR) as unit:
            await store.begin(
                unit.conn, recording_id=begun.recording_id if begun else self._ids(), interaction_id=interaction_id,
                language=begun.language if begun else self._languages.get(interaction_id, ""), extension="",
                at=begun.at if begun else self._clock.now(),
            )  # fmt: skip
            for extension in begun.extensions if begun else ():
                await store.add_extension(unit.conn, interaction_id, extension)
            row = await store.by_interaction(unit.conn, interaction_id)
        assert row is not None
        return row

    async def _store(self, row: Recording, begun: _Begun | None) -> None:
        legs = await asyncio.to_thread(self.incoming.take, row.interaction_id)
        place = place_of(row.id, row.created_at)
        try:
            joined = await asyncio.to_thread(wav.join, legs.caller, legs.agent, self.folder / place)
        except wav.BadAudio as error:
            await self._damaged(row, begun, legs, error.message)
            return
        notes = [*legs.faults, *joined.repairs, *([begun.fault] if begun and begun.fault else [])]
        async with self._database.unit(actor=ACTOR) as unit:
            now = self._clock.now()
            await store.mark_stored(unit.conn, row.id, joined, path=str(place), reason="; ".join(notes)[:500], at=now)
            await self._transcription.ask(unit.conn, row)
            unit.emit(
                RecordingStored(
                    interaction_id=row.interaction_id, at=now, recording_id=row.id, path=str(place),
                    sha256=joined.sha256, seconds=joined.seconds, channels=joined.channels,
                    sample_rate=joined.sample_rate,
                )
            )  # fmt: skip
        await asyncio.to_thread(self.incoming.remove, row.interaction_id)

    async def _damaged(self, row: Recording, begun: _Begun | None, legs: Legs, why: str) -> None:
        fault = begun.fault if begun else ""
        reason = fault or ("; ".join(legs.faults) if legs.faults else why.rstrip("."))
        if not fault and legs.faults == ("the caller's leg is missing", "the agent's leg is missing"):
            reason = "no sound was written for this call"
        async with self._database.unit(actor=ACTOR) as unit:
            now = self._clock.now()
            await store.mark_damaged(unit.conn, row.id, reason, now)
            unit.emit(
                RecordingDamaged(interaction_id=row.interaction_id, at=now, recording_id=row.id, reason=reason[:500])
            )
        await asyncio.to_thread(self.incoming.set_aside, row.interaction_id, self._aside)

    # --- what was left lying

    async def sweep(self) -> int:
        """Closes what belongs to calls that are over: files in `incoming`, and rows that never got any. Returns how many
        were looked at; 0 while it is not known which calls live."""
        live = self._live_calls()
        if live is None:
            return 0
        left = [ix for ix in await asyncio.to_thread(self.incoming.interactions, self._still_s) if ix not in live]
        async with self._database.read() as conn:
            since = self._clock.now() - timedelta(seconds=LOST_S)
            rows = await store.in_state(conn, State.RECORDING, created_until=since)
        left += [r.interaction_id for r in rows if r.interaction_id not in live and r.interaction_id not in left]
        async with asyncio.TaskGroup() as group:
            for interaction_id in left:
                group.create_task(self._close_guarded(interaction_id))
        return len(left)

    async def expire(self) -> int:
        """Deletes sound and transcripts whose time is over. The row goes last, so that a crash leaves no orphan."""
        now = self._clock.now()
        async with self._database.read() as conn:
            rows = await store.in_state(conn, State.STORED, created_until=now - timedelta(days=self._keep_days))
        due = set(expired([Kept(r.id, r.created_at, r.legal_hold) for r in rows], self._keep_days, now))
        for row in (r for r in rows if r.id in due):
            await asyncio.to_thread((self.folder / row.path).unlink, missing_ok=True)
            async with self._database.unit(actor="rule:retention") as unit:
                await store.mark_expired(unit.conn, row.id)
                await unit.audit("recordings:expire", f"recording:{row.id}", before={"path": row.path})
                unit.emit(RecordingExpired(interaction_id=row.interaction_id, at=now, recording_id=row.id))
        return len(due)

    async def _sweep_ever(self) -> None:
        while True:
            try:
                await self.sweep()
                await self.expire()
            except (Unavailable, OSError) as error:
                structlog.get_logger().warning("recordings_not_swept", reason=str(error.__cause__ or error))
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self._sweep_now.wait()
            except TimeoutError:
                continue
            finally:
                self._sweep_now.clear()

    async def _watch_disk(self) -> None:
        while True:
            try:
                await self._disk.look()
            except OSError as error:
                structlog.get_logger().warning("disk_not_measured", reason=str(error))
            await asyncio.sleep(DISK_S)

    def _make_folders(self) -> None:
        self.incoming.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for half in self.folder.glob("[0-9]*/[0-9]*/[0-9]*/.*.part"):
            half.unlink(missing_ok=True)  # a joining that was killed
