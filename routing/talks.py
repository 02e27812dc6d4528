"""A talk: from the agent's answer to the end of the agent's leg, with its holds; and talks that we find under way.

Does not know how an offer came to be (`offers.py`). Invariants: an agent whose phone answered is ENGAGED until that leg
ends; what was answered and never heard the caller puts the caller back; Asterisk wins about who is connected; no agent
stays engaged with nobody, whatever facts were lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from core.events import pbx
from core.events.routing import OfferAccepted, SegmentEnded
from routing.agent import UNREACHABLE, Act, State
from routing.book import Book
from routing.model import Offer, OpenOffer, WorkItem
from routing.offers import FUSE_S, REJECTED, Offers
from routing.timers import Timers
from routing.wrapup import WrapUps

JOIN_S = FUSE_S  # the dialplan joins the two within milliseconds of the answer; a list may have to tell of it
ALONE_S = 10.0
LATE_S = 1.0
VANISHED = 44  # the switch ended a leg that sent no sound any more
STALE_REST_S = 5.0


class Talks:
    """`linked` tells whether facts can come; `freed` is called when an agent is free again by the clock."""

    def __init__(
        self, book: Book, timers: Timers, offers: Offers, wrap_ups: WrapUps, *, freed: Callable[[], None],
        linked: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._book, self._timers, self._offers, self._wrap_ups = book, timers, offers, wrap_ups
        self._freed, self._linked = freed, linked
        self._listed: set[str] = set()  # legs of a process before us that the first list has

    def on_answered(self, fact: pbx.LegAnswered) -> None:
        offer = self._book.offers.get(fact.offer_id)
        if offer is not None and offer.answered_at is None:
            self._accept(offer, fact.at)
        elif offer is not None and offer.unconfirmed:
            self._listed.add(offer.offer_id)

    def on_connected(self, fact: pbx.CallConnected) -> None:
        if self._book.is_over(fact.offer_id) or self._book.is_gone(fact.interaction_id):
            return
        offer = self._book.offers.get(fact.offer_id) or self._adopt(fact)
        if offer is None:
            return
        if offer.answered_at is None:
            offer = self._accept(offer, fact.at)
        if fact.caller and not offer.item.channel:  # a talk of a process before us
            offer = replace(offer, item=replace(offer.item, channel=fact.caller))
            self._book.offers[offer.offer_id] = offer
        if offer.talking_since is None:
            began = self._moment(fact.at) if offer.unconfirmed else self._when(fact.at)
            self._book.offers[offer.offer_id] = replace(
                offer, connected_at=began, talking_since=fact.at, unconfirmed=False
            )
            self._timers.stop(f"fuse:{offer.offer_id}")
        self._book.leave(fact.interaction_id)
        for rival in [*self._book.offers_for(fact.interaction_id), *self._book.offers_to(offer.extension)]:
            if rival.answered_at is None:
                self._offers.withdraw(rival, "talks_already", back=rival.item.interaction_id != fact.interaction_id)

    def on_held(self, fact: pbx.CallHeld) -> None:
        offer = self._book.talk_of(fact.interaction_id)
        if offer is not None and offer.held_since is None:
            self._book.offers[offer.offer_id] = replace(offer, held_since=self._book.clock.monotonic())

    def on_resumed(self, fact: pbx.CallResumed) -> None:
        offer = self._book.talk_of(fact.interaction_id)
        if offer is not None and offer.held_since is not None:
            held_s = offer.held_s + self._book.clock.monotonic() - offer.held_since
            self._book.offers[offer.offer_id] = replace(offer, held_since=None, held_s=held_s)

    def on_leg_ended(self, offer: Offer, fact: pbx.LegEnded) -> None:
        """The agent's leg, which had answered (perhaps nobody told us), is gone."""
        if offer.answered_at is None:
            offer = self._accept(offer, fact.at)
        if offer.connected_at is None and fact.cause == REJECTED:  # the dialplan found the offer stale
            self._offers.rest(offer.item.interaction_id, STALE_REST_S)
        if fact.cause == VANISHED:  # whoever goes there next would vanish, too; the switch brings the caller back
            self._book.happen(offer.extension, Act.SAY_NOT_READY, reason=UNREACHABLE, actor="rule:talk")
        self._over(offer, _how_it_ended(offer, fact.cause))

    def allow(self, offer_id: str, seconds: float) -> None:
        """It may take so long from now until the agent hears the caller: the customer is still to be called."""
        self._timers.start(f"fuse:{offer_id}", seconds, lambda: self._blow(offer_id))

    def caller_gone(self, offer: Offer) -> None:
        """The caller hung up; the agent's leg follows at once, or its end was not told."""
        self._timers.start(f"fuse:{offer.offer_id}", ALONE_S, lambda: self._blow(offer.offer_id))

    def resume(self, talk: OpenOffer) -> None:
        """A talk of a process before us. The first list of the switch says whether it lasts."""
        assert talk.answered_at is not None
        item = WorkItem(talk.interaction_id, talk.queue, "", talk.made_at)
        ringing_at = self._moment(talk.ringing_at) if talk.ringing_at is not None else None
        answered_at = self._moment(talk.answered_at)
        self._book.offers[talk.offer_id] = Offer(
            talk.offer_id, item, talk.extension, self._moment(talk.made_at), ringing_at, answered_at, answered_at,
            unconfirmed=True,
        )  # fmt: skip
        self._engage(talk.extension, talk.offer_id, "system:restart")

    def link_is_up(self) -> None:
        """Talks of a process before us that the switch did not list have ended meanwhile."""
        for offer in [offer for offer in self._book.offers.values() if offer.unconfirmed]:
            if offer.offer_id in self._listed:  # without the caller: whoever is asked about them
                self._book.offers[offer.offer_id] = replace(
                    offer, unconfirmed=False, connected_at=None, purpose="consult"
                )
            else:
                self._over(offer, "unseen")
        self._listed.clear()

    def _accept(self, offer: Offer, at: datetime) -> Offer:
        answered_at = self._when(at)
        offer = replace(offer, answered_at=answered_at)
        self._book.offers[offer.offer_id] = offer
        self._timers.stop(f"fuse:{offer.offer_id}")
        if offer.purpose != "consult":  # whoever is asked meets the caller when the two agents have talked
            self._timers.start(f"fuse:{offer.offer_id}", JOIN_S, lambda: self._blow(offer.offer_id))
        self._book.stream.emit(OfferAccepted(
            interaction_id=offer.item.interaction_id, at=at, offer_id=offer.offer_id, extension=offer.extension,
            queue=offer.item.queue, waited_s=self._book.waited_s(offer.item),
            ring_s=round(max(0.0, answered_at - (offer.ringing_at or offer.made_at)), 3),
            purpose=offer.purpose or ("callback" if offer.item.callback else ""),
        ))  # fmt: skip
        self._engage(offer.extension, offer.offer_id, "rule:connect")
        return offer

    def _engage(self, extension: str, offer_id: str, actor: str) -> None:
        before = self._book.agents[extension]
        self._book.happen(extension, Act.ENGAGE, offer_id=offer_id, actor=actor)
        if before.state is State.WRAP_UP:
            self._wrap_ups.ended(before)

    def _adopt(self, fact: pbx.CallConnected) -> Offer | None:
        """Asterisk says they talk and we know of no such offer (facts were lost): it is so."""
        if fact.extension not in self._book.agents:
            return None
        item = self._book.waiting.get(fact.interaction_id)
        item = item or next((offer.item for offer in self._book.offers_for(fact.interaction_id)), None)
        item = item or WorkItem(fact.interaction_id, "", "", fact.at)
        offer = Offer(fact.offer_id, item, fact.extension, self._book.clock.monotonic(), unconfirmed=True)
        self._book.offers[offer.offer_id] = offer
        return offer

    def _over(self, offer: Offer, reason: str) -> None:
        now, at = self._book.clock.monotonic(), self._book.clock.now()
        del self._book.offers[offer.offer_id]
        self._timers.stop(f"fuse:{offer.offer_id}")
        held_s = offer.held_s + (now - offer.held_since if offer.held_since is not None else 0.0)
        whole_s = now - offer.connected_at if offer.connected_at is not None else 0.0
        assert offer.answered_at is not None
        self._book.stream.emit(SegmentEnded(
            interaction_id=offer.item.interaction_id, at=at, offer_id=offer.offer_id, extension=offer.extension,
            queue=offer.item.queue, ring_s=round(max(0.0, offer.answered_at - (offer.ringing_at or offer.made_at)), 3),
            talk_s=round(max(0.0, whole_s - held_s), 3), hold_s=round(held_s, 3), reason=reason,
        ))  # fmt: skip
        if offer.talking_since is not None:
            self._book.acquainted.note(offer.item.ani, offer.extension, at)
        if self._book.came_back(offer) and (offer.connected_at is not None or not offer.purpose):
            self._book.put_back(offer.item)
        self._free(offer, at)

    def _free(self, offer: Offer, at: datetime) -> None:
        """The agent goes on with another talk on the same phone, if there is one; else wraps up, or is free."""
        others = [other for other in self._book.offers_to(offer.extension) if other.answered_at is not None]
        if others:
            self._engage(offer.extension, others[0].offer_id, "rule:connect")
            return
        seconds = self._book.policy(offer.item.queue).wrap_up_s if offer.connected_at is not None else 0.0
        until = at + timedelta(seconds=seconds) if seconds else None
        self._book.happen(offer.extension, Act.FINISH_TALK, offer_id=offer.offer_id, actor="rule:talk", until=until)
        if until is not None and self._book.agents[offer.extension].state is State.WRAP_UP:
            self._wrap_ups.begin(offer, at=at, seconds=seconds)

    def _blow(self, offer_id: str) -> None:
        """The talk never began, or its caller is gone, and the end of the agent's leg was not told."""
        offer = self._book.offers.get(offer_id)
        if offer is None:
            return
        if not self._linked() and not self._book.is_gone(offer.item.interaction_id):
            self._timers.start(f"fuse:{offer_id}", JOIN_S, lambda: self._blow(offer_id))
            return
        structlog.get_logger().error("talk_fuse_blown", offer=offer_id, interaction_id=offer.item.interaction_id)
        self._over(offer, "no_facts")
        self._freed()

    def _when(self, at: datetime) -> float:
        """When it happened: now, unless a list told it late. (Two clocks differ by milliseconds; ours alone is steady.)"""
        moment = self._moment(at)
        now = self._book.clock.monotonic()
        return moment if now - moment > LATE_S else now

    def _moment(self, at: datetime) -> float:
        """A moment that the wall clock told, on the monotonic clock; not in the future."""
        ago_s = (self._book.clock.now() - at).total_seconds()
        return self._book.clock.monotonic() - max(0.0, ago_s)


def _how_it_ended(offer: Offer, cause: int) -> str:
    if offer.connected_at is None:
        return "not_connected"
    return "phone_lost" if cause == VANISHED else "talked"
