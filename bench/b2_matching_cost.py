"""B2: what a decision costs: our pool at each event, beside SciPy's Hungarian method with the same points.

500 agents with some of 50 skills, 1,000 items waiting for scarce ones while agents without those are free; 10,000 events: an
agent is done and takes the item with the most points, an item comes and takes the best agent. Peer: the points of all who are
free × all who wait, in NumPy, and `linear_sum_assignment`. Promise: ≤ 50 µs at the median, ≤ 0.02 of the peer, points within
1 %; 500 × 500 at once in ≤ 100 ms; a recorded day of 12,000 calls is lived again in ≤ 20 s, from its events to its table, and
twice to the same bytes. Processor time of one process, everything else switched off.
"""

from __future__ import annotations

import gc
import json
import math
import time
from collections.abc import Iterator, Sequence

import numpy as np

from bench.figures import Figure, at, figure, spread
from core.events import from_record, to_record
from routing import batch
from routing.model import WorkItem
from routing.policy.model import Policy, PriorityClass, QueuePolicy, Ring, Weights
from routing.pool import Assignment, Pool
from routing.replay import recorded_day
from routing.sim.made_day import made_day
from routing.sim.scenario import EPOCH
from routing.sim.study import compare_day

SKILLS, SCARCE = 50, 10  # the first of them are scarce
OWN, OWN_SCARCE = 6, 2  # skills of each agent; of every other agent besides
EVENTS, PEER_EVERY = 10_000, 40
TIERS = ("", "gold")
SIZES = (100, 200, 500, 1000, 2000)
CHOICE = Weights(idle=1e-2, fit=1e-2)


def policy() -> Policy:
    return Policy(
        queues={
            f"s{skill}": QueuePolicy(
                f"s{skill}", {f"s{skill}": 1}, choice=CHOICE, class_of_tier={"gold": "gold"},
                rings=(Ring(120.0, lower={f"s{skill}": 1}, points=1.0),),
            )
            for skill in range(SKILLS)
        },
        classes={"gold": PriorityClass("gold", 5.0)},
    )  # fmt: skip


class World:
    """Agents, their skills, and items that wait; a clock that goes on a little with each event."""

    def __init__(self, agents: int, waiting: int, seed: int = 1) -> None:
        self.chance = np.random.default_rng(seed)
        self.pool, self.now, self.made = Pool(policy()), 10_000.0, 0
        self.skills: list[dict[str, int]] = []
        for number in range(agents):
            own = {f"s{s}" for s in self.chance.choice(np.arange(SCARCE, SKILLS), OWN, replace=False)}
            if number % 2:
                own |= {f"s{s}" for s in self.chance.choice(SCARCE, OWN_SCARCE, replace=False)}
            self.skills.append({skill: int(self.chance.integers(1, 6)) for skill in sorted(own)})
        self.busy_scarce = [number for number in range(agents) if number % 2]
        self.busy: list[int] = []
        for number in range(0, agents, 2):
            self.free(number, idle_s=float(self.chance.uniform(0, 600)))
        for _ in range(waiting):
            self.pool.put(self.item(scarce=True), self.now - float(self.chance.uniform(0, 300)), self.now)
        assert not self.pool.settle(self.now)

    def item(self, *, scarce: bool) -> WorkItem:
        self.made += 1
        skill = f"s{self.chance.integers(0, SCARCE) if scarce else self.chance.integers(SCARCE, SKILLS)}"
        level = int(self.chance.integers(1, 4))
        return WorkItem(
            f"i{self.made:07d}", skill, "", EPOCH, {skill: level}, tier=TIERS[int(self.chance.integers(0, 2))]
        )

    def free(self, number: int, idle_s: float = 0.0) -> None:
        self.pool.free(f"a{number:04d}", self.skills[number], frozenset(), self.now, idle_since=self.now - idle_s)

    def events(self, count: int) -> Iterator[tuple[int, WorkItem | None]]:
        """(agent who is done, None) or (-1, item that comes), in turns of four."""
        for number in range(count):
            self.now += 0.05
            kind = number % 4
            if kind == 0:
                yield self.busy_scarce.pop(int(self.chance.integers(len(self.busy_scarce)))), None
            elif kind == 1:
                yield -1, self.item(scarce=True)
            elif kind == 2 or not self.busy:
                yield -1, self.item(scarce=False)
            else:
                yield self.busy.pop(int(self.chance.integers(len(self.busy)))), None

    def settled(self, made: Sequence[Assignment]) -> None:
        for pair in made:
            number = int(pair.extension[1:])
            (self.busy_scarce if number % 2 else self.busy).append(number)


def live(world: World, count: int) -> dict[str, list[float]]:
    """µs per event, by what happened."""
    costs: dict[str, list[float]] = {"done": [], "comes": []}
    gc.collect()
    gc.disable()
    try:
        for done, item in world.events(count):
            began = time.process_time_ns()
            if item is None:
                world.free(done)
            else:
                world.pool.put(item, world.now, world.now)
            made = world.pool.settle(world.now)
            costs["done" if item is None else "comes"].append((time.process_time_ns() - began) / 1e3)
            world.settled(made)
    finally:
        gc.enable()
    return costs


