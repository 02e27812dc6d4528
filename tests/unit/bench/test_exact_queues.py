"""What the simulation is measured against: exact figures agree with each other, and a switch's queues keep their own order."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from bench.exact_queues import n_model, priority_waits
from bench.peer_queues import STRATEGIES, PeerQueues
from routing import erlang
from routing.model import WorkItem

T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
NO_TEAMS: frozenset[str] = frozenset()


def test_one_class_alone_waits_as_erlang_c_says_and_two_wait_as_long_together() -> None:
    assert priority_waits(14, (10.0,), 180) == [pytest.approx(erlang.asa_s(14, 10.0, 180))]
    first, second = priority_waits(14, (4.0, 6.0), 180)
    assert first < second
    assert (4 * first + 6 * second) / 10 == pytest.approx(erlang.asa_s(14, 10.0, 180))


def test_an_n_model_in_which_nobody_asks_for_the_second_skill_is_one_queue() -> None:
    p_wait, wait_s, _, _ = n_model(3, 3, 4.0, 1e-9, 240, longest=60)
    assert p_wait == pytest.approx(erlang.erlang_c(6, 4.0), rel=1e-5)
    assert wait_s == pytest.approx(erlang.asa_s(6, 4.0, 240), rel=1e-4)


def test_an_n_model_in_which_nobody_asks_for_the_first_is_the_second_s_own_queue() -> None:
    _, _, p_wait, wait_s = n_model(3, 3, 1e-9, 2.0, 240, longest=60)
    assert p_wait == pytest.approx(erlang.erlang_c(3, 2.0), rel=1e-5)
    assert wait_s == pytest.approx(erlang.asa_s(3, 2.0, 240), rel=1e-4)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_switch_s_queues_leave_nobody_waiting_in_vain_and_each_keeps_its_order(strategy: str) -> None:
    chance, pool = random.Random(1), PeerQueues(strategy, seed=1)
    waiting: dict[str, list[str]] = {"a": [], "b": []}
    free: dict[str, dict[str, int]] = {}
    for number in range(2000):
        if chance.random() < 0.5:
            queue = chance.choice("ab")
            pool.put(WorkItem(f"i{number}", queue, "", T0), number, number)
            waiting[queue].append(f"i{number}")
        else:
            name, skills = str(number % 20), {"a": 1} if number % 3 else {"a": 1, "b": 1}
            pool.busy(name)
            free[name] = skills
            pool.free(name, skills, NO_TEAMS, number, idle_since=number)
        for pair in pool.settle(number):
            skills = free.pop(pair.extension)
            assert pair.interaction_id in {waiting[queue][0] for queue in skills if waiting[queue]}
            for line in waiting.values():
                if pair.interaction_id in line:
                    line.remove(pair.interaction_id)
        assert not any(waiting[queue] for skills in free.values() for queue in skills)


def test_rrmemory_goes_round_and_leastrecent_takes_who_was_called_longest_ago() -> None:
    for strategy in ("rrmemory", "leastrecent"):
        pool, taken = PeerQueues(strategy, seed=1), []
        for name in "xyz":
            pool.free(name, {"q": 1}, NO_TEAMS, 0, idle_since=0)
        for number in range(6):
            pool.put(WorkItem(f"i{number}", "q", "", T0), number, number)
            (pair,) = pool.settle(number)
            taken.append(pair.extension)
            pool.free(pair.extension, {"q": 1}, NO_TEAMS, number, idle_since=number)
            assert pool.settle(number) == []
        assert taken == list("xyzxyz")
