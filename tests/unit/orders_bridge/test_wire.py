"""The shop's words become our order, and what is out of shape is refused."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.shop.books import Books
from app.shop.stories import KINDS
from orders_bridge.model import Money, ReturnKind, ReturnState, ShipmentState
from orders_bridge.situation import alerts, situation
from orders_bridge.speech import PROMPTS
from orders_bridge.wire import Purchase, order_of
from tests.unit.orders_bridge.build import NOW, TODAY

FETCHED = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BOOKS = Books(orders=60, seed=1, opened=NOW)


def _doc(kind: str) -> dict[str, Any]:
    number = next(s["order_no"] for s in BOOKS.samples if s["kind"] == kind)
    document = BOOKS.document(number)
    assert document is not None
    doc: dict[str, Any] = json.loads(document)
    return doc


def _order(doc: dict[str, Any]) -> Any:
    return order_of(Purchase.model_validate(doc), shop="lantern", country="CN", fetched_at=FETCHED)


@pytest.mark.parametrize("sample", BOOKS.samples, ids=lambda s: f"{s['language']}-{s['kind']}-{s['status']}")
def test_every_kind_the_sample_shop_tells_is_understood_as_what_it_is(sample: dict[str, str]) -> None:
    document = BOOKS.document(sample["order_no"])
    assert document is not None
    order = _order(json.loads(document))
    assert situation(order, TODAY).value == sample["status"]
    assert order.phones == (sample["ani"],)
    assert order.second_factors == (sample["second_factor"],)
    assert order.language == sample["language"]
    wanted = {"stuck": ["stuck-parcel"], "refund_late": ["late-refund"], "late_dispatch": ["late-dispatch"]}
    if sample["kind"] in KINDS:
        assert [alert.what for alert in alerts(order, TODAY)] == wanted.get(sample["kind"], [])


def test_parts_are_mapped_one_by_one() -> None:
    doc = _doc("split_delivered")
    order = _order(doc)
    first, second = order.shipments
    assert (order.order_no, order.order_id, order.version) == (doc["number"], doc["uid"], doc["rev"])
    assert order.total == Money.parse(doc["sum"], doc["currency"])
    assert sum((line.unit_price * line.quantity).minor for line in order.lines) == order.total.minor
    assert (first.state, second.state) == (ShipmentState.DELIVERED, ShipmentState.IN_TRANSIT)
    assert [item.sku for item in first.items + second.items] == [line.sku for line in order.lines]
    assert [step.at for step in second.steps] == sorted(step.at for step in second.steps)
    assert first.tracking_no == doc["consignments"][0]["waybill"]
    (back,) = _order(_doc("refund_late")).returns
    assert (back.kind, back.state) == (ReturnKind.REFUND, ReturnState.RECEIVED)
    assert back.refund is not None and back.refund_due_on is not None


def _spoil(path: str, value: Any) -> dict[str, Any]:
    doc = copy.deepcopy(_doc("refund_late"))
    *way, last = path.split(".")
    at: Any = doc
    for part in way:
        at = at[int(part) if part.isdigit() else part]
    if value is KeyError:
        del at[last]
    else:
        at[int(last) if last.isdigit() else last] = value
    return doc


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("number", KeyError),
        ("number", 61827868),
        ("number", "../knobs"),
        ("uid", "a/b"),
        ("rev", "7"),
        ("rev", -1),
        ("rev", 1.5),
        ("state", "LOST"),
        ("created", "yesterday"),
        ("created", "2026-11-24T10:00:00"),
        ("currency", "yuan"),
        ("sum", -1),
        ("sum", "-1.00"),
        ("sum", "10,00"),
        ("sum", "1e12"),
        ("sum", "1e-9"),
        ("sum", 129.5),
        ("sum", "1.005"),
        ("buyer", None),
        ("items", {}),
        ("items.0.qty", 0),
        ("items.0.qty", "1"),
        ("items.0.price", "NaN"),
        ("consignments.0.stage", "TELEPORTED"),
        ("consignments.0.promised", "soon"),
        ("aftersales.0.pay_back.value", "12,50"),
        ("aftersales.0.stage", None),
        ("tenders.0.state", "???"),
    ],
)
def test_what_is_out_of_shape_is_refused(path: str, value: Any) -> None:
    with pytest.raises((ValidationError, ValueError)):
        _order(_spoil(path, value))


def test_what_we_do_not_know_is_left_aside() -> None:
    doc = _doc("in_transit") | {"loyalty_points": 12, "tags": [{"a": None}]}
    assert _order(doc).order_no == doc["number"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*_doc("stuck")]), inner),
    )
)
def test_any_json_at_all_is_an_order_or_refused(value: Any) -> None:
    with pytest.raises((ValidationError, ValueError)):
        _order(value)


def test_prompt_names_follow_the_agreed_form() -> None:
    assert all(name.startswith("order-") and name == name.lower() for name in PROMPTS)
