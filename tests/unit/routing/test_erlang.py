"""Erlang's figures: the table by which they are checked, and what must hold for every load."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import erlang

# calls, interval s, AHT s, T s, target → erlangs, agents, P_wait, SL, ASA s, occupancy, on the roster at 30 % shrinkage
TABLE = [
    (100, 1800, 180, 20, 0.80, 10.0000, 14, 0.1741, 0.8884, 7.84, 0.7143, 20.00),
    (200, 3600, 240, 20, 0.80, 13.3333, 17, 0.2573, 0.8104, 16.84, 0.7843, 24.29),
    (30, 1800, 300, 20, 0.80, 5.0000, 8, 0.1673, 0.8631, 16.73, 0.6250, 11.43),
    (360, 3600, 240, 15, 0.90, 24.0000, 31, 0.1209, 0.9219, 4.15, 0.7742, 44.29),
]


@pytest.mark.parametrize(
    "calls, interval_s, aht_s, within_s, target, load, agents, p_wait, level, asa_s, occupied, roster", TABLE
)
def test_the_table_of_check_data(
    calls: int, interval_s: float, aht_s: float, within_s: float, target: float,
    load: float, agents: int, p_wait: float, level: float, asa_s: float, occupied: float, roster: float,
) -> None:  # fmt: skip
    assert erlang.load_erl(calls, interval_s, aht_s) == pytest.approx(load, abs=5e-5)
    load = erlang.load_erl(calls, interval_s, aht_s)
    assert erlang.required(load, aht_s, within_s, target) == agents
    assert erlang.erlang_c(agents, load) == pytest.approx(p_wait, abs=5e-5)
    assert erlang.service_level(agents, load, aht_s, within_s) == pytest.approx(level, abs=5e-5)
    assert erlang.asa_s(agents, load, aht_s) == pytest.approx(asa_s, abs=5e-3)
    assert erlang.occupancy(agents, load) == pytest.approx(occupied, abs=5e-5)
    assert erlang.scheduled(agents, 0.30) == pytest.approx(roster, abs=5e-3)


@pytest.mark.parametrize("calls, interval_s, aht_s, within_s, target", [row[:5] for row in TABLE])
def test_one_agent_fewer_would_miss_the_target(
    calls: int, interval_s: float, aht_s: float, within_s: float, target: float
) -> None:
    load = erlang.load_erl(calls, interval_s, aht_s)
    fewest = erlang.required(load, aht_s, within_s, target)
    assert erlang.service_level(fewest - 1, load, aht_s, within_s) < target


def test_erlang_b_by_its_definition() -> None:
    for agents in range(12):
        for load in (0.3, 2.0, 9.5):
            terms = [load**n / math.factorial(n) for n in range(agents + 1)]
            assert erlang.erlang_b(agents, load) == pytest.approx(terms[-1] / sum(terms))


def test_more_load_than_agents_waits_for_ever_and_is_no_error() -> None:
    assert erlang.erlang_c(10, 10.0) == 1.0
    assert erlang.service_level(10, 12.0, 180, 20) == 0.0
    assert erlang.asa_s(10, 10.0, 180) == math.inf
    assert erlang.occupancy(10, 12.0) == 1.0


def test_thousands_of_agents_overflow_nothing() -> None:
    assert 0.0 < erlang.erlang_c(5000, 4950.0) < 1.0
    assert erlang.required(4950.0, 240, 20, 0.80) == pytest.approx(5000, abs=50)
    assert erlang.erlang_b(5000, 0.001) == 0.0


def test_an_occupancy_nobody_bears_asks_for_more_agents() -> None:
    assert erlang.required(100.0, 300, 20, 0.80, most_occupied=0.85) == math.ceil(100 / 0.85)


@pytest.mark.parametrize("target, most", [(1.0, 1.0), (-0.1, 1.0), (0.8, 0.0), (0.8, 1.5)])
def test_a_target_nobody_can_meet_is_refused(target: float, most: float) -> None:
    with pytest.raises(ValueError, match="no number of agents"):
        erlang.required(10.0, 180, 20, target, most_occupied=most)


def test_a_shrinkage_of_everything_is_refused() -> None:
    with pytest.raises(ValueError, match="no shrinkage"):
        erlang.scheduled(10, 1.0)


loads = st.floats(0.05, 200)
times = st.floats(10, 1000)


@given(st.integers(1, 220), loads)
def test_more_agents_never_make_anybody_wait_longer(agents: int, load: float) -> None:
    more, fewer = erlang.erlang_c(agents + 1, load), erlang.erlang_c(agents, load)
    assert 0.0 <= more <= fewer <= 1.0
    assert erlang.erlang_b(agents, load) <= fewer


def birth_and_death(agents: int, load: float, aht_s: float, patience_s: float, longest: int) -> list[float]:
    """The steady state of Erlang A, state by state."""
    states = [1.0]
    for n in range(1, agents + longest + 1):
        leaves = min(n, agents) / aht_s + max(0, n - agents) / patience_s
        states.append(states[-1] * load / aht_s / leaves)
        if states[-1] > 1e200:  # only shares count
            states = [state / states[-1] for state in states]
    return [state / sum(states) for state in states]


@given(st.integers(1, 25), st.floats(0.1, 40), times, times)
def test_erlang_a_by_its_states(agents: int, load: float, aht_s: float, patience_s: float) -> None:
    ours = erlang.erlang_a(agents, load, aht_s, patience_s, 20)
    # 1.3 times as many as can possibly stay, and a good tail.
    longest = int(load / aht_s * patience_s * 1.3) + 300
    states = birth_and_death(agents, load, aht_s, patience_s, longest)
    waiting = sum(n * share for n, share in enumerate(states[agents:]))
    assert ours.p_wait == pytest.approx(sum(states[agents:]), rel=1e-9, abs=1e-12)
    assert ours.p_abandon == pytest.approx(waiting / patience_s / (load / aht_s), rel=1e-9, abs=1e-12)
    assert ours.wait_s == pytest.approx(ours.p_abandon * patience_s)
    assert ours.occupancy * agents == pytest.approx(sum(min(n, agents) * share for n, share in enumerate(states)))


@given(st.integers(1, 40), st.floats(0.1, 60), times, times)
def test_in_time_without_end_everybody_is_answered_who_does_not_hang_up(
    agents: int, load: float, aht_s: float, patience_s: float
) -> None:
    ever = erlang.erlang_a(agents, load, aht_s, patience_s, 12 * min(aht_s, patience_s))
    at_once = erlang.erlang_a(agents, load, aht_s, patience_s, 0)
    assert at_once.answered_within == pytest.approx(1 - at_once.p_wait)
    assert ever.answered_within <= 1 - ever.p_abandon + 1e-6
    assert at_once.answered_within <= ever.answered_within + 1e-12


def test_endless_patience_is_erlang_c() -> None:
    patient = erlang.erlang_a(14, 10.0, 180, 1e9, 20)
    assert patient.p_wait == pytest.approx(erlang.erlang_c(14, 10.0), rel=1e-5)
    assert patient.answered_within == pytest.approx(erlang.service_level(14, 10.0, 180, 20), rel=1e-5)
    assert patient.wait_s == pytest.approx(erlang.asa_s(14, 10.0, 180), rel=1e-4)


def test_no_calls_no_waiting_and_no_agents_no_answer() -> None:
    assert erlang.erlang_a(3, 0.0, 180, 60, 20) == erlang.Patient(0.0, 0.0, 0.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="needs an agent"):
        erlang.erlang_a(0, 1.0, 180, 60, 20)
