"""Remembers tries at order numbers, so that nobody can guess their way in, however many calls they make at once.

Does not decide what is too much (`ladder.refusal` does).

Invariants: a try is booked *before* the shop is asked and given back when it turns out not to count, so that parallel
tries cannot slip past the limit together; memory is bounded: older than the window, and beyond `bound`, is forgotten.
"""

from __future__ import annotations

from collections import deque

from core.clock import Clock
from orders_bridge.ladder import Attempt, Limits, refusal


class Attempts:
    """`begin` → an Attempt or a refusal; then `forgive` if it does not count (proved, or the shop's fault)."""

    def __init__(self, clock: Clock, limits: Limits | None = None, *, bound: int = 20_000) -> None:
        self._clock = clock
        self._limits = limits or Limits()
        self._booked: deque[Attempt] = deque(maxlen=bound)

    def begin(self, interaction_id: str, caller: str, order_no: str) -> Attempt | str:
        """Books a try; a text is the reason for refusing it (call, caller, order)."""
        now = self._clock.monotonic()
        # A call may last longer than the window: its own tries count for as long as they are remembered.
        while self._booked and now - self._booked[0].at_s > 2 * self._limits.window_s:
            self._booked.popleft()
        why = refusal(self._booked, interaction_id, caller, order_no, now, self._limits)
        if why:
            return why
        attempt = Attempt(interaction_id, caller, order_no, now)
        self._booked.append(attempt)
        return attempt

    def forgive(self, attempt: Attempt) -> None:
        """Gives a try back. Giving back twice does no harm."""
        for at, booked in enumerate(self._booked):
            if booked is attempt:
                del self._booked[at]
                return
