"""Who served whom last: a caller's number → the agent, and when.

Pure: `now` is given. Does not say how much it is worth (the queue's rules do). Bounded: the oldest acquaintance is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta

REMEMBERED = 100_000


class Acquaintances:
    """`within`: for how long an acquaintance counts at most, over all queues."""

    def __init__(self, within: timedelta = timedelta(days=30)) -> None:
        self._within = within
        self._last: OrderedDict[str, tuple[str, datetime]] = OrderedDict()

    def note(self, ani: str, extension: str, at: datetime) -> None:
        """This agent talked to the caller; an older talk than the one known changes nothing."""
        known = self._last.get(ani)
        if not ani or (known is not None and known[1] > at):
            return
        self._last[ani] = (extension, at)
        self._last.move_to_end(ani)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)

    def note_all(self, talks: Iterable[tuple[str, str, datetime]]) -> None:
        for ani, extension, at in talks:
            self.note(ani, extension, at)

    def last(self, ani: str, now: datetime, days: float | None = None) -> str:
        """The agent's extension; "" when nobody served them, or too long ago."""
        extension, at = self._last.get(ani, ("", now))
        within = self._within if days is None else timedelta(days=days)
        return extension if now - at <= within else ""
