"""The pool: what it promises over any life, against a plain specification that tries every pair; and by example."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from routing.model import WorkItem
from routing.policy.model import CHOICES, Policy, PriorityClass, QueuePolicy, Ring
from routing.pool import Assignment, Pool
from routing.wish import Stage, program

T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
CLASSES = {
    "standard": PriorityClass("standard", 0, 1),
    "vip": PriorityClass("vip", 5, 1),
    "fast": PriorityClass("fast", 0, 3),
}


def policy(*queues: QueuePolicy, max_overtakes: int = 20) -> Policy:
    return Policy({queue.name: queue for queue in queues}, CLASSES, max_overtakes)


def item(ix: str, queue: str = "service", **more: object) -> WorkItem:
    return replace(WorkItem(ix, queue, f"c-{ix}", T0), **more)  # type: ignore[arg-type]


class House:
    """A pool, its time, and short words."""

    def __init__(self, rules: Policy) -> None:
        self.pool, self.now = Pool(rules), 0.0

    def at(self, seconds: float) -> House:
        self.now = seconds
        return self

    def put(self, *items: WorkItem) -> list[tuple[str, str]]:
        for one in items:
            self.pool.put(one, self.now, self.now)
        return self.settle()

    def free(
        self, extension: str, *teams: str, idle_since: float | None = None, occupancy: float = 0.0, **skills: int
    ) -> list[tuple[str, str]]:
        self.pool.free(
            extension, skills or {"service": 3}, frozenset(teams), self.now,
            idle_since=self.now if idle_since is None else idle_since, occupancy=occupancy,
        )  # fmt: skip
        return self.settle()

    def settle(self) -> list[tuple[str, str]]:
        return [(made.interaction_id, made.extension) for made in self.pool.settle(self.now)]


SERVICE = QueuePolicy("service", {"service": 1})


def test_the_longest_waiting_item_goes_to_whoever_becomes_free() -> None:
    house = House(policy(SERVICE))
    assert house.put(item("a")) == house.at(1).put(item("b")) == []
    assert house.at(2).free("101") == [("a", "101")]
    assert house.at(3).free("102") == [("b", "102")]


def test_an_item_goes_to_the_longest_idle_agent_who_may_take_it() -> None:
    house = House(policy(SERVICE))
    house.free("101", zh=5)
    house.at(1).free("102")
    house.at(2).free("103")
    assert house.at(9).put(item("a"), item("b")) == [("a", "102"), ("b", "103")]


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [("longest_idle", "101"), ("most_proficient", "103"), ("least_occupied", "102"), ("specialist_first", "102")],
)
def test_how_an_agent_is_chosen_is_the_queues_to_say(choice: str, chosen: str) -> None:
    house = House(policy(replace(SERVICE, choice=CHOICES[choice])))
    house.free("101", idle_since=0, service=3, zh=1, occupancy=0.9)
    house.free("102", idle_since=1, service=1, occupancy=0.1)
    house.free("103", idle_since=2, service=5, zh=1, occupancy=0.5)
    assert house.at(9).put(item("a")) == [("a", chosen)]


def test_round_robin_remembers_whose_turn_it_was() -> None:
    house = House(policy(replace(SERVICE, choice=CHOICES["round_robin"])))
    taken = []
    for extension in ("101", "102", "103"):
        house.free(extension)
    for number in range(6):
        [(_, extension)] = house.at(number + 1).put(item(f"i{number}"))
        taken.append(extension)
        house.free(extension, idle_since=-100)  # however idle, it is not their turn
    assert taken == ["101", "102", "103"] * 2


def test_a_ring_lowers_what_is_asked_when_its_time_comes_and_not_before() -> None:
    rings = (Ring(30, lower={"service": 2}), Ring(60, teams=frozenset({"back"})))
    house = House(policy(replace(SERVICE, skills={"service": 4}, teams=frozenset({"front"}), rings=rings)))
    house.free("101", "front", service=2)
    house.free("102", "back", service=5)
    assert house.put(item("a"), item("b")) == []
    assert house.pool.next_widening() == 30
    assert house.at(29.9).settle() == []
    assert house.at(30).settle() == [("a", "101")]
    assert house.pool.next_widening() == 60
    assert house.at(60).settle() == [("b", "102")]
    assert house.pool.next_widening() is None


def test_a_higher_class_goes_first_and_ageing_brings_the_others_past_it() -> None:
    queue = replace(SERVICE, class_of_tier={"gold": "vip"})
    house = House(policy(queue))
    house.put(item("old"))
    house.at(60).put(item("gold", tier="gold"))
    house.at(400).put(item("late", tier="gold"))
    assert house.at(401).free("101") == [("gold", "101")]  # 5 points are five minutes
    assert house.free("102") == [("old", "102")]
    assert house.free("103") == [("late", "103")]


def test_the_cases_owner_alone_at_first_and_then_everybody() -> None:
    house = House(policy(replace(SERVICE, owner_first_s=20)))
    house.free("101")
    assert house.put(item("a", owner="102")) == []
    assert house.at(19).free("103") == []
    assert house.at(20).settle() == [("a", "101")]
    house.at(30).put(item("b", owner="102"), item("c"))
    assert house.free("102") == [("b", "102")]


def test_the_agent_who_served_them_last_is_worth_a_little() -> None:
    house = House(policy(replace(SERVICE, last_agent_points=2)))
    house.put(item("a"))
    house.at(60).put(item("b", last_agent="101"))
    assert house.at(70).free("101") == [("b", "101")]
    assert house.free("102") == [("a", "102")]
    house.at(100).free("103")
    house.at(101).free("101")
    assert house.at(102).put(item("c", last_agent="101")) == [("c", "101")]


def test_what_an_order_is_worth_and_what_a_promise_is_worth_adds_points() -> None:
    queue = replace(SERVICE, value_points=((10_000, 1.0), (50_000, 3.0)), promise_points=10)
    house = House(policy(queue))
    house.put(item("a"), item("promised", promised_at=T0 + timedelta(seconds=50)))
    house.at(10).put(item("dear", value_minor=60_000))
    assert house.at(20).free("101") == [("dear", "101")]
    assert house.at(51).free("102") == [("promised", "102")]


def test_voice_goes_before_what_is_written() -> None:
    house = House(policy(SERVICE, QueuePolicy("chat", {"service": 1}, kind="chat")))
    house.put(item("chat", "chat", kind="chat"))
    house.at(100).put(item("voice"))
    house.pool.free("101", {"service": 1}, frozenset(), house.now, idle_since=0, kinds=frozenset({"voice", "chat"}))
    assert house.settle() == [("voice", "101")]
    house.pool.free("101", {"service": 1}, frozenset(), house.now, idle_since=0, kinds=frozenset({"voice"}))
    assert house.settle() == []


def test_new_rules_count_at_once_for_those_who_wait() -> None:
    house = House(policy(replace(SERVICE, skills={"service": 5})))
    house.put(item("a"))
    house.at(5).free("101")
    house.pool.set_policy(policy(SERVICE), house.now)
    assert house.settle() == [("a", "101")]


def test_nobody_is_overtaken_more_often_than_they_may_be() -> None:
    queue = replace(SERVICE, class_of_tier={"gold": "vip"})
    house = House(policy(queue, max_overtakes=3))
    house.put(item("patient"))
    served = []
    for number in range(10):
        house.at(1 + number).put(item(f"gold{number}", tier="gold"))
        served += house.free("101")
        house.pool.drop("nobody")
    assert [ix for ix, _ in served].index("patient") == 3


# --- any life


class Spec:
    """Who waits and who is free, and every pair tried."""

    def __init__(self, rules: Policy) -> None:
        self.rules = rules
        self.items: dict[str, tuple[WorkItem, float]] = {}
        self.free: dict[str, tuple[dict[str, int], frozenset[str]]] = {}
        self.overtaken: dict[str, int] = {}
        self.stages: dict[str, tuple[Stage, ...]] = {}

    def may(self, ix: str, extension: str, now: float) -> bool:
        one, since = self.items[ix]
        skills, teams = self.free[extension]
        if ix not in self.stages:
            self.stages[ix] = program(one, self.rules).stages
        waited = now - since
        wish = next(stage.wish for stage in reversed(self.stages[ix]) if stage.after_s <= waited)
        return wish.met_by(extension, skills, teams)

    def assigned(self, made: Assignment, now: float) -> None:
        ix, extension = made.interaction_id, made.extension
        assert self.may(ix, extension, now), "they may not"
        one, since = self.items[ix]
        for other, (its, waits) in self.items.items():
            if waits < since and self.may(other, extension, now):
                self.overtaken[other] = self.overtaken.get(other, 0) + 1
                assert self.overtaken[other] <= self.rules.max_overtakes, "overtaken too often"
                assert (its.queue, its.tier, its.owner) != (one.queue, one.tier, one.owner) or one.last_agent, (
                    "the older first"
                )
        del self.items[ix], self.free[extension]

    def idle_pairs(self, now: float) -> list[tuple[str, str]]:
        return [(ix, extension) for ix in self.items for extension in self.free if self.may(ix, extension, now)]


LOWER, DROP = Ring(20, lower={"service": 1}), Ring(50, drop=frozenset({"service"}), points=2)
WIDER, WIDEST = Ring(15, teams=frozenset({"b"})), Ring(40, any_team=True, lower={"zh": 2})
RULES = policy(
    QueuePolicy("service", {"service": 2}, rings=(LOWER, DROP)),
    QueuePolicy(
        "zh", {"zh": 3}, teams=frozenset({"a"}), rings=(WIDER, WIDEST), choice=CHOICES["most_proficient"], owner_first_s=10,
        last_agent_points=1,
    ),
    QueuePolicy("open", class_of_tier={"gold": "fast", "silver": "vip"}),
    max_overtakes=5,
)  # fmt: skip


def live(seed: int, steps: int) -> list[Assignment]:
    chance = random.Random(seed)
    pool, spec, now = Pool(RULES), Spec(RULES), 0.0
    made_ever: list[Assignment] = []
    known: dict[str, tuple[WorkItem, float]] = {}
    skills = {
        f"1{n:02}": {s: chance.randint(1, 5) for s in chance.sample(["service", "zh", "x"], chance.randint(1, 3))}
        for n in range(145)
    }
    teams = {ext: frozenset(chance.sample(["a", "b", "c"], chance.randint(0, 2))) for ext in skills}
    for number in range(steps):
        now += chance.choice([0.0, 0.5, 3.0, 7.0])
        verb = chance.choices(["put", "free", "drop", "busy", "back"], [10, 9, 1, 1, 1])[0]
        if verb == "put" and len(spec.items) < 40:
            for n in range(chance.choice([1, 1, 1, 4])):
                one = item(
                    f"i{number}-{n}", chance.choice(["service", "zh", "open"]), tier=chance.choice(["", "gold", "silver"]),
                    owner=chance.choice(["", "", "101"]), last_agent=chance.choice(["", "", "102"]),
                )  # fmt: skip
                pool.put(one, now, now)
                spec.items[one.interaction_id] = (one, now)
        elif verb == "free":
            for ext in chance.sample(sorted(skills), chance.choice([1, 1, 1, 3])):
                pool.free(ext, skills[ext], teams[ext], now, idle_since=now - chance.random() * 9)
                spec.free[ext] = (skills[ext], teams[ext])
        elif verb == "drop" and spec.items:
            ix = chance.choice(sorted(spec.items))
            pool.drop(ix)
            del spec.items[ix]
        elif verb == "busy" and spec.free:
            ext = chance.choice(sorted(spec.free))
            pool.busy(ext)
            del spec.free[ext]
        elif verb == "back" and made_ever:  # an offer came to nothing: back with the original wait
            last = made_ever[-1]
            if last.interaction_id not in spec.items and last.interaction_id in known:
                pool.put(known[last.interaction_id][0], known[last.interaction_id][1], now)
                spec.items[last.interaction_id] = known[last.interaction_id]
        known |= spec.items
        made = pool.settle(now)
        for one_made in made:
            spec.assigned(one_made, now)
        assert spec.idle_pairs(now) == [], "somebody waits while somebody free may take them"
        made_ever += made
    return made_ever


@pytest.mark.parametrize("seed", range(145))
def test_over_any_life_nobody_waits_in_vain_is_taken_twice_or_overtaken_too_often(seed: int) -> None:
    made = live(seed, 700)
    assert len(made) > 100


def test_the_same_life_gives_the_same_assignments() -> None:
    assert live(7, 300) == live(7, 300)


def test_who_is_moved_into_a_queue_with_fewer_rings_is_not_looked_for_in_the_rings_of_the_old_one() -> None:
    house = House(policy(replace(SERVICE, rings=(Ring(30, {}),)), QueuePolicy("express", {"express": 1})))
    house.put(item("i1"))
    assert house.pool.next_widening() == 30
    assert house.put(item("i1", "express")) == []
    assert house.pool.next_widening() is None
    assert house.at(40).settle() == []


def test_who_widened_is_known_to_everybody_who_asks_and_only_until_the_next_decision() -> None:
    pool = Pool(Policy({"service": QueuePolicy("service", {"service": 3}, rings=(Ring(10, {"service": 1}),))}))
    pool.put(WorkItem("a", "service", "c", datetime(2026, 11, 24, tzinfo=UTC)), 0.0, 0.0)
    pool.settle(5.0)
    assert pool.widened == []
    pool.settle(10.0)
    assert pool.widened == pool.widened == [("a", 1)]
    pool.settle(11.0)
    assert pool.widened == [], "nothing is kept for somebody who never asks"