def beside(world: World, count: int, every: int) -> tuple[list[float], float, float]:
    """(ms per event of the peer, our points, its points) over some of the events, decided by both from the same state."""
    peer: list[float] = []
    points = best = 0.0
    for number, (done, item) in enumerate(world.events(count)):
        if item is None:
            world.free(done)
        else:
            world.pool.put(item, world.now, world.now)
        looked = number % every in (0, 2)
        before = seen(world.pool, world.now) if looked else ([], [])
        made = world.pool.settle(world.now)
        world.settled(made)
        if looked:
            began = time.process_time_ns()
            pairs = batch.best_pairs(*before)
            peer.append((time.process_time_ns() - began) / 1e6)
            points += worth(made, before[0])
            best += sum(pair.points for pair in pairs)
    return peer, points, best


def worth(made: Sequence[Assignment], waiting: Sequence[batch.Waiting]) -> float:
    """The points of our pairs by the peer's reckoning: priority and merit, whether or not somebody was due."""
    priority = {it.interaction_id: it.priority for it in waiting}
    return sum(priority[pair.interaction_id] + pair.merit for pair in made)


def seen(pool: Pool, now: float) -> tuple[list[batch.Waiting], list[batch.Free]]:
    """What the pool holds, as values for the peer; not part of anybody's time."""
    waiting, free = [], []
    for ix, entry in pool._items.items():
        lane = entry.lane
        assert lane is not None
        due = lane.overtaken(entry) >= pool.policy.max_overtakes
        points = 0.0 if due else lane.points
        waiting.append(batch.Waiting(ix, lane.wish, points + lane.rate * (now - entry.since), due))
    for seat in pool._free.values():
        about = seat.profile
        free.append(batch.Free(seat.extension, about.skills, about.teams, about.kinds, now - seat.idle_since))
    return waiting, free


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """b of cost = a · sizeᵇ: 0 is flat, 1 is linear."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def at_once(count: int) -> tuple[float, float, float, float, int]:
    """(ms of the pool, ms of the batch, the pool's points, the batch's points, pairs) when so many items and agents appear in
    one moment."""
    chance = np.random.default_rng(2)
    world = World(count, 0)
    pool = Pool(policy())
    world.pool = pool
    for number in range(count):
        world.free(number, idle_s=float(chance.uniform(0, 600)))
        pool.put(world.item(scarce=number % 5 == 0), world.now - float(chance.uniform(0, 300)), world.now)
    waiting, free = seen(pool, world.now)
    began = time.process_time_ns()
    best = batch.best_pairs(waiting, free)
    middle = time.process_time_ns()
    made = pool.settle(world.now)
    ended = time.process_time_ns()
    return (
        (ended - middle) / 1e6,
        (middle - began) / 1e6,
        worth(made, waiting),
        sum(p.points for p in best),
        len(best) - len(made),
    )


def run() -> Iterator[Figure]:
    live(World(100, 100), 500)  # warm
    costs = live(World(500, 1000), EVENTS)
    cost = [*costs["done"], *costs["comes"]]
    peer, points, best = beside(World(500, 1000), EVENTS, PEER_EVERY)
    half, ratio = at(cost, 50), at(cost, 50) / 1e3 / at(peer, 50)
    yield figure(
        "B2", "event_p50_us", half, at(peer, 50) * 1e3, target="<= 50, <= 0.02 of the peer",
        ok=half <= 50 and ratio <= 0.02, n=len(cost), spread=spread(cost), peer_n=len(peer),
        done_us=spread(costs["done"]), comes_us=spread(costs["comes"]),
    )  # fmt: skip
    yield figure(
        "B2", "points_of_the_pairs", points, best, target="0.99 … 1.01 of the peer",
        ok=math.isclose(points, best, rel_tol=0.01), n=len(peer),
    )  # fmt: skip
    for name, worlds in (("agents", [(n, 1000) for n in SIZES]), ("waiting", [(500, n) for n in SIZES])):
        runs = [live(World(*size), 4000) for size in worlds]
        for event in ("done", "comes"):
            p50s = [at(found[event], 50) for found in runs]
            b = exponent(SIZES, p50s)
            yield figure(
                "B2", f"exponent_of_{name}_when_one_{event}", b, None, target="<= 0.35 (0 flat, 1 linear)", ok=b <= 0.35,
                n=4000 * len(SIZES), p50_us=dict(zip(SIZES, (round(cost, 1) for cost in p50s), strict=True)),
            )  # fmt: skip
    once = [at_once(500) for _ in range(3)]
    pool_ms, batch_ms = min(it[0] for it in once), min(it[1] for it in once)
    yield figure(
        "B2", "batch_500_by_500_ms", batch_ms, pool_ms, target="<= 100 (peer: our pool, one after the other)",
        ok=batch_ms <= 100, n=len(once), points_gained=round(once[0][3] / once[0][2] - 1, 4), pairs_gained=once[0][4],
    )  # fmt: skip
    seconds, calls, same = replayed()
    yield figure(
        "B2",
        "replay_of_a_day_s",
        seconds,
        None,
        target="<= 20, the same bytes twice",
        ok=seconds <= 20 and same,
        n=calls,
    )


def replayed() -> tuple[float, int, bool]:
    """(seconds, calls, whether the second time gave the same bytes) of a made-up day under two sets of rules."""
    events, made = made_day(Pool)
    records = [to_record(event) for event in events]
    skills = {agent.extension: agent.skills for agent in made.staff}
    texts, calls = [], 0
    began = time.process_time()
    for _ in range(2):
        day = recorded_day([from_record(record) for record in records], skills)
        calls = len(day.work)
        study = compare_day(day, {"as made": made.policy, "no rules": Policy()}, Pool)
        texts.append(json.dumps(study.record(), sort_keys=True) + "\n".join(study.lines()))
    return (time.process_time() - began) / 2, calls, texts[0] == texts[1]
