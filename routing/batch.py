"""Several who wait and several who are free at once: the pairs whose points add up to most (the assignment problem).

Pure. Decides nothing about one pair, which needs no matrix (`pool.py`). The points of a pair are the item's priority and the
agent's merit for it, the same sum by which the pool chooses. An item that was overtaken as often as anybody may be goes before
any that was not. Invariants: nobody has two; a pair is always one in which the wish is met; as many pairs are made as can be;
the same input gives the same pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from routing.wish import VOICE, Wish

DUE = 1e5  # points of an item that was overtaken too often
NEVER = -1e7  # points of a pair that may not be


@dataclass(frozen=True)
class Waiting:
    """An item as the pool sees it: `priority` in points; `due` when it was overtaken as often as anybody may be, and then the
    points of its wait alone."""

    interaction_id: str
    wish: Wish
    priority: float
    due: bool = False


@dataclass(frozen=True)
class Free:
    """An agent as the pool sees them: idle for so long, busy for this share of their time."""

    extension: str
    skills: Mapping[str, int]
    teams: frozenset[str] = frozenset()
    kinds: frozenset[str] = VOICE
    idle_s: float = 0.0
    occupancy: float = 0.0


@dataclass(frozen=True)
class Pair:
    interaction_id: str
    extension: str
    points: float


def best_pairs(waiting: Sequence[Waiting], free: Sequence[Free]) -> list[Pair]:
    """The pairs, the item with the highest priority first. Round robin's memory (`turn`) is not known here."""
    if not waiting or not free:
        return []
    points = matrix(waiting, free)
    rows, columns = linear_sum_assignment(points, maximize=True)
    made = [
        (waiting[row], free[column], float(points[row, column]))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if points[row, column] != NEVER
    ]
    made.sort(key=lambda pair: (not pair[0].due, -pair[0].priority, pair[0].interaction_id))
    return [Pair(item.interaction_id, agent.extension, got - DUE * item.due) for item, agent, got in made]


def matrix(waiting: Sequence[Waiting], free: Sequence[Free]) -> NDArray[np.float64]:
    """Points by item and agent. Items that wish the same are compared once, with all agents at a time."""
    wishes: dict[Wish, int] = {}
    wish_of = np.array([wishes.setdefault(item.wish, len(wishes)) for item in waiting])
    crew = _Crew(free)
    merits = np.array([crew.merits(wish) for wish in wishes])
    priority = np.array([item.priority + DUE * item.due for item in waiting])
    points: NDArray[np.float64] = merits[wish_of] + priority[:, None]
    points[np.isinf(points)] = NEVER  # one as bad as the other: such pairs are fillings, and dropped
    return points


class _Crew:
    """Free agents by column: their levels by skill, and the rest of what a wish may ask for."""

    def __init__(self, free: Sequence[Free]) -> None:
        self._free = free
        skills = sorted({skill for agent in free for skill in agent.skills})
        self._levels = {skill: np.array([agent.skills.get(skill, 0) for agent in free]) for skill in skills}
        self._nobody = np.zeros(len(free))
        self._breadth = np.array([len(agent.skills) for agent in free])
        self._idle_min = np.array([agent.idle_s for agent in free]) / 60
        self._busy = np.array([agent.occupancy for agent in free]) * 100
        self._among: dict[tuple[str, object], NDArray[np.bool_]] = {}

    def merits(self, wish: Wish) -> NDArray[np.float64]:
        """Each agent's points for this wish; −inf where it is not met."""
        weights = wish.weights
        merit = weights.idle * self._idle_min + weights.breadth * self._breadth + weights.occupancy * self._busy
        for skill in wish.fit_of if weights.fit else ():
            merit = merit + weights.fit * self._levels.get(skill, self._nobody)
        return np.where(self._met(wish), merit, -np.inf)

    def _met(self, wish: Wish) -> NDArray[np.bool_]:
        """As `Wish.met_by`, for all at once."""
        met = self._those("kind", wish.kind)
        if wish.only:
            return met & self._those("extension", wish.only)
        if wish.teams:
            met = met & self._those("teams", wish.teams)
        for skill, least in wish.skills:
            met = met & (self._levels.get(skill, self._nobody) >= least)
        return met

    def _those(self, what: str, value: object) -> NDArray[np.bool_]:
        found = self._among.get((what, value))
        if found is None:
            found = self._among[what, value] = np.array([_has(agent, what, value) for agent in self._free])
        return found


def _has(agent: Free, what: str, value: object) -> bool:
    if what == "extension":
        return agent.extension == value
    if what == "kind":
        return value in agent.kinds
    return isinstance(value, frozenset) and not value.isdisjoint(agent.teams)
