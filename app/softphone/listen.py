"""Tells what is in a sound by its content, never by flags: tones by Goertzel, known recordings by correlation."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from app.softphone.g711 import Pcm

if TYPE_CHECKING:
    from app.softphone.call import Call

RATE = 8000


@dataclass(frozen=True)
class Found:
    """Where a known sound begins in another (seconds), and how alike they are there (0–1)."""

    at_s: float
    likeness: float


def read_wav(path: Path | str) -> Pcm:
    """A mono 8 kHz WAV as int16 samples. Raises ValueError for another rate."""
    samples, rate = soundfile.read(str(path), dtype="int16", always_2d=True)
    if rate != RATE:
        raise ValueError(f"{path}: {rate} Hz, expected {RATE}")
    return np.asarray(samples[:, 0], dtype=np.int16)


def find(sound: Pcm, known: Pcm) -> Found:
    """The place in `sound` most like `known`, by normalised cross-correlation. Likeness ≥ 0.6 is a safe yes."""
    n = len(known)
    if n == 0 or len(sound) < n:
        return Found(0.0, 0.0)
    a, b = sound.astype(np.float64), known.astype(np.float64)
    size = 1 << (len(a) + n).bit_length()
    cross = np.fft.irfft(np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size)), size)[: len(a) - n + 1]
    power = np.concatenate([[0.0], np.cumsum(a * a)])
    energy = power[n:] - power[:-n]
    floor = max(float(np.dot(b, b)) * 1e-4, 1.0)
    scores = cross / np.sqrt(np.maximum(energy, floor) * max(float(np.dot(b, b)), 1.0))
    best = int(np.argmax(scores))
    return Found(best / RATE, float(scores[best]))


def tone_level(sound: Pcm, hertz: float) -> float:
    """How much of the sound's power is at `hertz` (0–1), by the Goertzel algorithm over the whole sound."""
    if not len(sound):
        return 0.0
    x = sound.astype(np.float64)
    turns = np.exp(-2j * np.pi * hertz / RATE * np.arange(len(x)))
    power = float(np.dot(x, x))
    return 2 * abs(np.dot(x, turns)) ** 2 / (len(x) * power) if power else 0.0


def tone(hertz: float, seconds: float, *, level: int = 8000) -> Pcm:
    """A sine for tests of the audio path."""
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE)).astype(np.int16)


async def hear(
    call: Call, known: Pcm, *, timeout_s: float = 15.0, after_s: float = 0.0, likeness: float = 0.6
) -> Found:
    """Listens on `call` until `known` (its first 2 s) is heard after second `after_s` of what was heard.

    Returns where it began, on the time line of `call.media.heard()`. Raises TimeoutError with the best likeness seen.
    """
    piece = known[: 2 * RATE]
    best = Found(0.0, 0.0)
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                sound = call.media.heard()[int(after_s * RATE) :]
                found = find(sound, piece)
                best = Found(found.at_s + after_s, found.likeness)
                if best.likeness >= likeness:
                    return best
                # Only the last stretch can still become the beginning of what we wait for.
                after_s = max(after_s, after_s + (len(sound) - len(piece)) / RATE - 0.1)
                await call.media.more(10)
    except TimeoutError as error:
        raise TimeoutError(
            f"not heard within {timeout_s} s (likeness {best.likeness:.2f}, call {call.state})"
        ) from error
