"""The phone → orders index and the copies in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from orders_bridge.copies import pack, unpack
from orders_bridge.index import MAX_PER_PHONE, OrderIndex, Put
from orders_bridge.model import Order
from tests.lots import lots
from tests.unit.orders_bridge.build import NOW, PHONE, order, orders


@given(orders)
def test_a_copy_is_read_back_as_it_was(any_order: Order) -> None:
    assert unpack(pack(any_order)) == any_order


def test_a_copy_of_another_release_that_cannot_be_read_is_none() -> None:
    assert unpack(b'{"order_id": "x"}') is None
    assert unpack(b"\xff") is None


def test_orders_are_found_by_phone_newest_first_by_number_and_by_id() -> None:
    index = OrderIndex()
    index.put(order(no="10000001", placed=5))
    index.put(order(no="10000002", placed=1))
    assert [o.order_no for o in index.by_phone(PHONE)] == ["10000002", "10000001"]
    assert index.by_no("10000001") == index.get("pu_10000001") == order(no="10000001", placed=5)
    assert index.by_phone("") == () == index.by_phone("+12125550142")


def test_an_older_version_loses() -> None:
    index = OrderIndex()
    assert index.put(order(version=7)) is Put.NEW
    assert index.put(order("cancelled", version=6)) is Put.OLDER
    assert index.put(order("cancelled", version=8)) is Put.CHANGED
    assert index.put(order("shipped", version=7)) is Put.OLDER
    assert index.by_no("61827868").status == "cancelled"  # type: ignore[union-attr]


def test_the_same_version_again_only_renews_the_age() -> None:
    index = OrderIndex()
    index.put(order())
    assert index.put(order(fetched_at=NOW + timedelta(hours=1))) is Put.SAME
    assert index.get("pu_61827868") == order(fetched_at=NOW + timedelta(hours=1))
    assert list(index.not_seen_since(NOW + timedelta(minutes=30))) == []


def test_a_changed_phone_leads_to_the_order_and_the_old_one_no_longer() -> None:
    index = OrderIndex()
    index.put(order())
    index.put(replace(order(), version=8, phones=("+12125550142",)))
    assert index.by_phone(PHONE) == ()
    assert len(index.by_phone("+12125550142")) == 1


def test_the_index_is_bounded_and_forgets_what_changed_longest_ago() -> None:
    index = OrderIndex(bound=3)
    for at in range(5):
        index.put(order(no=f"1000000{at}"))
    assert len(index) == 3
    assert [o.order_no for o in index.by_phone(PHONE)] == ["10000004", "10000003", "10000002"]
    assert index.by_no("10000000") is None


def test_a_phone_with_hundreds_of_orders_gives_the_newest_few() -> None:
    index = OrderIndex()
    for at in range(300):
        index.put(order(no=str(10000000 + at), placed=300 - at))
    found = index.by_phone(PHONE)
    assert len(found) == MAX_PER_PHONE
    assert found[0].order_no == "10000299"


@settings(max_examples=lots(60))
@given(st.lists(st.tuples(orders, st.integers(1, 5)), max_size=30), st.sets(st.integers(0, 30)))
def test_after_any_history_the_ways_into_the_index_agree(history: list[tuple[Order, int]], dropped: set[int]) -> None:
    index = OrderIndex(bound=12)
    for any_order, version in history:
        index.put(replace(any_order, version=version))
    for at in dropped:
        index.drop(f"pu_{10**7 + at}")
    held = [index.get(order_id) for order_id in list(index._entries)]
    phones = {phone for one in held if one is not None for phone in one.phones}
    assert set(index._by_phone) == phones
    assert {index._by_no[o.order_no] for o in held if o is not None} == set(index._entries)
    for one in held:
        assert one is not None
        assert all(one in index.by_phone(phone) for phone in one.phones)
