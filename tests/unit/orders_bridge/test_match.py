"""Which order a caller most likely calls about."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orders_bridge.match import choose, rank
from orders_bridge.model import Order
from tests.unit.orders_bridge.build import PHONE, TODAY, back, order, orders, parcel


def _numbers(*given_orders: Order, ani: str = PHONE, order_no: str = "") -> list[str]:
    return [c.order.order_no for c in rank(given_orders, ani=ani, order_no=order_no, today=TODAY)]


def test_an_open_problem_comes_before_an_order_that_goes_well() -> None:
    fine = order("shipped", [parcel()], no="10000001")
    stuck = order("shipped", [parcel(seen=8)], no="10000002", placed=12)
    assert _numbers(fine, stuck) == ["10000002", "10000001"]


def test_what_is_still_to_come_counts_more_than_what_is_done() -> None:
    done = order("delivered", [parcel("delivered", seen=1)], no="10000001")
    coming = order("shipped", [parcel()], no="10000002")
    assert _numbers(done, coming) == ["10000002", "10000001"]


def test_of_two_alike_the_newer_comes_first() -> None:
    assert _numbers(order(no="10000001", placed=9), order(no="10000002", placed=2)) == ["10000002", "10000001"]


def test_whoever_types_a_number_is_taken_at_their_word() -> None:
    late = order("delivered", [], [back(due=-9)], no="10000001")
    typed = order("cancelled", no="10000002", placed=80, phones=("+12125550142",))
    assert _numbers(late, typed, order_no="10000002")[0] == "10000002"


def test_orders_of_other_phones_are_no_candidates() -> None:
    assert _numbers(order(phones=("+12125550142",))) == []
    assert _numbers(order(), ani="") == []


def test_each_candidate_says_why() -> None:
    (candidate,) = rank([order("shipped", [parcel(seen=8)])], ani=PHONE, today=TODAY)
    assert [reason.what for reason in candidate.reasons] == ["phone-on-order", "open-problem", "still-open", "recent"]


def test_one_order_is_the_order_and_a_clear_leader_is_too() -> None:
    fine, stuck = order("delivered", [parcel("delivered")], no="10000001"), order("shipped", [parcel(seen=8)])
    assert choose(()) is None
    alone = rank([fine], ani=PHONE, today=TODAY)
    assert choose(alone) is alone[0]
    both = rank([fine, stuck], ani=PHONE, today=TODAY)
    assert choose(both) is both[0]


def test_between_two_alike_a_person_must_choose() -> None:
    alike = rank([order(no="10000001", placed=2), order(no="10000002", placed=3)], ani=PHONE, today=TODAY)
    assert choose(alike) is None


@given(st.lists(orders, max_size=8, unique_by=lambda o: o.order_no), st.randoms())
def test_the_ranking_does_not_depend_on_the_order_of_the_input(many: list[Order], chance: object) -> None:
    first = rank(many, ani=PHONE, order_no="10000003", today=TODAY)
    chance.shuffle(many)  # type: ignore[attr-defined]
    assert rank(many, ani=PHONE, order_no="10000003", today=TODAY) == first
    assert all(c.score == sum(r.points for r in c.reasons) for c in first)
    assert [c.score for c in first] == sorted((c.score for c in first), reverse=True)
    assert all(PHONE in c.order.phones or c.order.order_no == "10000003" for c in first)
    typed = [c.order.order_no for c in first if c.order.order_no == "10000003"]
    assert not typed or first[0].order.order_no == "10000003"
