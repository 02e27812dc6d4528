"""Sound in every state: mended, joined, or refused with one clear error."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordings.wav import BadAudio, inspect, join
from tests.lots import lots
from tests.unit.recordings.sounds import tone, wav_bytes, write_wav


def test_a_whole_leg_is_believed(tmp_path: Path) -> None:
    sound = inspect(write_wav(tmp_path / "a.wav", tone(1.0)))
    assert (sound.seconds, sound.sample_rate, sound.complete) == (1.0, 8000, True)


@pytest.mark.parametrize("declared", [0, 0xFFFFFFFF, 100, 10**9])
def test_a_wrong_length_in_the_header_is_mended_from_the_file(tmp_path: Path, declared: int) -> None:
    sound = inspect(write_wav(tmp_path / "a.wav", tone(1.0), declared=declared))
    assert sound.frames == 8000
    assert sound.repairs


def test_an_odd_length_loses_only_the_broken_frame(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(wav_bytes(tone(1.0), declared=0) + b"\x01")
    assert inspect(file).frames == 8000


def test_a_truncated_file_gives_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(wav_bytes(tone(1.0))[: 44 + 8001])
    sound = inspect(file)
    assert sound.frames == 4000
    assert "before the header says" in sound.repairs[0]


def test_a_header_alone_is_sound_of_no_length(tmp_path: Path) -> None:
    assert inspect(write_wav(tmp_path / "a.wav", tone(0.0))).frames == 0


def test_chunks_before_and_behind_the_sound_are_skipped(tmp_path: Path) -> None:
    plain = wav_bytes(tone(0.5))
    note = b"LIST" + (6).to_bytes(4, "little") + b"INFOab"
    (tmp_path / "a.wav").write_bytes(plain[:12] + note + plain[12:] + note)
    sound = inspect(tmp_path / "a.wav")
    assert (sound.frames, sound.complete) == (4000, True)


REFUSED = {
    "empty": b"",
    "mp3 renamed": b"ID3\x04\x00" + b"\x00" * 500,
    "mp3 without a tag": b"\xff\xfb\x90\x64" + b"\x00" * 500,
    "no wav": b"<html><body>not found</body></html>",
    "44 bytes of nothing": b"\x00" * 44,
    "half a header": wav_bytes(tone(0.1))[:20],
    "eight channels": wav_bytes(tone(1.0), channels=8),
    "two hundred channels": wav_bytes(tone(1.0), channels=200),
    "no rate": wav_bytes(tone(1.0), rate=0),
    "24-bit": wav_bytes(tone(0.1))[:34] + b"\x18\x00" + wav_bytes(tone(0.1))[36:],
    "sound before its format": b"RIFF\x00\x00\x00\x00WAVEdata\x04\x00\x00\x00abcd",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_a_leg_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    file = tmp_path / "bad.wav"
    file.write_bytes(REFUSED[name])
    with pytest.raises(BadAudio) as refused:
        inspect(file)
    assert refused.value.message.startswith("bad.wav")
    assert file.read_bytes() == REFUSED[name]


def test_a_day_of_silence_is_refused_without_reading_it(tmp_path: Path) -> None:
    file = write_wav(tmp_path / "a.wav", tone(0.0), declared=0)
    os.truncate(file, 44 + 24 * 3600 * 16000)  # a hole: takes no room
    with pytest.raises(BadAudio, match="24.0 hours"):
        inspect(file)


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    write_wav(tmp_path / "secret.wav", tone(1.0))
    (tmp_path / "a.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(BadAudio, match="plain file"):
        inspect(tmp_path / "a.wav")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(BadAudio, match="not a plain file"):
        inspect(tmp_path / "a.wav")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadAudio):
        inspect(tmp_path)


@settings(max_examples=lots(200), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_no_bytes_whatever_do_more_than_be_refused(tmp_path: Path, data: bytes, with_head: bool) -> None:
    file = tmp_path / "any.wav"
    file.write_bytes((b"RIFF\x00\x00\x00\x00WAVE" if with_head else b"") + data)
    try:
        sound = inspect(file)
    except BadAudio:
        return
    assert 0 <= sound.offset + 2 * sound.frames <= file.stat().st_size


# --- joining


def test_the_caller_is_left_the_agent_right_and_the_shorter_is_padded(tmp_path: Path) -> None:
    caller, agent = tone(1.0, hertz=300), tone(0.6, hertz=900)
    left, right = (inspect(write_wav(tmp_path / n, s)) for n, s in (("rx.wav", caller), ("tx.wav", agent)))
    joined = join(left, right, tmp_path / "deep" / "er" / "x.wav")
    samples, rate = sf.read(joined.path, dtype="int16")
    assert (rate, samples.shape, joined.seconds) == (8000, (8000, 2), 1.0)
    assert np.array_equal(samples[:, 0], caller)
    assert np.array_equal(samples[:4800, 1], agent)
    assert not samples[4800:, 1].any()


def test_a_joined_file_is_ours_alone_and_its_sum_is_right(tmp_path: Path) -> None:
    joined = join(inspect(write_wav(tmp_path / "rx.wav", tone(20.0))), None, tmp_path / "new" / "x.wav")
    assert stat.S_IMODE(joined.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(joined.path.parent.stat().st_mode) == 0o700
    assert hashlib.sha256(joined.path.read_bytes()).hexdigest() == joined.sha256
    assert joined.path.stat().st_size == joined.size
    assert [p.name for p in joined.path.parent.iterdir()] == ["x.wav"]


def test_mended_legs_tell_so(tmp_path: Path) -> None:
    left = inspect(write_wav(tmp_path / "rx.wav", tone(1.0), declared=0))
    right = inspect(write_wav(tmp_path / "tx.wav", tone(1.0)))
    assert join(left, right, tmp_path / "x.wav").repairs == (
        "caller: the header gave no length, taken from the file's",
    )


def test_legs_of_different_rates_are_refused(tmp_path: Path) -> None:
    left = inspect(write_wav(tmp_path / "rx.wav", tone(1.0)))
    right = inspect(write_wav(tmp_path / "tx.wav", tone(1.0, rate=16000), rate=16000))
    with pytest.raises(BadAudio, match="different rates"):
        join(left, right, tmp_path / "x.wav")


def test_two_legs_of_nothing_are_no_recording(tmp_path: Path) -> None:
    empty = inspect(write_wav(tmp_path / "rx.wav", tone(0.0)))
    for legs in ((empty, empty), (empty, None), (None, None)):
        with pytest.raises(BadAudio, match="Neither"):
            join(*legs, tmp_path / "x.wav")
    assert not (tmp_path / "x.wav").exists()


def test_a_disk_that_is_full_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = inspect(write_wav(tmp_path / "rx.wav", tone(1.0)))
    place = tmp_path / "place" / "x.wav"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        join(left, left, place)
    assert list(place.parent.iterdir()) == []


@settings(max_examples=lots(40), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 70_000), st.integers(0, 70_000))
def test_no_length_of_legs_loses_or_invents_a_sample(tmp_path: Path, left: int, right: int) -> None:
    if not left and not right:
        return
    legs = [np.arange(n, dtype="<i2") | 1 for n in (left, right)]
    sounds = [inspect(write_wav(tmp_path / f"{i}.wav", leg)) for i, leg in enumerate(legs)]
    joined = join(sounds[0], sounds[1], tmp_path / "x.wav")
    samples, _ = sf.read(joined.path, dtype="int16", always_2d=True)
    assert len(samples) == max(left, right)
    for column, leg in enumerate(legs):
        assert np.array_equal(samples[: len(leg), column], leg)
        assert not samples[len(leg) :, column].any()
