"""The breaker: stops asking what keeps failing, and asks carefully, one question at a time, until it is well."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.breaker import Breaker
from core.clock import ManualClock


def opened(clock: ManualClock) -> Breaker:
    breaker = Breaker(clock, threshold=3, rest_s=5.0)
    for _ in range(3):
        assert breaker.allow()
        breaker.failed()
    return breaker


def test_so_many_failures_in_a_row_open_it_and_not_one_less() -> None:
    breaker = Breaker(ManualClock(), threshold=3)
    for outcome in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed, breaker.failed):
        outcome()
    assert (breaker.state, breaker.allow()) == ("closed", True)
    breaker.failed()
    assert (breaker.state, breaker.allow()) == ("open", False)


def test_it_rests_before_the_first_careful_question() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(4.999)
    assert not breaker.allow()
    clock.advance(0.001)
    assert (breaker.state, breaker.allow()) == ("half_open", True)


def test_half_open_asks_one_question_at_a_time() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(5)
    assert [breaker.allow() for _ in range(5)] == [True, False, False, False, False]


def test_a_good_answer_closes_it_and_a_bad_one_begins_the_rest_anew() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(5)
    assert breaker.allow()
    breaker.failed()
    assert (breaker.state, breaker.allow()) == ("open", False)
    clock.advance(5)
    assert breaker.allow()
    breaker.succeeded()
    assert breaker.state == "closed"
    breaker.failed()
    assert breaker.state == "closed", "the count begins anew"


def test_a_question_that_never_ended_does_not_keep_it_shut_for_ever() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    clock.advance(5)
    assert breaker.allow()
    clock.advance(5)
    assert breaker.allow()


def test_a_jump_of_the_wall_clock_changes_nothing() -> None:
    clock = ManualClock()
    breaker = opened(clock)
    clock.jump(3600)
    assert breaker.state == "open"
    clock.jump(-7200)
    clock.advance(5)
    assert breaker.state == "half_open"


STEPS = st.lists(st.sampled_from(["ask", "good", "bad", "pass"]), max_size=60)


@given(STEPS)
def test_whatever_happens_an_open_one_asks_at_most_once_per_rest(steps: list[str]) -> None:
    clock = ManualClock()
    breaker = Breaker(clock, threshold=2, rest_s=5.0)
    since_closed: list[float] = []
    for step in steps:
        if step == "pass":
            clock.advance(1)
        elif step == "good":
            breaker.succeeded()
            since_closed.clear()
        elif step == "bad":
            breaker.failed()
        elif breaker.state != "closed" and breaker.allow():
            since_closed.append(clock.monotonic())
    assert all(later - sooner >= 5 for sooner, later in zip(since_closed, since_closed[1:], strict=False))
