"""A scenario: who works when, what comes, how long it takes, how long callers wait; and the random numbers drawn for it.

Does not read text (`text.py`). Every purpose (arrivals, handle times, patience) of every type has a stream of random numbers
of its own: what one type's callers do stays the same whatever else is changed, so that two sets of rules see the same day.
Invariant: the same scenario and seed give the same work, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import numpy as np

from routing.intervals import Goal
from routing.model import WorkItem
from routing.policy.model import Policy
from routing.sim.engine import Able, Floats, Limit, Staff, Work
from routing.wish import Wish, program

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
SHAPES = ("exponential", "lognormal", "gamma", "constant")


@dataclass(frozen=True)
class Duration:
    """Seconds with this mean. `cv`: standard deviation / mean, of lognormal and gamma."""

    mean_s: float
    shape: str = "exponential"
    cv: float = 1.0

    def draw(self, stream: np.random.Generator, count: int) -> Floats:
        if self.shape == "constant":
            return np.full(count, self.mean_s)
        if self.shape == "lognormal":
            sigma = math.sqrt(math.log(1 + self.cv**2))
            return stream.lognormal(math.log(self.mean_s) - sigma**2 / 2, sigma, count)
        if self.shape == "gamma":
            shape = 1 / self.cv**2
            return stream.gamma(shape, self.mean_s / shape, count)
        return stream.exponential(self.mean_s, count)


@dataclass(frozen=True)
class Rate:
    """So many calls per hour from `since_s` until before `until_s`, at random (Poisson)."""

    since_s: float
    until_s: float
    per_hour: float


@dataclass(frozen=True)
class CallType:
    """Calls of one kind. `like`: what each is as a work item, but for its id and time. `patience` None: they wait for ever.
    `ring_s`: how long the agent's phone rings before it is answered."""

    name: str
    like: WorkItem
    rates: tuple[Rate, ...]
    handle: Duration
    patience: Duration | None = None
    ring_s: float = 0.0
    goal: Goal = Goal()


@dataclass(frozen=True)
class Scenario:
    """`warm_up_s`: calls that come before it are lived through and not counted."""

    name: str
    types: tuple[CallType, ...]
    staff: tuple[Staff, ...]
    policy: Policy = field(default_factory=Policy)
    warm_up_s: float = 0.0

    def items(self, work: Work) -> Callable[[int], WorkItem]:
        """The work item of each call, by number."""
        return items([it.like for it in self.types], work)

    def able(self) -> Able:
        """Who could take what at once, under the scenario's own rules."""
        return able(self.staff, [it.like for it in self.types], self.policy)


def like(name: str, queue: str = "", **more: Any) -> WorkItem:
    """What the calls of a type have in common."""
    return WorkItem(interaction_id=name, queue=queue or name, channel="", enqueued_at=EPOCH, **more)


def items(alike: Sequence[WorkItem], work: Work) -> Callable[[int], WorkItem]:
    """Makes the work item of each call, by number: what its type is like, with an id of its own."""
    kinds = work.kind.tolist()
    fields = [vars(it) for it in alike]
    new = object.__new__

    def item_of(number: int) -> WorkItem:
        # As `replace` would, without asking for each of the fields again: there are millions of calls.
        item = new(WorkItem)
        item.__dict__.update(fields[kinds[number]], interaction_id=f"{number:08d}")
        return item

    return item_of


def able(staff: Sequence[Staff], alike: Sequence[WorkItem], policy: Policy) -> Able:
    """Who could take which type at once: for whom the first ring is."""
    lines: dict[Wish, int] = {}
    line_of = [lines.setdefault(program(it, policy).stages[0].wish, len(lines)) for it in alike]
    personal = any(wish.only for wish in lines)
    known: dict[tuple[object, ...], list[bool]] = {}
    rows = []
    for agent in staff:
        key = (agent.alike[:2], agent.extension if personal else "")
        if key not in known:
            known[key] = [wish.met_by(agent.extension, agent.skills, agent.teams) for wish in lines]
        rows.append(known[key])
    return Able(line_of, rows)


def limits(alike: Sequence[WorkItem], policy: Policy) -> list[Limit | None]:
    """By type, how long its queue lets it wait, and where it is sent then. Other reasons to be sent on are not simulated."""
    found: list[Limit | None] = []
    for item in alike:
        queue = policy.queue(item.queue)
        where = queue.overflow_for("timeout")
        found.append(
            Limit(queue.max_wait_s, where.target if where.to == "queue" else "") if queue.max_wait_s > 0 else None
        )
    return found


def stream(seed: int, purpose: str, of: str) -> np.random.Generator:
    """The random numbers of one purpose of one type, or of whatever else has a name."""
    key = (crc32(purpose.encode()), crc32(of.encode()))
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def draw(types: Sequence[CallType], seed: int) -> Work:
    """The calls of one day."""
    parts: list[tuple[Floats, Floats, Floats, Floats]] = []
    for it in types:
        at = _arrivals(it.rates, stream(seed, "arrivals", it.name))
        count = len(at)
        ring = np.full(count, it.ring_s)
        handle = it.handle.draw(stream(seed, "handle", it.name), count) + ring
        patience = np.full(count, math.inf)
        if it.patience is not None:
            patience = it.patience.draw(stream(seed, "patience", it.name), count)
        parts.append((at, handle, patience, ring))
    at = np.concatenate([part[0] for part in parts]) if parts else np.empty(0)
    kind = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    order = np.argsort(at, kind="stable")
    handle, patience, ring = (np.concatenate([part[n] for part in parts])[order] if parts else at for n in (1, 2, 3))
    return Work(at[order], kind[order].astype(np.int64), handle, patience, ring)


def _arrivals(rates: Sequence[Rate], stream_: np.random.Generator) -> Floats:
    """Poisson with a rate for each stretch: the count first, then that many moments."""
    moments = []
    for rate in rates:
        count = stream_.poisson(rate.per_hour * (rate.until_s - rate.since_s) / 3600)
        moments.append(np.sort(stream_.uniform(rate.since_s, rate.until_s, count)))
    return np.concatenate(moments) if moments else np.empty(0)


def group_names(staff: Sequence[Staff]) -> Mapping[tuple[object, ...], str]:
    """Names of groups of equal agents: their skills in words."""
    names: dict[tuple[object, ...], str] = {}
    for agent in staff:
        words = " ".join(f"{skill}:{level}" for skill, level in sorted(agent.skills.items())) or "no skills"
        names.setdefault(agent.alike, words if words not in names.values() else f"{words} ({len(names) + 1})")
    return names
