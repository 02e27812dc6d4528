"""What an agent sees."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orders_bridge.card import UNAVAILABLE, card, pop
from orders_bridge.http import OrderCard
from orders_bridge.ladder import Level
from orders_bridge.match import rank
from orders_bridge.model import Order, mask_name, mask_phone
from orders_bridge.situation import alerts
from tests.unit.orders_bridge.build import NOW, PHONE, TODAY, back, order, orders, parcel


def _card(given_order: Order, level: Level = Level.SECOND_FACTOR, *, stale: bool = False) -> dict[str, Any]:
    return card(given_order, level, stale, alerts(given_order, TODAY), today=TODAY, now=NOW + timedelta(seconds=30))


def test_a_card_carries_the_order_its_parcels_and_what_is_wrong() -> None:
    shown = _card(order("shipped", [parcel(seen=8, due=-4)]))
    assert shown["order_no"] == "61827868"
    assert shown["status"] == "delayed"
    assert shown["total"] == {"minor": 25900, "currency": "CNY", "exponent": 2, "amount": "259.00"}
    assert shown["alerts"] == [{"what": "stuck-parcel", "subject": "p1", "days": 8}]
    assert shown["likely_reason"] == "parcel-stuck"
    (shown_parcel,) = shown["parcels"]
    assert shown_parcel["stuck"] is True
    assert shown_parcel["steps"][0]["text"] == {"en": "moved", "zh": "已发出"}
    assert (shown["stale"], shown["notice"], shown["age_s"]) == (False, "", 30.0)


def test_a_late_refund_is_marked() -> None:
    (shown,) = _card(order("delivered", [], [back(due=-5)]))["returns"]
    assert (shown["late"], shown["refund"]["amount"], shown["refund_due_on"]) == (True, "129.50", "2026-11-19")


def test_the_phone_is_masked_always_and_the_name_until_a_number_was_given() -> None:
    names = [_card(order(), level)["customer"]["name"] for level in sorted(Level)]
    assert names == ["张*", "张*", "张伟", "张伟"]
    for level in Level:
        assert PHONE not in json.dumps(_card(order(), level))


def test_a_stale_card_says_why() -> None:
    shown = _card(order(), stale=True)
    assert (shown["stale"], shown["notice"]) == (True, UNAVAILABLE)


def test_masks_keep_just_enough_to_recognise() -> None:
    assert mask_phone("+8613812345678") == "+86*******5678"
    assert mask_phone("1001") == "****"
    assert mask_phone("") == ""
    assert mask_name("Jane Smith") == "J*** S****"
    assert mask_name("") == ""


@given(orders, st.sampled_from(Level), st.booleans())
def test_every_card_is_json_and_of_the_documented_shape(any_order: Order, level: Level, stale: bool) -> None:
    shown = _card(any_order, level, stale=stale)
    assert OrderCard.model_validate(json.loads(json.dumps(shown))).model_dump() == shown


# --- the pop


def _pop(*given_orders: Order, available: bool = True) -> dict[str, Any]:
    return pop(rank(given_orders, ani=PHONE, today=TODAY), Level.ANI, available, TODAY, NOW)


def test_one_order_of_the_caller_is_popped_as_the_order() -> None:
    popped = _pop(order())
    assert (popped["kind"], popped["certain"]) == ("match", True)
    assert popped["order"]["order_no"] == popped["order_no"] == "61827868"


def test_several_alike_are_popped_as_candidates_with_the_likeliest_open() -> None:
    popped = _pop(order(no="10000001", placed=2), order(no="10000002", placed=3))
    assert (popped["kind"], popped["certain"]) == ("several", False)
    assert [line["order_no"] for line in popped["candidates"]] == ["10000001", "10000002"]
    assert popped["order"]["order_no"] == "10000001"


def test_nobody_known_is_said_and_so_is_a_shop_that_cannot_be_asked() -> None:
    assert (_pop()["kind"], _pop()["order"], _pop()["notice"]) == ("none", None, "")
    down = _pop(available=False)
    assert (down["kind"], down["order"], down["notice"]) == ("unavailable", None, UNAVAILABLE)


def test_with_the_shop_away_the_remembered_order_is_shown_as_stale() -> None:
    down = _pop(order(), available=False)
    assert (down["kind"], down["notice"]) == ("match", UNAVAILABLE)
    assert down["order"]["stale"] is True
