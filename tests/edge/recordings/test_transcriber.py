"""Whatever becomes of the speech process, a job ends whole or not at all, and the next one is served."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recordings import transcriber as module
from recordings.models import NoModel, SpeechModel
from recordings.transcriber import NoSpeech, Transcriber, TranscriptionFailed

LOADED = {"ok": True, "load_s": 0.1, "language": "en"}
DONE = {"ok": True, "seconds": 2.0, "took_s": 0.2, "cpu_s": 0.2}
WORDS = {"side": "caller", "words": [["hello", 0.1, 0.4, 0.9], ["<unk>", 0.5, 0.6, 0.3]]}
MODEL = SpeechModel("fake", "en", Path("/fake"), "0" * 64)
AUDIO = Path("/x.wav")


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "script"
    child = str(Path(__file__).with_name("fake_child.py"))
    monkeypatch.setattr(module, "_command", lambda _: (sys.executable, child, str(file)))
    return file


def write(script: Path, *steps: str | list[object]) -> None:
    script.write_text("\n".join(s if isinstance(s, str) else json.dumps(s) for s in steps))


def resolver(_: str) -> SpeechModel:
    return MODEL


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_the_words_of_a_job_are_given_with_their_model_and_without_noise(script: Path) -> None:
    write(script, [LOADED], [WORDS, DONE])
    async with Transcriber(resolver) as transcriber:
        spoken = await transcriber.transcribe(AUDIO, "en", 2.0)
    assert spoken.model == MODEL
    assert [w.text for w in spoken.sides["caller"]] == ["hello"]
    assert spoken.sides["agent"] == ()


async def test_a_loaded_model_is_not_loaded_again(script: Path) -> None:
    write(script, [LOADED], [WORDS, DONE], [WORDS, DONE])
    async with Transcriber(resolver) as transcriber:
        await transcriber.transcribe(AUDIO, "en", 2.0)
        pids = transcriber.pids
        await transcriber.transcribe(AUDIO, "en", 2.0)
        assert transcriber.pids == pids


@pytest.mark.parametrize(("step", "words"), [("die", "SIGKILL; its last words: out of luck"), ("exit", "status 3")])
async def test_a_child_that_dies_fails_its_job_with_the_reason_and_the_next_is_served(
    script: Path, step: str, words: str
) -> None:
    write(script, [LOADED], step, [LOADED], [WORDS, DONE])
    async with Transcriber(resolver) as transcriber:
        with pytest.raises(TranscriptionFailed, match=words) as failed:
            await transcriber.transcribe(AUDIO, "en", 2.0)
        assert failed.value.kind == "crash"
        assert (await transcriber.transcribe(AUDIO, "en", 2.0)).sides["caller"]


async def test_half_an_answer_is_no_answer(script: Path) -> None:
    write(script, [LOADED], "half")
    async with Transcriber(resolver) as transcriber:
        with pytest.raises(TranscriptionFailed):
            await transcriber.transcribe(AUDIO, "en", 2.0)


async def test_words_without_an_end_are_never_given(script: Path) -> None:
    write(script, [LOADED], [WORDS], [LOADED], [WORDS, DONE])
    async with Transcriber(resolver, deadline=lambda _: 0.3) as transcriber:
        with pytest.raises(TranscriptionFailed, match="not done within") as failed:
            await transcriber.transcribe(AUDIO, "en", 2.0)
        assert failed.value.kind == "deadline"
        assert transcriber.pids == ()


async def test_a_child_that_hangs_is_ended_at_the_deadline(script: Path) -> None:
    write(script, [LOADED], "hang")
    async with Transcriber(resolver, deadline=lambda _: 0.2) as transcriber:
        await transcriber.check("en")
        (pid,) = transcriber.pids
        with pytest.raises(TranscriptionFailed):
            await transcriber.transcribe(AUDIO, "en", 2.0)
        assert gone(pid)


async def test_a_cancelled_job_leaves_no_child_that_could_answer_late(script: Path) -> None:
    write(script, [LOADED], "hang")
    async with Transcriber(resolver) as transcriber:
        await transcriber.check("en")
        (pid,) = transcriber.pids
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await transcriber.transcribe(AUDIO, "en", 2.0)
        assert gone(pid)


@pytest.mark.parametrize("nonsense", ["Loading model", "[1, 2]", "nul"])
async def test_nonsense_on_the_line_fails_the_job(script: Path, nonsense: str) -> None:
    write(script, [LOADED], [nonsense])
    async with Transcriber(resolver) as transcriber:
        with pytest.raises(TranscriptionFailed, match="nonsense"):
            await transcriber.transcribe(AUDIO, "en", 2.0)
        assert transcriber.pids == ()


async def test_a_bad_file_fails_its_job_and_keeps_the_child(script: Path) -> None:
    write(script, [LOADED], [{"ok": False, "kind": "audio", "reason": "x.wav is empty."}], [WORDS, DONE])
    async with Transcriber(resolver) as transcriber:
        with pytest.raises(TranscriptionFailed, match="empty") as failed:
            await transcriber.transcribe(AUDIO, "en", 2.0)
        assert failed.value.kind == "audio"
        assert (await transcriber.transcribe(AUDIO, "en", 2.0)).seconds == 2.0


async def test_no_model_is_not_a_failed_job(script: Path) -> None:
    async with Transcriber(lambda language: NoModel(language, "no model")) as transcriber:
        assert str(await transcriber.check("zh")) == "transcription off: no model"
        with pytest.raises(NoSpeech, match="transcription off: no model"):
            await transcriber.transcribe(AUDIO, "zh", 2.0)
        assert transcriber.pids == ()


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ([{"ok": True, "load_s": 0.1, "language": "zh"}], "speaks 'zh', not 'en'"),
        ([{"ok": False, "kind": "model", "reason": "cannot be loaded: truncated"}], "truncated"),
        ("die", "cannot be loaded"),
    ],
)
async def test_a_model_that_cannot_be_used_is_no_model(script: Path, step: str | list[object], reason: str) -> None:
    write(script, step)
    async with Transcriber(resolver) as transcriber:
        found = await transcriber.check("en")
    assert isinstance(found, NoModel)
    assert reason in found.reason


async def test_two_workers_do_two_jobs_at_once(script: Path) -> None:
    write(script, [LOADED], "hang")
    async with Transcriber(resolver, workers=2, deadline=lambda _: 5.0) as transcriber, asyncio.TaskGroup() as group:
        first = group.create_task(transcriber.transcribe(AUDIO, "en", 2.0))
        await until(lambda: not script.read_text())
        write(script, [LOADED], [WORDS, DONE])
        assert (await transcriber.transcribe(AUDIO, "en", 2.0)).seconds == 2.0
        assert not first.done()
        first.cancel()


async def test_an_idle_childs_memory_is_given_back(script: Path) -> None:
    write(script, [LOADED], [LOADED], [WORDS, DONE])
    async with Transcriber(resolver, idle_s=0.05) as transcriber, asyncio.TaskGroup() as group:
        keeper = group.create_task(transcriber.run())
        await transcriber.check("en")
        await until(lambda: not transcriber.pids)
        assert (await transcriber.transcribe(AUDIO, "en", 2.0)).seconds == 2.0
        keeper.cancel()


async def test_leaving_ends_the_children(script: Path) -> None:
    write(script, [LOADED])
    async with Transcriber(resolver) as transcriber:
        await transcriber.check("en")
        (pid,) = transcriber.pids
    assert gone(pid)
