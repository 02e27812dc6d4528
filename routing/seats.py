"""Free agents: what each can do, and rows of them in which the longest idle is always first.

Pure. Decides nothing (`pool.py` does). Invariant: agents who can do the same share one profile, so that what an item asks of
them is compared once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from routing.lane import Lane
from routing.wish import Wish


class Profile:
    """What agents can do who can do the same. `fits`: wish → its `fit` in points, None where it is not met."""

    __slots__ = ("fits", "kinds", "skills", "teams")

    def __init__(self, skills: Mapping[str, int], teams: frozenset[str], kinds: frozenset[str]) -> None:
        self.skills, self.teams, self.kinds = dict(skills), teams, kinds
        self.fits: dict[int, float | None] = {}

    def fit(self, lane: Lane, extension: str) -> float | None:
        wish = lane.wish
        if wish.only:  # not the same for all who can do the same
            return self._fit(wish) if wish.met_by(extension, self.skills, self.teams, self.kinds) else None
        try:
            return self.fits[lane.wish_no]
        except KeyError:
            met = wish.met_by(extension, self.skills, self.teams, self.kinds)
            found = self.fits[lane.wish_no] = self._fit(wish) if met else None
            return found

    def _fit(self, wish: Wish) -> float:
        return wish.weights.fit * sum(self.skills.get(skill, 0) for skill in wish.fit_of)


@dataclass(slots=True, eq=False)
class Seat:
    """A free agent. `idle_since`: seconds; `occupancy`: 0–1."""

    extension: str
    profile: Profile
    idle_since: float
    occupancy: float


class Row(dict[str, Seat]):
    """Free agents by extension. Who becomes free now stands last by itself; it is sorted only when somebody was idle before."""

    __slots__ = ("_in_order", "_latest")

    def __init__(self) -> None:
        super().__init__()
        self._latest, self._in_order = float("-inf"), True

    def add(self, seat: Seat) -> None:
        if not self:
            self._latest, self._in_order = seat.idle_since, True
        elif seat.idle_since < self._latest:
            self._in_order = False
        else:
            self._latest = seat.idle_since
        self[seat.extension] = seat

    def longest_idle_first(self) -> Collection[Seat]:
        if not self._in_order:
            seats = sorted(self.values(), key=lambda seat: seat.idle_since)
            self.clear()
            self.update((seat.extension, seat) for seat in seats)
            self._latest, self._in_order = seats[-1].idle_since if seats else float("-inf"), True
        return self.values()
