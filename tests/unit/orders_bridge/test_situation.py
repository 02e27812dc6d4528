"""What an order comes down to today."""

from __future__ import annotations

import pytest
from hypothesis import given

from orders_bridge.model import Line, Money, Order, Packed, Texts
from orders_bridge.situation import Situation, alerts, is_open, likely_reason, situation
from tests.unit.orders_bridge.build import TODAY, back, days, order, orders, parcel

_TWO = tuple(Line(sku, Texts(sku), 1, Money(100, "CNY")) for sku in ("A", "B"))


@pytest.mark.parametrize(
    ("wanted", "given_order"),
    [
        ("placed", order("placed", placed=0)),
        ("paid", order("paid", placed=1)),
        ("packed", order("packed", [parcel("packed")])),
        ("shipped", order("shipped", [parcel("shipped")])),
        ("in_transit", order("shipped", [parcel("in_transit")])),
        ("out_for_delivery", order("shipped", [parcel("out_for_delivery", due=0)])),
        ("delivered", order("delivered", [parcel("delivered", seen=1)])),
        ("delivered", order("delivered", [parcel("delivered", seen=60, due=-60)])),
        ("cancelled", order("cancelled")),
        ("delayed", order("shipped", [parcel("in_transit", seen=6)])),
        ("delayed", order("shipped", [parcel("in_transit", seen=1, due=-3)])),
        ("in_transit", order("shipped", [parcel("in_transit", seen=1, due=-1)])),
        ("delayed", order("shipped", [parcel("delivered"), parcel("in_transit", "p2", seen=9)])),
        ("in_transit", order("shipped", [parcel("delivered"), parcel("in_transit", "p2")])),
        ("partly_shipped", order("shipped", [parcel("in_transit"), parcel("packed", "p2")])),
        ("partly_shipped", order("shipped", [parcel("in_transit", items=(Packed("A", 1),))], lines=_TWO)),
        ("return_requested", order("delivered", [parcel("delivered")], [back(state="requested")])),
        ("return_received", order("delivered", [parcel("delivered")], [back()])),
        ("return_received", order("delivered", [], [back(due=0)])),
        ("refund_late", order("delivered", [], [back(due=-1)])),
        ("refunded", order("delivered", [], [back(state="settled", due=-1)])),
        ("exchange", order("delivered", [], [back("exchange")])),
        ("exchange", order("delivered", [], [back("exchange", "replacement_sent")])),
        ("delivered", order("delivered", [parcel("delivered")], [back("exchange", "settled")])),
        ("delivered", order("delivered", [parcel("delivered")], [back(state="rejected")])),
        ("refund_late", order("delivered", [], [back(state="settled"), back(due=-1, ref="r2")])),
    ],
)
def test_each_order_has_its_word(wanted: str, given_order: Order) -> None:
    assert situation(given_order, TODAY) is Situation(wanted)


@pytest.mark.parametrize(
    ("what", "subject", "number", "given_order"),
    [
        ("stuck-parcel", "p1", 6, order("shipped", [parcel("in_transit", seen=6)])),
        ("late-refund", "r1", 5, order("delivered", [], [back(due=-5)])),
        ("late-dispatch", "pu_61827868", 6, order("paid", placed=6)),
        ("late-exchange", "r1", 8, order("delivered", [], [back("exchange", received_at=parcel(seen=8).steps[0].at)])),
    ],
)
def test_what_is_not_as_promised_raises_an_alert(what: str, subject: str, number: int, given_order: Order) -> None:
    assert [(a.what, a.subject, a.days) for a in alerts(given_order, TODAY)] == [(what, subject, number)]


def test_an_order_that_goes_well_raises_none() -> None:
    assert alerts(order("shipped", [parcel()]), TODAY) == ()
    assert alerts(order("paid", placed=1), TODAY) == ()


def test_the_likely_reason_follows_from_the_situation() -> None:
    assert likely_reason(order("shipped", [parcel(seen=9)]), TODAY) == "parcel-stuck"
    assert likely_reason(order("delivered", [parcel("delivered", seen=2)]), TODAY) == "problem-with-the-goods"
    assert likely_reason(order("delivered", [parcel("delivered", seen=50)]), TODAY) == ""


@given(orders, days)
def test_every_order_has_exactly_one_situation_on_every_day(any_order: Order, today: object) -> None:
    word = situation(any_order, today)  # type: ignore[arg-type]
    assert word in Situation
    assert is_open(any_order, today) == (word not in ("delivered", "cancelled", "refunded"))  # type: ignore[arg-type]
    assert all(alert.days >= 0 for alert in alerts(any_order, today))  # type: ignore[arg-type]
    likely_reason(any_order, today)  # type: ignore[arg-type]
