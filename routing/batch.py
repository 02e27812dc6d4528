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
    """Points by item and agent. Wishes and abilities that are alike are compared once."""
    wishes: dict[Wish, int] = {}
    wish_of = np.array([wishes.setdefault(item.wish, len(wishes)) for item in waiting])
    abilities: dict[tuple[object, ...], int] = {}
    firsts: list[Free] = []
    personal = {wish.only for wish in wishes} - {""}
    ability_of = np.empty(len(free), dtype=np.int64)
    for number, agent in enumerate(free):
        own = agent.extension if agent.extension in personal else ""
        key = (frozenset(agent.skills.items()), agent.teams, agent.kinds, own)
        found = abilities.setdefault(key, len(abilities))
        if found == len(firsts):
            firsts.append(agent)
        ability_of[number] = found
    fits = np.array([[_fit(wish, agent) for agent in firsts] for wish in wishes])
    weights = [wish.weights for wish in wishes]
    idle_min = np.array([agent.idle_s for agent in free]) / 60
    busy = np.array([agent.occupancy for agent in free]) * 100
    # By wish and agent, then spread over the items of the same wish.
    merit = fits[:, ability_of]
    merit += np.outer([it.idle for it in weights], idle_min) + np.outer([it.occupancy for it in weights], busy)
    priority = np.array([item.priority + DUE * item.due for item in waiting])
    points: NDArray[np.float64] = merit[wish_of] + priority[:, None]
    points[(fits == NEVER)[:, ability_of][wish_of]] = (
        NEVER  # one as bad as the other: such pairs are fillings, and dropped
    )
    return points


def _fit(wish: Wish, agent: Free) -> float:
    if not wish.met_by(agent.extension, agent.skills, agent.teams, agent.kinds):
        return NEVER
    of_skills = wish.weights.fit * sum(agent.skills.get(skill, 0) for skill in wish.fit_of)
    return of_skills + wish.weights.breadth * len(agent.skills)
