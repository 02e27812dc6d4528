"""The voice menu's order look-up, answered by the orders room: one adapter, no rule of its own."""

from __future__ import annotations

import asyncio
from datetime import date

from ivr.ports import LookupRequest, LookupResult, OrderFacts
from orders_bridge.model import Order
from orders_bridge.service import OrderDesk
from orders_bridge.situation import situation
from orders_bridge.speech import status_phrases


class DeskLookup:
    """Satisfies `ivr.ports.OrderLookup`."""

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk

    async def find(self, request: LookupRequest, deadline_s: float) -> LookupResult:
        try:
            async with asyncio.timeout(deadline_s):
                answer = await self._desk.look_up(
                    request.interaction_id, request.ani, request.order_no, request.second_factor, deadline_s
                )
        except TimeoutError:
            return LookupResult("slow")
        today = self._desk.today()
        phrases = status_phrases(answer.orders[0], answer.level, today) if len(answer.orders) == 1 else ()
        return LookupResult(
            str(answer.kind), tuple(facts_of(order, today) for order in answer.orders), phrases, answer.level.wire
        )


def facts_of(order: Order, today: date) -> OrderFacts:
    """What branches of a menu may ask about an order; nothing personal."""
    facts: dict[str, str | int | bool] = {
        "parcels": len(order.shipments), "returns": len(order.returns), "total_minor": order.total.minor,
        "currency": order.total.currency,
    }  # fmt: skip
    return OrderFacts(order.order_id, order.order_no, str(situation(order, today)), facts)
