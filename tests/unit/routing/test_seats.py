"""Rows of free agents, and that looking at a few of them finds the one whom looking at all would find."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from routing.model import WorkItem
from routing.policy.model import Policy, QueuePolicy, Weights
from routing.pool import Pool
from routing.seats import Profile, Row, Seat

T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ANYTHING = Profile({}, frozenset(), frozenset({"voice"}))
verbs = st.lists(
    st.tuples(st.sampled_from(["add", "add", "leave", "look"]), st.integers(0, 9), st.integers(0, 99)), max_size=40
)


@given(verbs)
def test_a_row_gives_the_longest_idle_first_in_whatever_order_they_came(life: list[tuple[str, int, int]]) -> None:
    row, spec = Row(), dict[str, int]()
    for verb, who, idle_since in life:
        name = str(who)
        if verb == "add":
            row.pop(name, None)
            row.add(Seat(name, ANYTHING, idle_since, 0.0))
            spec[name] = idle_since
        elif verb == "leave":
            row.pop(name, None)
            spec.pop(name, None)
        else:
            assert [seat.idle_since for seat in row.longest_idle_first()] == sorted(spec.values())
    assert {seat.extension: seat.idle_since for seat in row.longest_idle_first()} == spec


points = st.sampled_from([0.0, 1e-6, 1e-2, -1e-2, 1.0])
weights = st.builds(Weights, idle=points, fit=points, breadth=points, occupancy=points, turn=points)
people = st.lists(
    st.tuples(st.dictionaries(st.sampled_from("abc"), st.integers(1, 5)), st.integers(0, 900), st.integers(0, 10)),
    min_size=1, max_size=12,
)  # fmt: skip


@given(weights, people, st.sampled_from(["", "100", "103"]))
def test_the_agent_who_is_found_is_the_best_of_all_whatever_is_weighed(
    choice: Weights, crew: list[tuple[dict[str, int], int, int]], last_agent: str
) -> None:
    pool = Pool(Policy({"q": QueuePolicy("q", {"a": 2}, choice=choice, last_agent_points=0.5)}))
    pool.put(replace(WorkItem("i", "q", "c", T0), last_agent=last_agent), 990.0, 990.0)
    assert pool.settle(990.0) == []
    for number, (skills, idle_since, busy) in enumerate(crew):
        pool.free(f"1{number:02}", skills, frozenset(), 1000.0, idle_since=idle_since, occupancy=busy / 10)
    ranked = pool.ranked("i", 1000.0)
    made = [pair.extension for pair in pool.settle(1000.0)]
    assert made == [extension for extension, _ in ranked[:1]]


def test_five_hundred_items_and_agents_at_once_are_paired_before_anybody_notices() -> None:
    pool = Pool(Policy({"q": QueuePolicy("q", {"a": 1})}, max_overtakes=3))
    for number in range(500):
        pool.put(WorkItem(f"i{number:03}", "q", "c", T0, {"a": number % 5 + 1}, priority=number % 3), -number, 0.0)
        pool.free(f"1{number:03}", {"a": 5 - number % 4}, frozenset(), 0.0, idle_since=-number)
    began = time.process_time()
    made = pool.settle(0.0)
    assert time.process_time() - began < 0.5
    assert len(made) > 400
