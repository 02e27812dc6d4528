"""Who may hear what, and how often somebody may try."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from orders_bridge.attempts import Attempts
from orders_bridge.ladder import Attempt, Item, Level, Limits, level_for, may_hear, refusal, shows_name
from orders_bridge.model import Order
from tests.unit.orders_bridge.build import PHONE, order, orders


def test_each_rung_may_hear_all_that_the_one_below_may() -> None:
    rungs = [may_hear(level) for level in sorted(Level)]
    assert all(low < high for low, high in zip(rungs, rungs[1:], strict=False))
    assert may_hear(Level.NOBODY) == frozenset()
    assert may_hear(Level.SECOND_FACTOR) == frozenset(Item)


def test_caller_id_alone_opens_no_number_date_amount_or_name() -> None:
    assert may_hear(Level.ANI) == {Item.STATE}


def test_an_order_number_alone_opens_no_money_and_no_name() -> None:
    closed = {Item.REFUND_AMOUNT, Item.RETURN_DAYS, Item.TOTAL, Item.LINES, Item.NAME, Item.TRACKING}
    assert not closed & may_hear(Level.ORDER_NO)


def test_the_card_writes_the_name_out_from_the_order_number_on() -> None:
    assert [shows_name(level) for level in sorted(Level)] == [False, False, True, True]


@pytest.mark.parametrize("level", list(Level))
def test_a_level_is_the_same_after_a_trip_through_a_channel_variable(level: Level) -> None:
    assert Level.of_wire(level.wire) is level


def test_an_unknown_level_is_nobody() -> None:
    assert Level.of_wire("admin") is Level.NOBODY


@pytest.mark.parametrize(
    ("number", "factor", "level"),
    [
        ("61827868", "", Level.ORDER_NO),
        ("61827868", "5678", Level.SECOND_FACTOR),
        ("61827868", "5679", Level.NOBODY),
        ("61827868", "567", Level.NOBODY),
        ("61827868", "05678", Level.NOBODY),
        ("61827868", "５６７８", Level.NOBODY),
        ("61827869", "5678", Level.NOBODY),
        ("", "5678", Level.NOBODY),
    ],
)
def test_what_was_typed_decides_the_rung(number: str, factor: str, level: Level) -> None:
    assert level_for(order(), number, factor) is level


def test_an_order_that_does_not_exist_and_a_wrong_factor_are_one_answer() -> None:
    assert level_for(None, "61827868", "5678") is level_for(order(), "61827868", "0000") is Level.NOBODY


@given(orders, st.text(alphabet="0123456789*#", max_size=6))
def test_only_the_last_four_of_a_phone_on_the_order_prove_anything(any_order: Order, factor: str) -> None:
    ends = {phone[-4:] for phone in any_order.phones if phone.lstrip("+").isdigit() and len(phone) >= 4}
    proved = level_for(any_order, any_order.order_no, factor) is Level.SECOND_FACTOR
    assert proved == (factor in ends)


def test_an_order_without_a_phone_cannot_be_proved() -> None:
    bare = order(phones=("12", ""))
    assert bare.second_factors == ()
    assert level_for(bare, bare.order_no, "12") is Level.NOBODY


# --- how often


def _tries(
    attempts: Attempts, count: int, *, call: str = "ix{}", caller: str = PHONE, number: str = "6000000{}"
) -> list[str]:
    """Outcomes of `count` tries; "" = allowed."""
    said = []
    for at in range(count):
        answer = attempts.begin(call.format(at), caller, number.format(at))
        said.append(answer if isinstance(answer, str) else "")
    return said


def test_three_wrong_tries_in_a_call_are_enough() -> None:
    attempts = Attempts(ManualClock())
    assert _tries(attempts, 5, call="ix") == ["", "", "", "call", "call"]


def test_ten_wrong_tries_of_a_caller_in_an_hour_are_enough_and_an_hour_later_they_may_again() -> None:
    clock = ManualClock()
    attempts = Attempts(clock)
    assert _tries(attempts, 12) == [""] * 10 + ["caller"] * 2
    clock.advance(3599)
    assert _tries(attempts, 1, call="later") == ["caller"]
    clock.advance(1)
    assert _tries(attempts, 1, call="later") == [""]


def test_guesses_at_one_order_are_counted_over_all_callers() -> None:
    attempts = Attempts(ManualClock())
    said = [attempts.begin(f"ix{at}", f"+8613800000{at:03d}", "61827868") for at in range(12)]
    assert [answer if isinstance(answer, str) else "" for answer in said] == [""] * 10 + ["order"] * 2


def test_callers_who_hide_their_number_share_a_wider_limit() -> None:
    attempts = Attempts(ManualClock())
    assert _tries(attempts, 31, caller="") == [""] * 30 + ["caller"]


def test_tries_that_run_at_the_same_time_cannot_slip_past_together() -> None:
    attempts = Attempts(ManualClock())
    begun = [attempts.begin("ix", PHONE, f"6000000{at}") for at in range(50)]
    assert sum(isinstance(answer, Attempt) for answer in begun) == 3


def test_a_try_given_back_does_not_count_and_giving_back_twice_does_no_harm() -> None:
    attempts = Attempts(ManualClock())
    for _ in range(20):
        answer = attempts.begin("ix", PHONE, "61827868")
        assert isinstance(answer, Attempt)
        attempts.forgive(answer)
        attempts.forgive(answer)


def test_a_call_longer_than_the_window_is_still_held_to_its_limit() -> None:
    clock = ManualClock()
    attempts = Attempts(clock)
    _tries(attempts, 3, call="ix")
    clock.advance(3700)
    assert attempts.begin("ix", PHONE, "61827868") == "call"


def test_memory_of_tries_is_bounded() -> None:
    attempts = Attempts(ManualClock(), bound=100)
    _tries(attempts, 500, caller="+86{}")
    assert len(attempts._booked) <= 100


_attempt = st.builds(
    Attempt, st.sampled_from(["a", "b"]), st.sampled_from(["", PHONE]), st.sampled_from(["1", "2"]), st.floats(0, 8000)
)


@given(st.lists(_attempt, max_size=40), st.floats(0, 8000), st.integers(1, 5), st.integers(1, 12))
def test_more_tries_never_make_a_refusal_go_away(
    booked: list[Attempt], now: float, per_call: int, per_caller: int
) -> None:
    limits = Limits(per_call=per_call, per_caller=per_caller)
    for cut in range(len(booked)):
        if refusal(booked[:cut], "a", PHONE, "1", now, limits):
            assert refusal(booked, "a", PHONE, "1", now, limits)
            break
