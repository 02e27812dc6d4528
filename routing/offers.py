"""The life of an offer until the agent's phone answers: reserve → card → ring → answered, or come to nothing.

Does not choose who is offered what (`acd.py` asks `matcher.py`) and does not follow the talk (`talks.py`). Invariants:
what comes to nothing returns the caller to the head with the original wait; only the carrying out is awaited, each in a
task of its own; no agent stays reserved beyond the fuse, whatever facts were lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import structlog

from core.errors import AftercallError
from core.events import pbx
from core.events.routing import OfferCancelled, OfferDeclined, OfferMade, OfferRinging, OfferTimedOut
from core.ids import IdMaker
from routing.agent import Act
from routing.book import Book
from routing.model import Offer
from routing.ports import ScreenPop, Telephony
from routing.timers import Timers

POP_S = 0.35
FUSE_S = 5.0
REFUSED = frozenset({17, 21})
NO_ANSWER = frozenset({0, 16, 18, 19, 26, 102})


class Offers:
    """`spawn` runs a coroutine beside the owner's loop; `freed` is called when somebody can be matched again."""

    def __init__(
        self, book: Book, timers: Timers, telephony: Telephony, screen_pop: ScreenPop, ids: IdMaker, *, epoch: int,
        spawn: Callable[[Coroutine[Any, Any, None]], None], freed: Callable[[], None],
    ) -> None:  # fmt: skip
        self.epoch = epoch
        self._book, self._timers, self._ids = book, timers, ids
        self._telephony, self._screen_pop = telephony, screen_pop
        self._spawn, self._freed = spawn, freed

    def make(self, interaction_id: str, extension: str) -> None:
        """Reserves the agent for the waiting caller, and sets the carrying out going."""
        item = self._book.waiting[interaction_id]
        offer = Offer(self._ids(), item, extension, self._book.clock.monotonic())
        if not self._book.happen(extension, Act.RESERVE, offer_id=offer.offer_id, actor="rule:matcher"):
            return
        del self._book.waiting[interaction_id]
        self._book.offers[offer.offer_id] = offer
        made = OfferMade(
            interaction_id=interaction_id, at=self._book.clock.now(), offer_id=offer.offer_id, extension=extension,
            queue=item.queue, attempt=item.attempts + 1, epoch=self.epoch, leg_id=offer.leg_id,
            waited_s=self._book.waited_s(item), why="longest waiting caller, longest idle agent with the skills",
        )  # fmt: skip
        self._book.stream.emit(made)
        ring_s = self._book.policy(item.queue).ring_s
        self._timers.start(f"fuse:{offer.offer_id}", ring_s + FUSE_S, lambda: self._fuse(offer.offer_id))
        self._spawn(self._carry_out(offer, made, ring_s))

    def on_ringing(self, fact: pbx.LegRinging) -> None:
        offer = self._book.offers.get(fact.offer_id)
        if offer is not None and offer.ringing_at is None:
            self._book.offers[offer.offer_id] = replace(offer, ringing_at=self._book.clock.monotonic())
            ids = {"interaction_id": fact.interaction_id, "offer_id": offer.offer_id, "extension": offer.extension}
            self._book.stream.emit(OfferRinging(at=fact.at, **ids))

    def unanswered(self, offer: Offer, cause: int) -> None:
        """The agent's leg is gone (`cause` is Q.850) and had not answered."""
        if cause in REFUSED:
            self._came_to_nothing(offer.offer_id, Act.MISS, "declined")
        elif cause in NO_ANSWER:
            self._came_to_nothing(offer.offer_id, Act.MISS, "rona")
        else:
            self._came_to_nothing(offer.offer_id, Act.BE_UNREACHABLE, "unreachable")

    def caller_gone(self, offer: Offer) -> None:
        """The caller hung up before the agent answered: the phone stops ringing."""
        self._cancel_leg(offer)
        self._came_to_nothing(offer.offer_id, Act.RELEASE, "caller_gone", back=False)

    async def _carry_out(self, offer: Offer, made: OfferMade, ring_s: float) -> None:
        """The card first, then the phone. Nothing that goes wrong with the card stops the call."""
        try:
            async with asyncio.timeout(POP_S):
                await self._screen_pop.push(made, offer.item)
        except Exception as error:
            structlog.get_logger().warning("screen_pop_failed", offer=offer.offer_id, reason=repr(error))
        if offer.offer_id not in self._book.offers:
            return  # the caller hung up meanwhile
        item = offer.item
        try:
            await self._telephony.offer(
                offer_id=offer.offer_id, interaction_id=item.interaction_id, caller_channel=item.channel,
                extension=offer.extension, ring_s=ring_s, epoch=made.epoch, caller_number=item.ani,
                headers={"X-Aftercall-Queue": item.queue},
            )  # fmt: skip
        except Exception as error:
            reason = str(error) or type(error).__name__
            structlog.get_logger().warning("offer_not_carried_out", offer=offer.offer_id, reason=reason)
            if isinstance(error, AftercallError):
                self._came_to_nothing(offer.offer_id, Act.RELEASE, "switch_unavailable")
            else:
                self._came_to_nothing(offer.offer_id, Act.BE_UNREACHABLE, "unreachable")

    def _came_to_nothing(self, offer_id: str, act: Act, reason: str, *, back: bool = True) -> None:
        """An offer is over without a talk: the caller waits again (or is gone), the agent is what the act makes them."""
        offer = self._book.offers.pop(offer_id, None)
        if offer is None:
            return
        self._timers.stop(f"fuse:{offer_id}")
        self._tell(offer, reason)
        max_misses = self._book.policy(offer.item.queue).max_misses
        self._book.happen(
            offer.extension, act, reason=reason, offer_id=offer_id, actor="rule:offer", max_misses=max_misses
        )
        if back:
            self._book.put_back(offer.item)
        self._freed()

    def _tell(self, offer: Offer, reason: str) -> None:
        ids = {"interaction_id": offer.item.interaction_id, "offer_id": offer.offer_id, "extension": offer.extension}
        now = self._book.clock.now()
        if reason == "rona":
            rang_s = self._book.clock.monotonic() - (offer.ringing_at or offer.made_at)
            self._book.stream.emit(OfferTimedOut(at=now, rang_s=round(rang_s, 3), **ids))
        elif reason == "declined":
            self._book.stream.emit(OfferDeclined(at=now, cause=21, **ids))
        else:
            self._book.stream.emit(OfferCancelled(at=now, reason=reason, **ids))

    def _fuse(self, offer_id: str) -> None:
        """Facts about this offer were lost: let go of it, and of its leg if there is one."""
        offer = self._book.offers.get(offer_id)
        if offer is None or offer.answered_at is not None:
            return
        structlog.get_logger().error("offer_fuse_blown", offer=offer_id, interaction_id=offer.item.interaction_id)
        self._cancel_leg(offer)
        self._came_to_nothing(offer_id, Act.RELEASE, "no_facts")

    def _cancel_leg(self, offer: Offer) -> None:
        async def cancel() -> None:
            try:
                await self._telephony.cancel_offer(offer.leg_id)
            except Exception as error:
                structlog.get_logger().info("leg_not_cancelled", leg=offer.leg_id, reason=str(error))

        self._spawn(cancel())
