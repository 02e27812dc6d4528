"""A circuit breaker: stops asking a dependency that keeps failing, and finds out carefully when it is well again.

Knows nothing of what it guards. closed → (so many failures in a row) → open → (rest over) → half_open, where one question
at a time may pass → closed on success, open again on failure.
"""

from __future__ import annotations

from core.clock import Clock


class Breaker:
    """`threshold` failures in a row open it for `rest_s` seconds."""

    def __init__(self, clock: Clock, *, threshold: int = 5, rest_s: float = 5.0) -> None:
        self._clock = clock
        self._threshold = threshold
        self._rest_s = rest_s
        self._failures = 0
        self._opened_at: float | None = None
        self._asking_since: float | None = None

    @property
    def state(self) -> str:
        """closed, open, half_open."""
        if self._opened_at is None:
            return "closed"
        return "open" if self._clock.monotonic() - self._opened_at < self._rest_s else "half_open"

    def allow(self) -> bool:
        """May a question be asked now? Half open, one at a time may; a question that never ended is forgotten after the rest."""
        state = self.state
        if state != "half_open":
            return state == "closed"
        now = self._clock.monotonic()
        if self._asking_since is not None and now - self._asking_since < self._rest_s:
            return False
        self._asking_since = now
        return True

    def succeeded(self) -> None:
        self._failures, self._opened_at, self._asking_since = 0, None, None

    def failed(self) -> None:
        self._failures += 1
        self._asking_since = None
        if self._failures >= self._threshold or self._opened_at is not None:
            self._opened_at = self._clock.monotonic()
