"""The card on the agent's screen: who calls, which order it is likely about, written before the phone rings.

Joins what the orders room knows from memory with the agent's live feeds. Never asks the shop on this path.
"""

from __future__ import annotations

from typing import Any

from app.live.hub import Hub
from core.clock import Clock
from core.events import DomainEvent
from core.events.ivr import CallerIdentified, OrderLookedUp
from core.events.pbx import CallArrived, CallEnded
from core.events.routing import CardPushed, OfferMade
from core.events.stream import EventSink
from orders_bridge.ladder import Level
from orders_bridge.service import OrderDesk
from routing.model import WorkItem

LISTENS = ("CallArrived", "CallerIdentified", "OrderLookedUp", "CallEnded")
REMEMBERED = 5000


class OrderScreenPop:
    """Satisfies `routing.ports.ScreenPop`. `note` is given the events of `LISTENS`."""

    def __init__(self, desk: OrderDesk, hub: Hub, events: EventSink, clock: Clock) -> None:
        self._desk, self._hub, self._events, self._clock = desk, hub, events, clock
        self._calls: dict[str, dict[str, str]] = {}

    def note(self, event: DomainEvent) -> None:
        """Remembers what the call has shown of itself so far."""
        if isinstance(event, CallEnded):
            self._calls.pop(event.interaction_id, None)
            return
        known = self._calls.setdefault(event.interaction_id, {})
        if isinstance(event, CallArrived):
            known |= {"ani": event.ani, "name": event.caller_name}
        elif isinstance(event, CallerIdentified):
            known |= {"order_id": event.order_id, "level": event.level}
        elif isinstance(event, OrderLookedUp) and event.outcome in ("slow", "error"):
            known["unavailable"] = "1"
        while len(self._calls) > REMEMBERED:
            self._calls.pop(next(iter(self._calls)))

    def card(self, offer: OfferMade, item: WorkItem) -> dict[str, Any]:
        """The message for the agent's feeds."""
        known = self._calls.get(item.interaction_id, {})
        ani = known.get("ani") or item.ani
        level = max(Level.of_wire(known.get("level", "")), Level.of_wire(item.level), Level.ANI)
        pop = self._desk.card_for(ani=ani, order_id=known.get("order_id", ""), level=level)
        return {
            "offer_id": offer.offer_id, "interaction_id": item.interaction_id, "queue": item.queue,
            "extension": offer.extension, "attempt": offer.attempt, "caller": {"number": ani, "name": known.get("name", "")},
            "language": item.language, "level": level.wire, "problem": item.problem, "note": item.note,
            "waited_s": offer.waited_s, "made_at": offer.at.isoformat(timespec="milliseconds"), "pop": pop,
        }  # fmt: skip

    async def push(self, offer: OfferMade, item: WorkItem) -> int:
        """Returns the number of windows it was written to."""
        message = self.card(offer, item)
        feeds = await self._hub.push_card(offer.extension, message)
        pop = message["pop"]
        self._events.emit(CardPushed(
            interaction_id=item.interaction_id, at=self._clock.now(), offer_id=offer.offer_id, extension=offer.extension,
            feeds=feeds, card={"order_id": pop.get("order_id", ""), "kind": pop.get("kind", "")},
        ))  # fmt: skip
        return feeds
