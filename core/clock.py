"""Time comes in as a parameter. Two kinds: the wall clock says when, the monotonic clock says how long.

Rules never read a clock; shells are given one of these. Durations are never differences of wall times.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """UTC, cut to milliseconds."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps; comparable within one process only."""
        ...


class SystemClock:
    def now(self) -> datetime:
        moment = datetime.now(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that tests move by hand; both kinds of time advance together unless `jump` moves the wall clock alone."""

    def __init__(self, start: datetime = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)) -> None:
        self._wall = start
        self._seconds = 1000.0

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._seconds

    def advance(self, seconds: float) -> None:
        self._seconds += seconds
        self._wall += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """Moves only the wall clock, as an operator or NTP would."""
        self._wall += timedelta(seconds=seconds)
