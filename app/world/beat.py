"""Whether the controller's loop is alive, judged by a file it touches twice a second.

Decides when it is late; does not kill. Time is this process's monotonic clock: a wall clock that jumps makes nobody late,
and if we slept ourselves (a stopped or suspended launcher), nobody is blamed for our own absence.
"""

from __future__ import annotations

from core.settings import SupervisorSettings

POLL_S = 0.25
ASLEEP_S = 1.0


class Beat:
    """`new_life` at each start, then `late` at every look; a mark is anything that differs from beat to beat."""

    def __init__(self, limits: SupervisorSettings, now: float) -> None:
        self._limits = limits
        self._looked = now
        self._since = now
        self._mark: int | None = None
        self._beaten = False

    def new_life(self, now: float, mark: int | None) -> None:
        """`mark` is what the life before left behind: it counts for nothing."""
        self._since = self._looked = now
        self._mark = mark
        self._beaten = False

    def late(self, mark: int | None, *, serving: bool, now: float) -> float | None:
        """Seconds of silence when that is too long; else None."""
        if now - self._looked > ASLEEP_S:
            self._since += now - self._looked
        self._looked = now
        if mark is not None and mark != self._mark:
            self._mark, self._since, self._beaten = mark, now, True
            return None
        limits = self._limits
        limit = limits.first_beat_s if not self._beaten else limits.beat_s if serving else limits.beat_starting_s
        silence = now - self._since
        return silence if silence > limit else None
