"""Makes a voice's raw sound fit for the telephone: 8 kHz, without silence at the ends, all equally loud.

Decides nothing about texts or voices. Deterministic: the same samples in give the same samples out.
Invariants: the result's RMS over its speaking part is `LEVEL_DBFS` unless the peak limit forbids; no sample exceeds `PEAK`.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

RATE = 8000
LEVEL_DBFS = -20.0
PEAK = 0.7  # -3 dBFS: μ-law clips near full scale
QUIET_DBFS = -45.0
EDGE_S = 0.02  # kept before the first and after the last sound, so that no consonant is cut

Samples = NDArray[np.float64]


def telephone(sound: Samples, rate: int) -> Samples:
    """Mono samples in [-1, 1] at `rate` → at 8 kHz, trimmed, levelled."""
    narrow = np.asarray(soxr.resample(sound, rate, RATE, quality="VHQ"), dtype=np.float64)
    return level(trim(narrow))


def trim(sound: Samples) -> Samples:
    """Without the silence at both ends; all of it when there is nothing else."""
    frame = RATE // 100
    loud = np.flatnonzero(_frame_rms(sound, frame) > 10 ** (QUIET_DBFS / 20))
    if not loud.size:
        return sound
    edge = int(EDGE_S * RATE)
    return sound[max(0, int(loud[0]) * frame - edge) : min(len(sound), (int(loud[-1]) + 1) * frame + edge)]


def level(sound: Samples) -> Samples:
    """Brought to `LEVEL_DBFS`, with peaks bent down softly instead of cut off, and ends faded against clicks."""
    frames = _frame_rms(sound, RATE // 50)
    speaking = frames[frames > 10 ** (QUIET_DBFS / 20)]
    if not speaking.size:
        return sound
    wanted = 10 ** (LEVEL_DBFS / 20)
    for _ in range(4):  # bending peaks costs a little loudness, so a few rounds
        rms = float(np.sqrt(np.mean(_frame_rms(sound, RATE // 50)[frames > 10 ** (QUIET_DBFS / 20)] ** 2)))
        sound = _bend(sound * (wanted / rms))
    fade = min(RATE // 200, len(sound) // 2)
    shape = np.ones(len(sound))
    shape[:fade], shape[len(sound) - fade :] = np.linspace(0, 1, fade), np.linspace(1, 0, fade)
    return sound * shape


def _bend(sound: Samples) -> Samples:
    knee = PEAK * 0.7
    over = np.abs(sound) > knee
    bent = sound.copy()
    room = PEAK - knee
    bent[over] = np.sign(sound[over]) * (knee + room * np.tanh((np.abs(sound[over]) - knee) / room))
    return bent


def _frame_rms(sound: Samples, frame: int) -> Samples:
    whole = max(1, len(sound) // frame)
    padded = sound if len(sound) >= frame else np.pad(sound, (0, frame - len(sound)))
    return np.asarray(np.sqrt(np.mean(padded[: whole * frame].reshape(whole, frame) ** 2, axis=1)))
