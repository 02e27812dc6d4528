"""Which blocks of one side's sound are worth recognising: each side of a call is silent for about half of it.

Decides only by loudness, far below any speech; keeps a second after speech (the recogniser ends its sentence there) and
half a second before. Invariant: every word heard gets its time in the recording, whatever was left out before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

QUIET_PEAK = 64  # of 32767, -54 dBFS: the idle noise of a telephone line; speech is 20 dB above at least
TAIL_BLOCKS = 5
LEAD_BLOCKS = 2
Samples = npt.NDArray[np.int16]


class SilenceGate:
    """Give it equal blocks in order; `take` yields those to recognise. `real_s` turns the recogniser's time, which
    knows only what it was given, into the recording's."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._since_sound = TAIL_BLOCKS
        self._lead: deque[Samples] = deque(maxlen=LEAD_BLOCKS)
        self._seen = 0  # samples of the recording
        self._given = 0  # samples given on
        self._skips: list[tuple[float, float]] = [(0.0, 0.0)]  # from this given second on, this much was left out

    def take(self, block: Samples) -> Iterator[Samples]:
        loud = len(block) > 0 and int(np.max(np.abs(block.astype(np.int32)))) > QUIET_PEAK
        self._since_sound = 0 if loud else self._since_sound + 1
        if self._since_sound > TAIL_BLOCKS:
            self._lead.append(block)
            self._seen += len(block)
            return
        if self._lead:
            waiting = sum(len(b) for b in self._lead)
            self._skips.append((self._given / self._rate, (self._seen - waiting - self._given) / self._rate))
            while self._lead:
                early = self._lead.popleft()
                self._given += len(early)
                yield early
        self._seen += len(block)
        self._given += len(block)
        yield block

    def real_s(self, given_s: float) -> float:
        """Seconds of the recording at `given_s` seconds of what was given on."""
        skipped = 0.0
        for since_s, seconds in self._skips:
            if since_s > given_s + 1e-6:
                break
            skipped = seconds
        return given_s + skipped
