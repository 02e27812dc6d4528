"""Transcripts as work: once, with bounds, and never lost for want of a model."""

from __future__ import annotations

from pathlib import Path

from core.events.orders import AlertRaised
from core.events.recordings import TranscriptSkipped
from recordings import store
from recordings.model import Recording, Speech
from recordings.models import NoModel, SpeechModel
from recordings.speech import SpeechChoice
from recordings.transcriber import TranscriptionFailed
from tests.unit.recordings.room import IX, MODEL, Room, room


async def a_stored_call(r: Room, interaction_id: str = IX) -> Recording:
    r.recordings._make_folders()
    r.legs(interaction_id)
    await r.recordings.close(interaction_id)
    row = await r.row(interaction_id)
    assert row is not None
    return row


async def speech_of(r: Room, interaction_id: str = IX) -> tuple[Speech, str]:
    row = await r.row(interaction_id)
    assert row is not None
    return row.speech, row.speech_reason


async def test_a_job_is_done_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        row = await a_stored_call(r)
        async with r.database.unit(actor="t") as unit:
            await r.transcription.ask(unit.conn, row)
        assert await r.work() == 1
        async with r.database.unit(actor="t") as unit:
            await r.jobs.enqueue(unit.conn, "transcribe", {"recording_id": row.id}, key="again")
        assert await r.work() == 1
        assert len(r.transcriber.asked) == 1
        assert r.kinds().count("TranscriptReady") == 1


async def test_a_crash_is_tried_again_and_then_succeeds(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        await a_stored_call(r)
        r.transcriber.fails = [TranscriptionFailed("crash", "died")] * 2
        for _ in range(3):
            await r.work()
            r.clock.advance(60)
        assert (await speech_of(r))[0] is Speech.DONE
        assert len(r.transcriber.asked) == 3


async def test_after_three_crashes_it_is_set_aside_with_the_reason_and_the_next_job_moves(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        row = await a_stored_call(r)
        r.transcriber.fails = [TranscriptionFailed("crash", "died of it")] * 3
        for _ in range(4):
            await r.work()
            r.clock.advance(60)
        state, reason = await speech_of(r)
        assert state is Speech.FAILED
        assert "after 3 attempts" in reason and "died of it" in reason
        assert [j.payload for j in await r.jobs.quarantined()] == [{"recording_id": row.id}]
        async with r.database.read() as conn:
            assert await store.transcript_of(conn, row.id) is None
        await a_stored_call(r, "n1-9.9")
        await r.work()
        assert (await speech_of(r, "n1-9.9"))[0] is Speech.DONE


async def test_a_worker_that_was_killed_costs_an_attempt_and_its_lease_brings_the_job_back(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        await a_stored_call(r)
        from core.jobs import store as jobs

        async with r.database.write() as conn:  # claimed, and then its process was killed
            job = await jobs.claim(conn, owner="dead", kinds=["transcribe"], now=r.clock.now(), lease_s=30)
        assert job is not None
        assert await r.work() == 0
        r.clock.advance(31)
        assert await r.work() == 1
        assert (await speech_of(r))[0] is Speech.DONE


async def test_a_file_that_is_no_sound_is_not_tried_again(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        await a_stored_call(r)
        r.transcriber.fails = [TranscriptionFailed("audio", "x.wav is empty.")]
        await r.work()
        assert await speech_of(r) == (Speech.FAILED, "x.wav is empty.")
        r.clock.advance(100)
        assert await r.work() == 0


async def test_without_a_model_it_waits_with_the_reason_and_goes_on_when_there_is_one(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        r.transcriber.models["en"] = NoModel("en", "no speech model for 'en'")
        await r.transcription.look()
        alarm = next(e for e in r.heard if isinstance(e, AlertRaised))
        assert alarm.message == "Calls have no transcript; transcription off: no speech model for 'en'."
        await a_stored_call(r)
        assert await r.work() == 1
        assert await speech_of(r) == (Speech.WAITING, "transcription off: no speech model for 'en'")
        assert isinstance(next(e for e in r.heard if e.kind == "TranscriptSkipped"), TranscriptSkipped)
        await r.transcription.look()
        assert await r.work() == 0
        r.transcriber.models["en"] = MODEL
        await r.transcription.look()
        assert await r.work() == 1
        assert (await speech_of(r))[0] is Speech.DONE
        assert r.kinds().count("AlertRaised") == r.kinds().count("AlertCleared") == 1


async def test_a_model_that_breaks_while_we_run_makes_jobs_wait_and_is_told(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        await r.transcription.look()
        r.transcriber.models["en"] = NoModel("en", "the model is damaged")
        await a_stored_call(r)
        await r.work()
        assert (await speech_of(r))[0] is Speech.WAITING
        assert isinstance(r.transcription.status["en"], NoModel)
        assert "AlertRaised" in r.kinds()


async def test_chinese_waits_alone(tmp_path: Path) -> None:
    async with room(tmp_path) as r:
        await r.transcription.look()
        r.recordings._make_folders()
        for ix, language in (("n1-1.1", "zh"), ("n1-1.2", "en")):
            r.recordings._languages[ix] = language
            r.legs(ix)
            await r.recordings.close(ix)
        await r.work()
        assert (await speech_of(r, "n1-1.1"))[0] is Speech.WAITING
        assert (await speech_of(r, "n1-1.2"))[0] is Speech.DONE
        assert "AlertRaised" not in r.kinds()
        r.transcriber.models["zh"] = SpeechModel("fake-zh", "zh", Path("/zh"), "a" * 64)
        await r.transcription.look()
        await r.work()
        assert (await speech_of(r, "n1-1.1"))[0] is Speech.DONE


def test_switched_off_says_so_and_looks_for_nothing() -> None:
    found = SpeechChoice(enabled=False).resolver()("en")
    assert str(found) == "transcription off: it is switched off in the settings"


async def test_the_transcribers_processes_end_with_the_room(tmp_path: Path) -> None:
    from tests.unit.recordings.room import running

    async with room(tmp_path) as r:
        async with running(r):
            assert not r.transcriber.closed
        assert r.transcriber.closed
