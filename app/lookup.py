"""What others want to know of orders, answered by the orders room: the voice menu's look-up, and the word for those who wait.

Adapters, without a rule of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

from core.phrases.model import Phrases
from core.phrases.wire import from_json, to_json
from ivr.ports import LookupRequest, LookupResult, OrderFacts
from orders_bridge.ladder import Level
from orders_bridge.model import Order
from orders_bridge.service import FRESH_S, OrderDesk
from orders_bridge.situation import situation
from orders_bridge.speech import comfort_phrases, status_phrases

REFRESH_S = 1.2
Json = dict[str, Any]


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


class DeskWords:
    """Satisfies `routing.ports.OrderWords`. A copy that is not fresh any more is asked for anew; without an answer nothing is
    said."""

    def __init__(self, desk: OrderDesk) -> None:
        self._desk = desk

    async def words(self, order_id: str, level: str) -> Phrases:
        order = self._desk.order(order_id)
        if order is not None and order.age(self._desk.now()).total_seconds() > FRESH_S:
            order = await self._desk.refresh(order_id, REFRESH_S)
        return comfort_phrases(order, Level.of_wire(level), self._desk.today()) if order is not None else ()

    async def answer(self, body: Json) -> Json:
        """The same for `WordsAfar`."""
        return {"phrases": to_json(await self.words(str(body["order_id"]), str(body["level"])))}


class WordsAfar:
    """Satisfies `routing.ports.OrderWords` in a process that has no orders: `ask` brings a body to `DeskWords.answer`."""

    def __init__(self, ask: Callable[[Json], Awaitable[Json]]) -> None:
        self._ask = ask

    async def words(self, order_id: str, level: str) -> Phrases:
        return from_json((await self._ask({"order_id": order_id, "level": level}))["phrases"])


def facts_of(order: Order, today: date) -> OrderFacts:
    """What branches of a menu may ask about an order; nothing personal."""
    facts: dict[str, str | int | bool] = {
        "parcels": len(order.shipments), "returns": len(order.returns), "total_minor": order.total.minor,
        "currency": order.total.currency,
    }  # fmt: skip
    return OrderFacts(order.order_id, order.order_no, str(situation(order, today)), facts)
