"""What other rules would mean for those who wait at this moment: nothing is changed, everything is worked out.

Pure. The same pool decides that decides for real (`routing/pool.py`), once by the rules in force and once by the others. How
often somebody was overtaken before is not known here: both sides begin without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from routing.model import WorkItem, item_from, item_record
from routing.policy.model import Overflow, Policy
from routing.pool import Assignment, Pool
from routing.wish import Wish, program

MOST_SHOWN = 200
MOST_AGENTS = 10
NOW = 0.0  # the moment of the dry run; waits and idle times lie before it


@dataclass(frozen=True)
class Waiting:
    item: WorkItem
    waited_s: float


@dataclass(frozen=True)
class Present:
    """An agent at this moment. `available`: may be offered something; `kinds`: of what."""

    extension: str
    name: str = ""
    skills: Mapping[str, int] = field(default_factory=dict)
    teams: frozenset[str] = frozenset()
    available: bool = False
    idle_s: float = 0.0
    occupancy: float = 0.0
    kinds: frozenset[str] = frozenset({"voice"})


@dataclass(frozen=True)
class Situation:
    waiting: tuple[Waiting, ...] = ()
    agents: tuple[Present, ...] = ()


@dataclass(frozen=True)
class Side:
    """An item by one of the two policies. `position`: 1 = first. `could_take`: free agents, the best first (not all of them are
    named); `ever`: how many agents at work could take it if they were free. `assigned`: who gets it at once. `leaves`: where
    the caller is sent at once, having waited too long."""

    position: int
    ring: int
    rings: int
    skills: Mapping[str, int]
    teams: tuple[str, ...]
    only: str
    points: float
    priority: float
    widens_in_s: float | None
    could_take: tuple[str, ...]
    free: int
    ever: int
    assigned: str = ""
    leaves: str = ""


@dataclass(frozen=True)
class Change:
    interaction_id: str
    queue: str
    waited_s: float
    before: Side
    after: Side

    @property
    def changed(self) -> bool:
        return _lasting(self.before) != _lasting(self.after)


@dataclass(frozen=True)
class Summary:
    """Counts of waiting items. `served_*`: assigned at once; `stuck_*`: nobody at work could ever take them as the ring is;
    `unknown_queues`: where somebody waits and the new rules know nothing of it."""

    waiting: int
    changed: int
    earlier: int
    later: int
    served_before: int
    served_after: int
    stuck_before: int
    stuck_after: int
    leaving: int
    unknown_queues: tuple[str, ...]


@dataclass(frozen=True)
class DryRun:
    """`changes` in the order of the new rules; `more`: how many are not shown."""

    summary: Summary
    changes: tuple[Change, ...]
    more: int


def dry_run(situation: Situation, before: Policy, after: Policy, most: int = MOST_SHOWN) -> DryRun:
    old, new = _sides(situation, before), _sides(situation, after)
    found = sorted(
        (
            Change(
                w.item.interaction_id, w.item.queue, w.waited_s, old[w.item.interaction_id], new[w.item.interaction_id]
            )
            for w in situation.waiting
        ),
        key=lambda change: change.after.position,
    )
    unknown = {change.queue for change in found} - set(after.queues)
    summary = Summary(
        waiting=len(found), changed=sum(change.changed for change in found),
        earlier=sum(change.after.position < change.before.position for change in found),
        later=sum(change.after.position > change.before.position for change in found),
        served_before=sum(bool(change.before.assigned) for change in found),
        served_after=sum(bool(change.after.assigned) for change in found),
        stuck_before=sum(not change.before.ever for change in found),
        stuck_after=sum(not change.after.ever for change in found),
        leaving=sum(bool(change.after.leaves) for change in found), unknown_queues=tuple(sorted(unknown)),
    )  # fmt: skip
    return DryRun(summary, tuple(found[:most]), max(0, len(found) - most))


def _lasting(side: Side) -> tuple[object, ...]:
    """What of a side says that the item is treated otherwise."""
    return (side.position, side.ring, dict(side.skills), side.teams, side.only, side.points, side.assigned, side.leaves)


def _sides(situation: Situation, policy: Policy) -> dict[str, Side]:
    pool = Pool(policy)
    for one in sorted(situation.waiting, key=lambda one: (-one.waited_s, one.item.interaction_id)):
        pool.put(one.item, -one.waited_s, NOW)
    for agent in situation.agents:
        if agent.available:
            pool.free(
                agent.extension, agent.skills, agent.teams, NOW, idle_since=-agent.idle_s, occupancy=agent.occupancy,
                kinds=agent.kinds,
            )  # fmt: skip
    places = {ix: place for place, ix in enumerate(pool.order(NOW), 1)}
    known: dict[Wish, int] = {}
    ranked: dict[tuple[object, ...], list[tuple[str, float]]] = {}  # whoever asks for the same, from the same queue
    found: dict[str, dict[str, Any]] = {}
    for one in situation.waiting:
        ix = one.item.interaction_id
        standing = pool.standing(ix, NOW)
        assert standing is not None
        wish: Wish = standing["wish"]
        alike = (wish, one.item.queue, one.item.preferred, one.item.last_agent)
        if alike not in ranked:
            ranked[alike] = pool.ranked(ix, NOW)
        free = ranked[alike]
        if wish not in known:
            known[wish] = sum(wish.met_by(a.extension, a.skills, a.teams, a.kinds) for a in situation.agents)
        found[ix] = {
            "position": places[ix], "ring": standing["ring"], "rings": len(program(one.item, policy).stages),
            "skills": dict(wish.skills),
            "teams": tuple(sorted(wish.teams)), "only": wish.only, "points": round(standing["points"], 6),
            "priority": round(standing["priority"], 6), "widens_in_s": standing["widens_in_s"],
            "could_take": tuple(extension for extension, _ in free[:MOST_AGENTS]), "free": len(free), "ever": known[wish],
            "leaves": _leaves(one, policy),
        }  # fmt: skip
    assigned = {pair.interaction_id: pair for pair in pool.settle(NOW)}
    return {ix: Side(**values, assigned=_to(assigned.get(ix))) for ix, values in found.items()}


def _to(pair: Assignment | None) -> str:
    return pair.extension if pair is not None else ""


def _leaves(one: Waiting, policy: Policy) -> str:
    queue = policy.queue(one.item.queue)
    return place(queue.overflow_for("timeout")) if 0 < queue.max_wait_s <= one.waited_s else ""


def place(overflow: Overflow) -> str:
    """As it stands in the text: "voicemail", "queue spare"."""
    return f"{overflow.to} {overflow.target}".strip()


def situation_record(situation: Situation) -> dict[str, Any]:
    """As JSON, for the way between processes; `situation_from` reads it again."""
    return {
        "waiting": [{"item": item_record(one.item), "waited_s": one.waited_s} for one in situation.waiting],
        "agents": [
            {**vars(agent), "skills": dict(agent.skills), "teams": sorted(agent.teams), "kinds": sorted(agent.kinds)}
            for agent in situation.agents
        ],
    }  # fmt: skip


def situation_from(record: Mapping[str, Any]) -> Situation:
    def present(agent: Mapping[str, Any]) -> Present:
        return Present(**{**agent, "teams": frozenset(agent["teams"]), "kinds": frozenset(agent["kinds"])})

    def item(written: Mapping[str, Any]) -> WorkItem:
        return item_from({**written, "been_in": tuple(written["been_in"])})

    waiting: Sequence[Mapping[str, Any]] = record["waiting"]
    return Situation(
        tuple(Waiting(item(one["item"]), one["waited_s"]) for one in waiting),
        tuple(present(agent) for agent in record["agents"]),
    )
