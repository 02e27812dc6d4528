"""A talk: from the agent's answer to the end of the agent's leg, with its holds; and talks that we find under way.

Does not know how an offer came to be (`offers.py`). Invariants: an agent whose phone answered is ENGAGED until that leg
ends; what was answered and never heard the caller puts the caller back; Asterisk wins about who is connected.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.events import pbx
from core.events.routing import OfferAccepted, SegmentEnded
from routing.agent import Act, State
from routing.book import Book
from routing.model import Offer, WorkItem
from routing.timers import Timers
from routing.wrapup import WrapUps


class Talks:
    def __init__(self, book: Book, timers: Timers, wrap_ups: WrapUps) -> None:
        self._book, self._timers, self._wrap_ups = book, timers, wrap_ups

    def on_answered(self, fact: pbx.LegAnswered) -> None:
        offer = self._book.offers.get(fact.offer_id)
        if offer is not None and offer.answered_at is None:
            self._accept(offer, fact)

    def on_connected(self, fact: pbx.CallConnected) -> None:
        offer = self._book.offers.get(fact.offer_id)
        if offer is None:
            offer = self._adopt(fact)
            if offer is None:
                return
        if offer.answered_at is None:
            offer = self._accept(offer, fact)
        if offer.connected_at is None:
            self._book.offers[offer.offer_id] = replace(offer, connected_at=self._book.clock.monotonic())

    def on_held(self, fact: pbx.CallHeld) -> None:
        offer = self._book.offer_for(fact.interaction_id)
        if offer is not None and offer.held_since is None:
            self._book.offers[offer.offer_id] = replace(offer, held_since=self._book.clock.monotonic())

    def on_resumed(self, fact: pbx.CallResumed) -> None:
        offer = self._book.offer_for(fact.interaction_id)
        if offer is not None and offer.held_since is not None:
            held_s = offer.held_s + self._book.clock.monotonic() - offer.held_since
            self._book.offers[offer.offer_id] = replace(offer, held_since=None, held_s=held_s)

    def over(self, offer: Offer) -> None:
        """The agent's leg, which had answered, is gone."""
        now, at = self._book.clock.monotonic(), self._book.clock.now()
        del self._book.offers[offer.offer_id]
        held_s = offer.held_s + (now - offer.held_since if offer.held_since is not None else 0.0)
        whole_s = now - offer.connected_at if offer.connected_at is not None else 0.0
        assert offer.answered_at is not None
        self._book.stream.emit(SegmentEnded(
            interaction_id=offer.item.interaction_id, at=at, offer_id=offer.offer_id, extension=offer.extension,
            queue=offer.item.queue, ring_s=round(offer.answered_at - (offer.ringing_at or offer.made_at), 3),
            talk_s=round(max(0.0, whole_s - held_s), 3), hold_s=round(held_s, 3),
            reason="talked" if offer.connected_at is not None else "not_connected",
        ))  # fmt: skip
        seconds = self._book.policy(offer.item.queue).wrap_up_s if offer.connected_at is not None else 0.0
        until = at + timedelta(seconds=seconds) if seconds else None
        if offer.connected_at is None:
            self._book.put_back(offer.item)
        self._book.happen(offer.extension, Act.FINISH_TALK, offer_id=offer.offer_id, actor="rule:talk", until=until)
        if until is not None and self._book.agents[offer.extension].state is State.WRAP_UP:
            self._wrap_ups.begin(offer, at=at, seconds=seconds)

    def _accept(self, offer: Offer, fact: pbx.LegAnswered | pbx.CallConnected) -> Offer:
        now = self._book.clock.monotonic()
        offer = replace(offer, answered_at=now)
        self._book.offers[offer.offer_id] = offer
        self._timers.stop(f"fuse:{offer.offer_id}")
        self._book.stream.emit(OfferAccepted(
            interaction_id=offer.item.interaction_id, at=fact.at, offer_id=offer.offer_id, extension=offer.extension,
            queue=offer.item.queue, waited_s=self._book.waited_s(offer.item),
            ring_s=round(now - (offer.ringing_at or offer.made_at), 3),
        ))  # fmt: skip
        self._book.happen(offer.extension, Act.ENGAGE, offer_id=offer.offer_id, actor="rule:connect")
        return offer

    def _adopt(self, fact: pbx.CallConnected) -> Offer | None:
        """Asterisk says they talk and we know of no such offer (we were restarted): it is so."""
        if fact.extension not in self._book.agents or self._book.is_gone(fact.interaction_id):
            return None
        item = self._book.waiting.pop(fact.interaction_id, None)
        item = item or WorkItem(fact.interaction_id, "", "", fact.at)
        offer = Offer(fact.offer_id, item, fact.extension, self._book.clock.monotonic())
        self._book.offers[offer.offer_id] = offer
        return offer
