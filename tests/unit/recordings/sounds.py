"""Sound files of every state Asterisk, and worse, may leave them in."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from recordings.wav import header


def tone(seconds: float, rate: int = 8000, hertz: float = 440.0, level: float = 0.3) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return (level * 32767 * np.sin(2 * np.pi * hertz * t)).astype("<i2")


def wav_bytes(samples: np.ndarray, rate: int = 8000, channels: int = 1, declared: int | None = None) -> bytes:
    """A WAV file; `declared` overrides the length its header gives."""
    head = bytearray(header(len(samples) // channels, rate, channels))
    if declared is not None:
        head[40:44] = struct.pack("<I", declared)
        head[4:8] = struct.pack("<I", (36 + declared) & 0xFFFFFFFF)
    return bytes(head) + samples.tobytes()


def write_wav(
    path: Path, samples: np.ndarray, rate: int = 8000, channels: int = 1, declared: int | None = None
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav_bytes(samples, rate, channels, declared))
    return path
