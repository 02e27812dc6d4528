"""A shop in memory that can be slow, broken or mistaken; a sleep that moves the clock instead of waiting."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from core.clock import ManualClock
from core.events.base import DomainEvent
from orders_bridge.adapter import AdapterHealth, ChangedPage, ShopError, ShopSlow
from orders_bridge.model import Order


@dataclass
class EventList:
    events: list[DomainEvent] = field(default_factory=list)

    def emit(self, event: DomainEvent) -> None:
        self.events.append(event)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


class ClockSleep:
    """Instead of waiting: the clock goes on by as much."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.clock.advance(seconds)


class FakeShop:
    """Satisfies ShopAdapter. `error` is raised by every question; `takes_s` is how long an answer takes."""

    def __init__(self, clock: ManualClock, *orders: Order) -> None:
        self.clock = clock
        self.orders = {order.order_no: order for order in orders}
        self.error: ShopError | None = None
        self.takes_s = 0.01
        self.asked: list[str] = []
        self.page_size = 1000
        self.too_big_above = 1000
        self.unreadable = 0

    shop = "lantern"

    def _answer(self, question: str, budget_s: float) -> None:
        self.asked.append(question)
        self.clock.advance(min(self.takes_s, budget_s))
        if self.takes_s > budget_s:
            raise ShopSlow
        if self.error is not None:
            raise self.error

    async def order_by_no(self, order_no: str, *, budget_s: float = 3.0) -> Order | None:
        self._answer(f"no {order_no}", budget_s)
        return self._fresh(self.orders[order_no]) if order_no in self.orders else None

    async def orders_by_phone(self, phone: str, *, budget_s: float = 3.0) -> tuple[Order, ...]:
        self._answer(f"phone {phone}", budget_s)
        return tuple(self._fresh(order) for order in self.orders.values() if phone in order.phones)

    async def changed_since(self, cursor: str, *, limit: int = 50, budget_s: float = 3.0) -> ChangedPage:
        """The cursor is a position in the list of orders by version, `@n`."""
        self._answer(f"changes {cursor} {limit}", budget_s)
        if limit > self.too_big_above:
            raise ShopError("shop-too-big", "too big")
        size = min(limit, self.page_size)
        start = int(cursor.removeprefix("@") or 0)
        ordered = sorted(self.orders.values(), key=lambda order: (order.version, order.order_no))
        page = ordered[start : start + size]
        more = start + size < len(ordered)
        return ChangedPage(tuple(map(self._fresh, page)), f"@{start + len(page)}", more, self.unreadable)

    def _fresh(self, order: Order) -> Order:
        return replace(order, fetched_at=self.clock.now())

    def health(self) -> AdapterHealth:
        return AdapterHealth(self.shop, "closed", self.error.error_id if self.error else "", 10.0)

    async def close(self) -> None:
        return None
