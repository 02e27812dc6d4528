"""Virtual time: what a loop on the product's own matching must keep, and that small runs agree with theory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing import erlang
from routing.policy.model import CHOICES, Overflow, Policy, PriorityClass, QueuePolicy, Ring
from routing.pool import Pool
from routing.sim import report
from routing.sim.engine import Matching, Outcome, Staff, Work, run
from routing.sim.scenario import CallType, Duration, Rate, Scenario, draw, like
from routing.sim.study import simulate
from tests.lots import lots
from tests.unit.routing.plain_pool import PlainPool

HOUR = 3600.0
PLAIN = Policy(queues={"q": QueuePolicy("q")})


def calls(
    per_hour: float, hours: float = 8, name: str = "q", patience: Duration | None = None, **more: Any
) -> CallType:
    return CallType(name, like(name, **more), (Rate(0, hours * HOUR, per_hour),), Duration(180), patience)


def team(count: int, **skills: int) -> tuple[Staff, ...]:
    return tuple(Staff(f"a{number:03d}", skills) for number in range(count))


def lived(scenario: Scenario, seed: int = 1, pool: Matching | None = None) -> tuple[Work, Outcome]:
    work = draw(scenario.types, seed)
    return work, run(work, scenario.staff, pool or Pool(scenario.policy), scenario.items(work), scenario.able())


# --- random numbers


def test_the_same_seed_gives_the_same_calls_and_another_seed_others() -> None:
    types = (calls(300), calls(100, name="r"))
    assert draw(types, 7).at.tobytes() == draw(types, 7).at.tobytes()
    assert draw(types, 7).at.tobytes() != draw(types, 8).at.tobytes()


def test_what_one_type_s_callers_do_stays_the_same_when_another_type_is_added() -> None:
    alone, beside = draw((calls(300),), 7), draw((calls(300), calls(100, name="r")), 7)
    mine = beside.kind == 0
    assert beside.at[mine].tobytes() == alone.at.tobytes()
    assert beside.handle_s[mine].tobytes() == alone.handle_s.tobytes()


@pytest.mark.parametrize("shape, cv", [("exponential", 1.0), ("lognormal", 0.8), ("gamma", 0.5), ("constant", 0.0)])
def test_durations_have_the_mean_and_spread_they_say(shape: str, cv: float) -> None:
    drawn = Duration(240, shape, cv).draw(np.random.default_rng(1), 200_000)
    assert drawn.mean() == pytest.approx(240, rel=0.01)
    assert drawn.std() / drawn.mean() == pytest.approx(cv, abs=0.02)


def test_calls_come_in_order_and_only_when_they_are_said_to() -> None:
    it = CallType("q", like("q"), (Rate(0, HOUR, 600), Rate(2 * HOUR, 3 * HOUR, 300)), Duration(60))
    work = draw((it,), 3)
    assert all(a <= b for a, b in pairwise(work.at.tolist()))
    assert not ((work.at >= HOUR) & (work.at < 2 * HOUR)).any()
    assert (work.at < HOUR).sum() == pytest.approx(600, abs=120)


# --- the loop


def test_nobody_is_lost_and_nobody_has_two_ends() -> None:
    scenario = Scenario("s", (calls(300, patience=Duration(60)),), team(12), PLAIN)
    work, outcome = lived(scenario)
    begun, gone = ~np.isnan(outcome.begun), ~np.isnan(outcome.hung_up)
    assert not (begun & gone).any() and (begun | gone).all()
    assert gone.any() and (outcome.hung_up[gone] == (work.at + work.patience_s)[gone]).all()


def test_an_agent_has_one_call_at_a_time() -> None:
    work, outcome = lived(Scenario("s", (calls(300),), team(16), PLAIN))
    for number in range(16):
        mine = np.flatnonzero(outcome.agent == number)
        mine = mine[np.argsort(outcome.begun[mine])]
        ends = outcome.begun[mine] + work.handle_s[mine]
        assert (outcome.begun[mine][1:] >= ends[:-1]).all()


def test_an_agent_who_goes_home_finishes_the_call_and_takes_no_other() -> None:
    it = CallType("q", like("q"), (Rate(0, HOUR, 60),), Duration(600, "constant"))
    staff = (Staff("a", {}, frozenset(), ((0.0, HOUR / 2),)),)
    work, outcome = lived(Scenario("s", (it,), staff, PLAIN))
    answered = outcome.begun[~np.isnan(outcome.begun)]
    assert len(answered) and (answered < HOUR / 2).all() and np.isnan(outcome.begun).any()
    assert outcome.ended_at >= HOUR / 2 and outcome.there_s[0] == HOUR / 2
    assert (
        report.of_classes(work, outcome, report.Classes(["q"], [it.goal]))["q"]["left"] == np.isnan(outcome.begun).sum()
    )


def test_an_agent_who_comes_later_takes_who_waits_already() -> None:
    it = CallType("q", like("q"), (Rate(0, 60, 600),), Duration(10, "constant"))
    _, outcome = lived(Scenario("s", (it,), (Staff("a", {}, frozenset(), ((100.0, 900.0),)),), PLAIN))
    assert len(outcome.begun) and np.nanmin(outcome.begun) == 100.0


def test_a_ring_that_widens_is_acted_on_at_its_second_and_not_at_the_next_event() -> None:
    policy = Policy(queues={"q": QueuePolicy("q", {"zh": 1}, rings=(Ring(30.0, drop=frozenset({"zh"})),))})
    it = CallType("q", like("q"), (Rate(0, 600, 60),), Duration(5, "constant"))
    work, outcome = lived(Scenario("s", (it,), team(9, en=3), policy))
    assert outcome.begun - work.at == pytest.approx(np.full(len(work), 30.0))


def limited(then: Overflow) -> Policy:
    return Policy({"q": QueuePolicy("q", {"zh": 1}, max_wait_s=30, overflow={"timeout": then}), "r": QueuePolicy("r")})


def test_nobody_waits_longer_than_the_queue_lets_them_and_who_is_sent_on_has_no_other_end() -> None:
    it = CallType("q", like("q"), (Rate(0, HOUR, 240),), Duration(60), Duration(40))
    scenario = Scenario("s", (it,), team(2, zh=3), limited(Overflow("voicemail")))
    (side,) = simulate(scenario, {"rules": scenario.policy}, Pool, range(3)).sides
    found = {figure: estimate.mean for figure, estimate in side.classes["q"].items()}
    assert found["sent_on"] > 0 and found["abandoned"] > 0 and found["longest_wait_s"] == pytest.approx(30)
    assert found["offered"] == pytest.approx(found["answered"] + found["abandoned"] + found["sent_on"])


def test_who_is_sent_on_to_another_queue_waits_there_with_the_wait_they_have() -> None:
    it = CallType("q", like("q"), (Rate(0, 600, 60),), Duration(5, "constant"))
    scenario = Scenario("s", (it,), team(9, en=3), limited(Overflow("queue", "r")))
    (side,) = simulate(scenario, {"rules": scenario.policy}, Pool, [1]).sides
    assert side.classes["q"]["asa_s"].mean == pytest.approx(30)
    assert side.classes["q"]["sent_on"].mean == side.classes["q"]["left"].mean == 0


@settings(max_examples=lots(100))
@given(st.integers(0, 10_000), st.integers(1, 9), st.floats(20, 400))
def test_one_queue_and_equal_agents_the_pool_does_what_first_come_first_served_does(
    seed: int, crew: int, rate: float
) -> None:
    scenario = Scenario("s", (calls(rate, 1, patience=Duration(90)),), team(crew), PLAIN)
    (_, ours), (_, plain) = lived(scenario, seed), lived(scenario, seed, PlainPool(PLAIN))
    assert ours.begun.tobytes() == plain.begun.tobytes()
    assert ours.hung_up.tobytes() == plain.hung_up.tobytes()


def test_in_one_queue_nobody_is_overtaken_and_a_better_class_overtakes_within_its_limit() -> None:
    policy = Policy(
        queues={"q": QueuePolicy("q", class_of_tier={"gold": "gold"})},
        classes={"gold": PriorityClass("gold", 1000.0)}, max_overtakes=5,
    )  # fmt: skip
    plain, gold = calls(200), CallType("gold", like("q", tier="gold"), (Rate(0, 8 * HOUR, 110),), Duration(180))
    _, alone = lived(Scenario("s", (plain,), team(11), policy))
    work, both = lived(Scenario("s", (plain, gold), team(15), policy))
    assert not alone.overtaken.any()
    assert both.overtaken[work.kind == 1].max() <= both.overtaken[work.kind == 0].max() <= 5


# --- theory


def estimate(scenario: Scenario, figure: str, days: int = 10) -> Mapping[str, report.Estimate]:
    (side,) = simulate(scenario, {"rules": scenario.policy}, Pool, range(days)).sides
    return {name: of[figure] for name, of in side.classes.items()}


def near(found: report.Estimate, exact: float, errors: float = 3.0) -> bool:
    """Within three standard errors (a half interval is about 2.26 of them over ten days)."""
    assert found.half is not None
    return abs(found.mean - exact) <= errors * found.half / 2.26 + 1e-12


@pytest.mark.parametrize("agents, load", [(8, 5.0)])
def test_calls_that_wait_for_ever_agree_with_erlang_c(agents: int, load: float) -> None:
    scenario = Scenario("s", (calls(load * 20, 24),), team(agents), PLAIN, warm_up_s=4 * HOUR)
    assert near(estimate(scenario, "p_wait")["q"], erlang.erlang_c(agents, load))
    assert near(estimate(scenario, "wait_s")["q"], erlang.asa_s(agents, load, 180))
    assert near(estimate(scenario, "sl_offered")["q"], erlang.service_level(agents, load, 180, 20))


def test_calls_with_patience_agree_with_erlang_a() -> None:
    scenario = Scenario("s", (calls(240, 24, patience=Duration(90)),), team(12), PLAIN, warm_up_s=4 * HOUR)
    exact = erlang.erlang_a(12, 12.0, 180, 90, 20)
    assert near(estimate(scenario, "abandonment")["q"], exact.p_abandon)
    assert near(estimate(scenario, "wait_s")["q"], exact.wait_s)
    assert near(estimate(scenario, "sl_offered")["q"], exact.answered_within)


def test_two_classes_agree_with_the_exact_waits_of_a_queue_with_priority() -> None:
    policy = Policy(
        queues={"q": QueuePolicy("q", class_of_tier={"gold": "gold"})},
        classes={"gold": PriorityClass("gold", 1e6)}, max_overtakes=10**9,
    )  # fmt: skip
    gold = CallType("gold", like("q", tier="gold"), (Rate(0, 24 * HOUR, 80),), Duration(180))
    found = estimate(Scenario("s", (calls(120, 24), gold), team(12), policy, warm_up_s=4 * HOUR), "wait_s")
    first = erlang.erlang_c(12, 10.0) * 180 / 12 / (1 - 4 / 12)
    assert near(found["gold"], first)
    assert near(found["q"], first / (1 - 10 / 12))


def test_two_sets_of_rules_see_the_same_callers_so_that_small_differences_show() -> None:
    policy = Policy(queues={"q": QueuePolicy("q", choice=CHOICES["round_robin"])})
    scenario = Scenario("s", (calls(220, 8),), team(14), PLAIN)
    study = simulate(scenario, {"one": PLAIN, "other": policy}, Pool, range(5))
    difference = study.differences["q"]["wait_s"]
    assert study.differences["q"]["offered"] == report.Estimate(0.0, 0.0, 5)
    assert difference.half is not None and (own := study.sides[0].classes["q"]["wait_s"].half) is not None
    assert difference.half <= own


def test_the_same_study_gives_the_same_text() -> None:
    scenario = Scenario("s", (calls(220, patience=Duration(60)), calls(60, name="r")), team(14), PLAIN)
    one, other = (simulate(scenario, {"a": PLAIN}, Pool, range(3)) for _ in range(2))
    assert one.lines() == other.lines() and one.record() == other.record()


# --- estimates


def test_an_interval_is_student_s_and_one_day_has_none() -> None:
    found = report.estimate([1.0, 2.0, 3.0, None])
    assert found is not None and found.mean == 2.0 and found.days == 3
    assert found.half == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert report.estimate([5.0]) == report.Estimate(5.0, None, 1)
    assert report.estimate([None, None]) is None


@pytest.mark.parametrize(
    "mean, half, told",
    [(0.81234, 0.0123, "0.812 ± 0.012"), (16.834, 1.4553, "16.8 ± 1.5"), (1234.5, 23.4, "1234 ± 23"), (3.0, 0.0, "3"),
     (3.5, None, "3.5"), (11914.0, None, "11914"), (0.00001, 0.00002, "0.0000 ± 0.0000")],
)  # fmt: skip
def test_a_figure_is_told_no_finer_than_it_is_known(mean: float, half: float | None, told: str) -> None:
    assert str(report.Estimate(mean, half, 5)) == told
