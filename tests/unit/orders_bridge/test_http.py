"""The REST edge: find and read orders."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import BadInput, NotFound
from core.http.routes import Caller, Request, Role
from orders_bridge.http import OrderCard, OrderPage, OrderQuery, routes
from tests.unit.orders_bridge.build import order, parcel
from tests.unit.orders_bridge.test_service import BROKEN, NO, Room

AGENT = Caller("u1", "Ann", frozenset({Role.AGENT}), "1001")


async def _get(room: Room, path: str, *, query: Any = None, **parts: str) -> Any:
    route = next(r for r in routes(room.desk) if r.path == path)
    assert route.method == "GET"
    assert AGENT.may(*route.roles)
    return await route.handler(Request(AGENT, parts, query or OrderQuery(), None))


async def test_orders_are_found_by_phone_in_any_spelling_and_by_number() -> None:
    room = await Room(order("shipped", [parcel()])).loaded()
    for query in (OrderQuery(phone="138-1234-5678"), OrderQuery(order_no=NO)):
        page = await _get(room, "/api/orders", query=query)
        assert isinstance(page, OrderPage)
        (card,) = page.items
        assert (card.order_no, card.customer.phones, card.stale) == (NO, ["+86*******5678"], False)
        assert page.next is None


async def test_one_order_is_read_as_fresh_as_the_shop_lets_it_be() -> None:
    room = await Room(order()).loaded()
    room.shop.orders[NO] = order("cancelled", version=8)
    card = await _get(room, "/api/orders/{id}", id=f"pu_{NO}")
    assert isinstance(card, OrderCard)
    assert (card.status, card.version) == ("cancelled", 8)
    room.shop.error = BROKEN
    card = await _get(room, "/api/orders/{id}", id=f"pu_{NO}")
    assert (card.status, card.stale, card.notice) == ("cancelled", True, "order system unavailable")


async def test_an_order_nobody_knows_is_not_found() -> None:
    with pytest.raises(NotFound):
        await _get(Room(), "/api/orders/{id}", id="pu_1")


@pytest.mark.parametrize("query", [OrderQuery(), OrderQuery(phone="1", order_no="12345678")])
async def test_exactly_one_question_is_asked_for(query: OrderQuery) -> None:
    with pytest.raises(BadInput):
        await _get(Room(), "/api/orders", query=query)


async def test_a_phone_without_orders_gives_an_empty_list() -> None:
    page = await _get(Room(), "/api/orders", query=OrderQuery(phone="+12125550142"))
    assert page.items == []
