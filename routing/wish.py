"""What an item asks of an agent, ring by ring: worked out once when it comes, from its own wishes and its queue's rules.

Pure. Does not know who is there (`pool.py`). Invariants: each ring asks for less than the one before it, never for more; a
program is the same for the same wishes and rules, whenever it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from routing.model import WorkItem
from routing.policy.model import NO_TEAMS, Policy, QueuePolicy, Weights

VOICE = frozenset({"voice"})
PRIORITY_POINTS = 10.0  # what one step of a caller's own priority is worth


@dataclass(frozen=True)
class Wish:
    """What is asked of an agent now. `skills`: (skill, least level), sorted. `teams`: none = everybody's. `only`: one agent.
    `kind`: the channel they must have room for."""

    skills: tuple[tuple[str, int], ...] = ()
    teams: frozenset[str] = NO_TEAMS
    only: str = ""
    weights: Weights = Weights()
    fit_of: tuple[str, ...] = ()  # the skills that count as `fit`
    kind: str = "voice"

    def met_by(
        self, extension: str, skills: Mapping[str, int], teams: frozenset[str], kinds: frozenset[str] = VOICE
    ) -> bool:
        if self.kind not in kinds:
            return False
        if self.only:
            return extension == self.only
        if self.teams and not self.teams & teams:
            return False
        return all(skills.get(skill, 0) >= least for skill, least in self.skills)


@dataclass(frozen=True)
class Stage:
    """From `after_s` of waiting on: the wish, and the points that stand besides the ageing."""

    after_s: float
    wish: Wish
    points: float


@dataclass(frozen=True)
class Program:
    """An item's stages, by time; the first from 0 s on. `rate`: points per second of waiting."""

    stages: tuple[Stage, ...]
    rate: float


def stage_no_at(steps: Program, waited_s: float) -> int:
    """Which of its stages an item is in that has waited so long."""
    found = 0
    while found + 1 < len(steps.stages) and steps.stages[found + 1].after_s <= waited_s:
        found += 1
    return found


def signature(item: WorkItem, queue: QueuePolicy) -> tuple[object, ...]:
    """Items with the same signature have the same program."""
    return (
        item.queue, item.kind, tuple(sorted(item.skills.items())), item.language if queue.by_language else "", item.tier,
        item.problem, item.priority, item.points, _value_points(item, queue), item.owner if queue.owner_first_s > 0 else "",
        _promised_s(item) if queue.promise_points else None,
    )  # fmt: skip


def wanted_skills(item: WorkItem, queue: QueuePolicy) -> dict[str, int]:
    """The least proficiency by skill at first: the queue's, raised by the item's own, and the caller's language."""
    wanted = dict(queue.skills)
    if queue.by_language and item.language:
        wanted[item.language] = max(1, wanted.get(item.language, 0))
    for skill, least in item.skills.items():
        wanted[skill] = max(least, wanted.get(skill, 0))
    return {skill: least for skill, least in wanted.items() if least > 0}


def program(item: WorkItem, policy: Policy) -> Program:
    """The stages of what is asked for this item."""
    queue = policy.queue(item.queue)
    rank = policy.class_of(queue, item.tier)
    wanted = wanted_skills(item, queue)
    fit_of = tuple(sorted(queue.best_of or frozenset(wanted)))
    teams = queue.teams
    points = rank.base + item.points + item.priority * PRIORITY_POINTS + _value_points(item, queue)
    points += queue.problem_points.get(item.problem, 0.0)

    def wish() -> Wish:
        return Wish(tuple(sorted(wanted.items())), teams, "", queue.choice, fit_of, item.kind)

    whole = wish()
    stages = {0.0: Stage(0.0, whole, points)}
    for ring in sorted(queue.rings, key=lambda ring: ring.after_s):
        for skill, levels in ring.lower.items():
            if skill in wanted:
                wanted[skill] = max(1, wanted[skill] - levels)
        for skill in ring.drop:
            wanted.pop(skill, None)
        if ring.any_team or (ring.teams and teams):
            teams = NO_TEAMS if ring.any_team else teams | ring.teams
        points += ring.points
        stages[ring.after_s] = Stage(ring.after_s, wish(), points)
    ordered = [stages[at] for at in sorted(stages)]
    if item.owner and queue.owner_first_s > 0:
        ordered = _owner_first(ordered, item.owner, queue.owner_first_s)
    promised_s = _promised_s(item)
    if promised_s is not None and queue.promise_points:
        ordered = _promised(ordered, max(0.0, promised_s), queue.promise_points)
    return Program(tuple(ordered), rank.ageing_per_min / 60)


def _owner_first(stages: list[Stage], owner: str, until_s: float) -> list[Stage]:
    before = [
        Stage(s.after_s, replace(s.wish, only=owner), s.points)
        for s in stages if s.after_s < until_s
    ]  # fmt: skip
    then = next(s for s in reversed(stages) if s.after_s <= until_s)
    return [*before, Stage(until_s, then.wish, then.points), *(s for s in stages if s.after_s > until_s)]


def _promised(stages: list[Stage], at_s: float, points: float) -> list[Stage]:
    before = [s for s in stages if s.after_s < at_s]
    then = next((s for s in reversed(stages) if s.after_s <= at_s), stages[0])
    after = [s for s in stages if s.after_s > at_s]
    return [
        *before,
        *(Stage(s.after_s, s.wish, s.points + points) for s in (Stage(at_s, then.wish, then.points), *after)),
    ]


def _promised_s(item: WorkItem) -> float | None:
    return None if item.promised_at is None else (item.promised_at - item.enqueued_at).total_seconds()


def _value_points(item: WorkItem, queue: QueuePolicy) -> float:
    return max((points for least, points in queue.value_points if item.value_minor >= least), default=0.0)
