"""Renders the product's own prompts into WAV files: `make prompts` (`app/prompts_build.py` brings the voices).

Does not run in service. Only texts that changed are rendered anew; sounds whose name is gone are removed.
Invariant: run twice, the second run changes nothing.
"""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core.prompts import manifest
from core.prompts.catalogue import LANGUAGES, SOUNDS, text_of, voice_of
from core.prompts.level import RATE, Samples, telephone
from core.prompts.voices import Voice

SOUNDS_FOLDER = Path(__file__).parent / "sounds"
SILENCE = "silence"


def wav_bytes(samples: Samples) -> bytes:
    """8 kHz, 16-bit, mono."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def render_all(folder: Path, voices: Callable[[], dict[str, Voice]]) -> tuple[list[str], list[str]]:
    """Brings `folder` in line with the catalogue; returns the names rendered and the names removed.

    `voices` is asked only when something is to be spoken.
    """
    known = manifest.load(folder)
    entries: dict[str, manifest.Entry] = {}
    rendered: list[str] = []
    speak: dict[str, Voice] = {}
    for language in LANGUAGES:
        (folder / language).mkdir(parents=True, exist_ok=True)
        for name in sorted(SOUNDS):
            full, file = f"{language}/{name}", folder / language / f"{name}.wav"
            text = text_of(name, language)
            maker = (
                SILENCE
                if not text
                else {"en": "flite/slt", "zh": "espeak-ng/cmn-latn-pinyin"}[voice_of(name, language)]
            )
            wanted = manifest.text_hash(text or name, maker)
            entry = known.get(full)
            if entry is None or entry.text_sha256 != wanted or not _is(file, entry.sound_sha256):
                if text and not speak:
                    speak = voices()
                sound = _sound(name, text, speak[voice_of(name, language)] if text else None)
                file.write_bytes(sound)
                entry = manifest.Entry(text, maker, wanted, hashlib.sha256(sound).hexdigest())
                rendered.append(full)
            entries[full] = entry
    removed = [file for file in sorted(folder.glob("*/*.wav")) if f"{file.parent.name}/{file.stem}" not in entries]
    for file in removed:
        file.unlink()
    manifest.save(folder, entries)
    return rendered, [f"{file.parent.name}/{file.stem}" for file in removed]


def _is(file: Path, sha256: str) -> bool:
    return file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == sha256


def _sound(name: str, text: str, voice: Voice | None) -> bytes:
    if voice is None:
        return wav_bytes(np.zeros(int(name.rsplit("-", 1)[1]) * RATE // 1000))
    return wav_bytes(telephone(*voice.say(text)))
