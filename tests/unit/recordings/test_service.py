"""From the agent's answer to the stored file: whole, once, and whatever happens between."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import soundfile as sf

from core.errors import Unavailable
from core.events.ivr import FlowEnded
from core.events.pbx import SwitchLinkChanged
from core.events.recordings import RecordingDamaged, RecordingStarted, RecordingStored
from recordings import store, wav
from recordings.model import Speech, State
from tests.unit.recordings.room import IX, Room, room, running
from tests.unit.recordings.sounds import write_wav


async def stored(a_room: Room, interaction_id: str = IX) -> RecordingStored:
    event = await a_room.said("RecordingStored")
    assert isinstance(event, RecordingStored)
    await a_room.until(lambda: not list(a_room.recordings.incoming.interactions()))
    return event


async def test_a_call_becomes_one_stereo_file_with_row_checksum_and_job(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.stream.emit(FlowEnded(interaction_id=IX, at=r.clock.now(), flow="m", exit="handoff", language="en"))
        r.connect()
        r.legs()
        r.end()
        event = await stored(r)
        row = await r.row()
        assert row is not None
        assert (row.state, row.id, row.language, row.extensions) == (State.STORED, event.recording_id, "en", ("1001",))
        file = r.folder / row.path
        assert hashlib.sha256(file.read_bytes()).hexdigest() == row.sha256 == event.sha256
        assert sf.info(file).channels == 2
        assert (row.seconds, row.channels, row.size) == (2.0, 2, file.stat().st_size)
        assert file.relative_to(r.folder).parts[:3] == ("2026", "11", "24")
        started = next(e for e in r.heard if isinstance(e, RecordingStarted))
        assert (started.recording_id, started.extension, started.language) == (row.id, "1001", "en")
        assert await r.work() == 1
        await r.said("TranscriptReady")
        row = await r.row()
        assert row is not None and row.speech is Speech.DONE
        async with r.database.read() as conn:
            transcript = await store.transcript_of(conn, row.id)
        assert transcript is not None
        assert [t["text"] for t in transcript.turns] == ["hello", "yes"]
        assert transcript.model == "fake-en"


async def test_a_caller_who_reached_nobody_has_no_recording(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.end()
        r.end("../../etc/passwd")
        r.legs("n1-2.2")
        r.end("n1-2.2")
        await stored(r, "n1-2.2")
        assert await r.row() is None


async def test_a_transfer_adds_an_agent_to_the_same_recording(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.connect(extension="1001")
        r.connect(extension="1002")
        r.legs()
        r.end()
        await stored(r)
        row = await r.row()
        assert row is not None and row.extensions == ("1001", "1002")
        assert r.kinds().count("RecordingStarted") == 1


async def test_files_still_being_written_are_waited_for(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.connect()
        r.legs(caller_s=0.5, declared=0)
        r.end()
        await r.until(lambda: IX in r.recordings._closing)
        r.legs(caller_s=3.0, agent_s=3.0)
        assert (await stored(r)).seconds == 3.0


async def test_legs_of_an_asterisk_that_was_killed_are_mended(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.connect()
        r.legs(declared=0)
        r.end()
        assert (await stored(r)).seconds == 2.0
        row = await r.row()
        assert row is not None and "the header gave no length" in row.reason


async def test_one_leg_alone_is_kept_with_silence_on_the_other_side(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.connect()
        r.legs(agent_s=None)
        r.end()
        event = await stored(r)
        samples, _ = sf.read(r.folder / event.path)
        assert samples[:, 0].any() and not samples[:, 1].any()
        row = await r.row()
        assert row is not None and row.reason == "the agent's leg is missing"


async def test_a_talk_without_any_sound_is_told_as_damaged(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.connect()
        r.end()
        event = await r.said("RecordingDamaged")
        assert isinstance(event, RecordingDamaged)
        assert event.reason == "no sound was written for this call"
        row = await r.row()
        assert row is not None and row.state is State.DAMAGED


@pytest.mark.parametrize("what", ["mp3", "fifo", "link"])
async def test_what_is_no_sound_is_set_aside_and_told(tmp_path: Path, what: str) -> None:
    async with room(tmp_path) as r, running(r):
        r.connect()
        for side in ("rx", "tx"):
            path = r.recordings.incoming.folder / f"{IX}-{side}.wav"
            if what == "mp3":
                path.write_bytes(b"ID3" + b"\0" * 100)
            elif what == "fifo":
                os.mkfifo(path)
            else:
                path.symlink_to("/etc/passwd")
        r.end()
        event = await r.said("RecordingDamaged")
        assert isinstance(event, RecordingDamaged)
        assert "cannot be used" in event.reason
        await r.until(lambda: not list(r.recordings.incoming.folder.iterdir()))
        assert len(list((r.folder / "unusable").iterdir())) == 2
        assert Path("/etc/passwd").exists()


async def test_ended_twice_is_stored_once(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.connect()
        r.legs()
        r.end()
        r.end()
        await stored(r)
        r.end()
        await r.flush()
        await r.recordings.sweep()
        assert r.kinds().count("RecordingStored") == 1
        assert await r.work() == 1


async def test_the_journal_coming_late_changes_nothing(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.connect()
        r.legs()
        r.end()
        event = await stored(r)
        await r.flush()
        row = await r.row()
        assert row is not None and (row.state, row.id) == (State.STORED, event.recording_id)
        await r.flush()


# --- after a restart


async def test_a_call_that_ended_while_we_were_down_is_stored_under_its_first_id(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        async with running(r):
            r.connect()
            started = await r.said("RecordingStarted")
            await r.flush()
        r.legs()
    async with room(tmp_path) as r:
        old = r.recordings.incoming.folder
        for path in old.iterdir():
            os.utime(path, (1, 1))
        assert await r.recordings.sweep() == 1
        row = await r.row()
        assert isinstance(started, RecordingStarted)
        assert row is not None and (row.id, row.state) == (started.recording_id, State.STORED)
        assert row.extensions == ("1001",)


async def test_a_call_that_goes_on_after_a_restart_keeps_its_recording(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.connect()
        await r.said("RecordingStarted")
        await r.flush()
    async with room(tmp_path) as r, running(r):
        r.legs(declared=0)
        r.live.add(IX)
        r.connect()
        r.stream.emit(SwitchLinkChanged(at=r.clock.now(), node="n1", up=True))
        assert await r.recordings.sweep() == 0
        r.live.clear()
        r.legs()
        r.end()
        await stored(r)
        assert "RecordingStarted" not in r.kinds()


async def test_nothing_is_swept_while_it_is_unknown_who_is_on_the_line(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        r.legs()
        for path in r.recordings.incoming.folder.iterdir():
            os.utime(path, (1, 1))
        r.known[0] = False
        assert await r.recordings.sweep() == 0
        r.known[0] = True
        assert await r.recordings.sweep() == 1


async def test_killed_between_the_row_and_the_removal_stores_nothing_twice(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        r.recordings._make_folders()
        r.legs()
        await r.recordings.close(IX)
        first = await r.row()
        r.legs()
        await r.recordings.close(IX)
        assert await r.row() == first
        assert r.recordings.incoming.interactions() == []


async def test_killed_in_the_middle_of_joining_leaves_nothing_half(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        half = r.folder / "2026/11/24/.t-1.wav.99.part"
        half.parent.mkdir(parents=True)
        half.write_bytes(b"RIFF")
        r.recordings._make_folders()
        assert not half.exists()


async def test_a_recording_that_left_no_file_is_closed_as_damaged_in_the_end(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.connect()
        await r.said("RecordingStarted")
        await r.flush()
    async with room(tmp_path) as r:
        assert await r.recordings.sweep() == 0
        r.clock.advance(200)
        assert await r.recordings.sweep() == 1
        row = await r.row()
        assert row is not None and row.state is State.DAMAGED


# --- when something is down or full


async def test_a_database_that_is_down_costs_no_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with room(tmp_path) as r, running(r):

        def down(*_: object, **__: object) -> None:
            raise Unavailable("database")

        with monkeypatch.context() as patch:
            patch.setattr(r.database, "read", down)
            patch.setattr(r.database, "unit", down)
            r.connect()
            r.legs()
            await r.ended_in_vain()
        assert await r.recordings.sweep() == 1
        await stored(r)
        row = await r.row()
        assert row is not None and row.extensions == ("1001",)


async def test_a_full_disk_shows_nothing_half_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with room(tmp_path) as r, running(r):
        r.connect()
        r.legs()

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(wav, "join", full)
            await r.ended_in_vain()
        row = await r.row()
        assert row is not None and row.state is State.RECORDING
        await r.recordings.sweep()
        await stored(r)


async def test_at_ninety_percent_recording_stops_with_an_alarm_and_calls_are_flagged(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        r.disk_part[0] = 0.91
        await r.disk.look()
        await r.disk.look()
        assert r.kinds().count("AlertRaised") == 1
        assert r.allowed[-1] is False
        r.connect()
        r.end()
        event = await r.said("RecordingDamaged")
        assert isinstance(event, RecordingDamaged)
        assert event.reason == "the disk is 91% full, recording is stopped"
        r.disk_part[0] = 0.89
        await r.disk.look()
        assert r.allowed[-1] is False
        r.disk_part[0] = 0.80
        await r.disk.look()
        assert r.allowed[-1] is True
        assert r.kinds().count("AlertCleared") == 1


async def test_the_dialplan_is_told_again_after_each_reconnection(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        before = len(r.allowed)
        r.stream.emit(SwitchLinkChanged(at=r.clock.now(), node="n1", up=True))
        await r.until(lambda: len(r.allowed) > before)
        assert r.allowed[-1] is True


# --- retention


async def test_what_is_over_its_time_goes_with_its_words_and_a_legal_hold_stays(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        r.recordings._make_folders()
        for ix in ("n1-1.1", "n1-1.2"):
            r.legs(ix)
            await r.recordings.close(ix)
        await r.work()
        held = await r.row("n1-1.2")
        assert held is not None
        async with r.database.unit(actor="user:anna") as unit:
            await store._set(unit.conn, held.id, legal_hold=True)
        gone = await r.row("n1-1.1")
        assert gone is not None
        r.clock.advance(179 * 86400)
        assert await r.recordings.expire() == 0
        r.clock.advance(86400)
        assert await r.recordings.expire() == 1
        assert not (r.folder / gone.path).exists()
        assert (r.folder / held.path).exists()
        row = await r.row("n1-1.1")
        assert row is not None and (row.state, row.path) == (State.EXPIRED, "")
        async with r.database.read() as conn:
            assert await store.transcript_of(conn, gone.id) is None
        assert "RecordingExpired" in r.kinds()


async def test_a_hundred_calls_at_once_are_all_stored(tmp_path: Path) -> None:
    async with room(tmp_path) as r, running(r):
        names = [f"n1-5.{i}" for i in range(100)]
        for ix in names:
            r.connect(ix)
            r.legs(ix, caller_s=0.2, agent_s=0.2)
            r.end(ix)
        await r.until(lambda: r.kinds().count("RecordingStored") == 100, timeout_s=20)
        assert len(list(r.folder.glob("2026/11/24/*.wav"))) == 100


def test_a_leg_written_by_hand_is_found(tmp_path: Path) -> None:
    from recordings.legs import Incoming

    write_wav(tmp_path / "n1-1.1-rx.wav", __import__("numpy").zeros(10, dtype="<i2"))
    (tmp_path / "notes.txt").touch()
    assert Incoming(tmp_path).interactions() == ["n1-1.1"]
    assert Incoming(tmp_path).interactions(quiet_s=3600) == []
    assert Incoming(tmp_path / "nowhere").interactions() == []
