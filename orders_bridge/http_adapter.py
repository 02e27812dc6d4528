"""The connector to a shop that speaks the sample shop's API: asks, checks that the answer is the one asked for.

Does no reading of its own (`transport.py`) and no translating (`wire.py`).

Invariants: an order is given back only when its number is the number asked for, or its phone the phone asked for; what
could never be an order number (a card number, letters) is not sent to anybody.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from core.breaker import Breaker
from core.clock import Clock
from orders_bridge.adapter import BUDGET_S, AdapterHealth, ChangedPage, ShopError
from orders_bridge.model import Order
from orders_bridge.transport import Sleep, Transport
from orders_bridge.wire import Many, One, Purchase, order_of

_ORDER_NO = re.compile(r"[0-9]{6,12}")
# Changes that were written at the shop within the same moment as the last one we saw are read again.
OVERLAP = timedelta(seconds=2)

T = TypeVar("T", bound=BaseModel)


class HttpShopAdapter:
    """Satisfies `adapter.ShopAdapter`. `country` is where mobiles without a country are from."""

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        breaker: Breaker,
        clock: Clock,
        shop: str = "lantern",
        country: str = "CN",
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._shop = shop
        self._country = country
        self._clock = clock
        self._transport = Transport(base_url, token, breaker=breaker, clock=clock, sleep=sleep)

    @property
    def shop(self) -> str:
        return self._shop

    async def order_by_no(self, order_no: str, *, budget_s: float = BUDGET_S) -> Order | None:
        if not _ORDER_NO.fullmatch(order_no):
            return None
        found: list[Order] = []

        def accept(body: bytes) -> None:
            order = self._order(_parsed(One, body).purchase)
            if order.order_no != order_no:
                raise ShopError("shop-other-order", "The shop answered with another order than the one asked for.")
            found.append(order)

        path = f"/v2/purchases/{quote(order_no, safe='')}"
        known = await self._transport.get(path, {}, budget_s=budget_s, accept=accept)
        return found[0] if known else None

    async def orders_by_phone(self, phone: str, *, budget_s: float = BUDGET_S) -> tuple[Order, ...]:
        found: list[Order] = []

        def accept(body: bytes) -> None:
            orders, unreadable = self._orders(_parsed(Many, body))
            if unreadable:
                raise ShopError("shop-wrong-shape", "The shop's answer is out of shape.")
            if any(phone not in order.phones for order in orders):
                raise ShopError("shop-other-order", "The shop answered with orders of another phone.")
            found.extend(orders)

        await self._transport.get("/v2/purchases", {"mobile": phone}, budget_s=budget_s, accept=accept)
        return tuple(found)

    async def changed_since(self, cursor: str, *, limit: int = 50, budget_s: float = BUDGET_S) -> ChangedPage:
        mark = _Mark.read(cursor)
        pages: list[ChangedPage] = []

        def accept(body: bytes) -> None:
            many = _parsed(Many, body)
            orders, unreadable = self._orders(many)
            if unreadable and not orders:
                raise ShopError("shop-wrong-shape", "The shop's answer is out of shape.")
            following = mark.after(orders, many.paging.next)
            pages.append(ChangedPage(orders, following.write(), many.paging.next is not None, unreadable))

        query = {"per_page": str(limit)}
        if mark.since:
            query["modified_from"] = mark.since
        if mark.page:
            query["page"] = mark.page
        if not await self._transport.get("/v2/purchases", query, budget_s=budget_s, accept=accept):
            raise ShopError("shop-wrong-answer", "The shop has no list of orders.")
        return pages[0]

    def health(self) -> AdapterHealth:
        transport = self._transport
        return AdapterHealth(self._shop, transport.breaker_state, transport.last_error, transport.last_ms)

    async def close(self) -> None:
        await self._transport.close()

    def _order(self, purchase: Purchase) -> Order:
        try:
            return order_of(purchase, shop=self._shop, country=self._country, fetched_at=self._clock.now())
        except ValueError as error:
            raise ShopError("shop-wrong-shape", f"The shop's answer is out of shape: {error}.") from None

    def _orders(self, many: Many) -> tuple[tuple[Order, ...], int]:
        orders, unreadable = [], 0
        for raw in many.data:
            try:
                orders.append(self._order(Purchase.model_validate(raw)))
            except (ValidationError, ShopError):
                unreadable += 1
        return tuple(orders), unreadable


def _parsed(model: type[T], body: bytes) -> T:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        if first["type"] == "json_invalid":
            raise ShopError("shop-broken-answer", "The shop's answer is no whole JSON.") from None
        where = ".".join(str(part) for part in first["loc"])
        raise ShopError("shop-wrong-shape", f"The shop's answer is out of shape at {where}.") from None


class _Mark:
    """Where a reader of changes stands: changes from `since`, page `page` of them, the newest change seen so far."""

    def __init__(self, since: str = "", page: str = "", newest: str = "") -> None:
        self.since, self.page, self.newest = since, page, newest

    @classmethod
    def read(cls, cursor: str) -> _Mark:
        """The mark of a cursor; a cursor that cannot be read begins anew, which costs time and loses nothing."""
        if not cursor:
            return cls()
        try:
            values: Any = json.loads(cursor)
            return cls(str(values["since"]), str(values["page"]), str(values["newest"]))
        except (ValueError, KeyError, TypeError):
            return cls()

    def after(self, orders: tuple[Order, ...], next_page: str | None) -> _Mark:
        times = [order.changed_at for order in orders]
        if self.newest:
            times.append(datetime.fromisoformat(self.newest))
        newest = max(times).isoformat() if times else ""
        if next_page is not None:
            return _Mark(self.since, next_page, newest)
        since = (max(times) - OVERLAP).isoformat() if times else self.since
        return _Mark(since, "", "")

    def write(self) -> str:
        return json.dumps({"since": self.since, "page": self.page, "newest": self.newest})
