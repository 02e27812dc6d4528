"""Every prompt that can be asked for exists in both languages, fit for the telephone; operators' sounds come first."""

from __future__ import annotations

import hashlib
import wave
from pathlib import Path

import numpy as np
import pytest

from core.phrases.parts import ALL_NAMES
from core.prompts import manifest
from core.prompts.catalogue import LANGUAGES, NAME, SOUNDS, SPOKEN, TEXTS, text_of, voice_of
from core.prompts.level import LEVEL_DBFS, PEAK, RATE, level, telephone, trim
from core.prompts.library import OURS, PromptLibrary, PromptMissing
from core.prompts.render import render_all, wav_bytes
from core.prompts.voices import Voice

MAKERS = {"en": "flite/slt", "zh": "espeak-ng/cmn-latn-pinyin"}


def _read(file: Path) -> np.ndarray:
    with wave.open(str(file)) as sound:
        assert (sound.getframerate(), sound.getsampwidth(), sound.getnchannels()) == (RATE, 2, 1), file
        return np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2") / 32768


def test_everything_that_phrases_can_render_is_a_sound() -> None:
    assert ALL_NAMES <= SOUNDS
    assert all(NAME.fullmatch(name) for name in SOUNDS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sound_exists_and_is_fit_for_the_telephone(language: str) -> None:
    for name in sorted(SOUNDS):
        samples = _read(OURS / language / f"{name}.wav")
        if name.startswith("silence-"):
            assert len(samples) == int(name.rsplit("-", 1)[1]) * RATE // 1000
            assert not samples.any()
            continue
        assert np.abs(samples).max() <= PEAK + 0.001, name
        frames = np.sqrt(np.mean(samples[: len(samples) // 160 * 160].reshape(-1, 160) ** 2, axis=1))
        loud = 10 * np.log10(np.mean(frames[frames > 10**-2.25] ** 2))
        assert LEVEL_DBFS - 3 < loud < LEVEL_DBFS + 1.5, (name, loud)
        assert 0.12 < len(samples) / RATE < 12, name


def test_the_sounds_kept_are_those_of_todays_texts() -> None:
    entries = manifest.load(OURS)
    assert set(entries) == {f"{language}/{name}" for language in LANGUAGES for name in SOUNDS}
    for full, entry in entries.items():
        language, _, name = full.partition("/")
        text = text_of(name, language)
        assert entry.text == text, f"{full}: the text has changed; run make prompts"
        maker = MAKERS[voice_of(name, language)] if text else "silence"
        assert entry.text_sha256 == manifest.text_hash(text or name, maker), full
        assert hashlib.sha256((OURS / f"{full}.wav").read_bytes()).hexdigest() == entry.sound_sha256, full


def test_no_stray_files_and_not_too_heavy() -> None:
    files = list(OURS.glob("*/*"))
    assert {f"{file.parent.name}/{file.name}" for file in files} == {
        f"{lang}/{n}.wav" for lang in LANGUAGES for n in SOUNDS
    }
    assert sum(file.stat().st_size for file in OURS.rglob("*")) < 7_000_000


def test_every_text_stands_in_both_languages() -> None:
    assert all(
        wording.en.isascii() and wording.zh
        for name, wording in SPOKEN.items()
        if name in TEXTS and voice_of(name, "en") == "en"
    )


def test_an_operators_sound_comes_first_and_names_what_is_still_synthetic(tmp_path: Path) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "welcome.wav").write_bytes(wav_bytes(np.zeros(80)))
    (tmp_path / "en" / "our-own.wav").write_bytes(wav_bytes(np.zeros(80)))
    library = PromptLibrary([tmp_path])
    assert library.find("welcome", "en") == str(tmp_path / "en" / "welcome")
    assert library.find("welcome", "zh") == str(OURS / "zh" / "welcome")
    assert library.paths(["en/number-20", "zh/our-own"][:1]) == [str(OURS / "en" / "number-20")]
    assert library.missing("our-own") == ["zh"]
    synthetic = {(sound.language, sound.name) for sound in library.synthetic()}
    assert ("en", "welcome") not in synthetic and ("zh", "welcome") in synthetic
    assert not any(name.startswith("silence") for _, name in synthetic)
    (tmp_path / "en" / "welcome.wav").unlink()
    library.refresh()
    assert library.find("welcome", "en") == str(OURS / "en" / "welcome")


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "/etc/passwd", "..", "", "Welcome", "a/b", "a b", "x\n", "-x", "é", "a" * 65]
)
def test_no_name_leaves_the_folders(name: str) -> None:
    library = PromptLibrary()
    assert not library.has(name, "en")
    with pytest.raises(PromptMissing, match="no sound"):
        library.find(name, "en")


def test_a_language_is_not_a_path_either() -> None:
    assert not PromptLibrary().has("welcome", "../en")


def test_levelling_is_deterministic_and_keeps_what_is_spoken() -> None:
    rate = 22050
    time = np.arange(rate) / rate
    speech = np.where((time > 0.3) & (time < 0.7), 0.05 * np.sin(2 * np.pi * 440 * time), 0.0)
    once, twice = telephone(speech, rate), telephone(speech, rate)
    assert np.array_equal(once, twice)
    assert 0.4 < len(once) / RATE < 0.5
    assert abs(20 * np.log10(np.sqrt(np.mean(once**2))) - LEVEL_DBFS) < 1.5
    assert not level(np.zeros(100)).any()
    assert len(trim(np.zeros(100))) == 100


def test_only_what_changed_is_rendered_anew(tmp_path: Path) -> None:
    said: list[str] = []

    class Told(Voice):
        def say(self, text: str) -> tuple[np.ndarray, int]:
            said.append(text)
            return np.sin(np.arange(2000) / 3), RATE

    voices: dict[str, Voice] = {lang: Told(lang, "x", "y", "", {}) for lang in LANGUAGES}
    rendered, removed = render_all(tmp_path, lambda: voices)
    assert len(rendered) == 2 * len(SOUNDS) and not removed
    said.clear()
    assert render_all(tmp_path, lambda: voices) == ([], [])
    (tmp_path / "zh" / "goodbye.wav").write_bytes(b"damaged")
    (tmp_path / "en" / "left-over.wav").write_bytes(b"")
    assert render_all(tmp_path, lambda: voices) == (["zh/goodbye"], ["en/left-over"])
    assert said == ["再见。"]
