"""The life of an offer until the agent's phone answers: reserve → card → ring → answered, or come to nothing.

Does not choose who is offered what (`acd.py` asks `matcher.py`) and does not follow the talk (`talks.py`). Invariants:
what comes to nothing returns the caller to the head with the original wait; only the carrying out is awaited, each in a
task of its own; no agent stays reserved beyond the fuse, whatever facts were lost; an agent is blamed for a call only
when their phone rang, or refused it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import structlog

from core.errors import Unavailable
from core.events import pbx
from core.events.routing import OfferCancelled, OfferDeclined, OfferMade, OfferRinging, OfferTimedOut
from core.ids import IdMaker
from pbx.transfer import RingForCallback
from routing.agent import RONA, UNREACHABLE, Act
from routing.book import Book
from routing.ground import Ground, sentence
from routing.model import Offer, OpenOffer, WorkItem
from routing.pool import Assignment
from routing.ports import ScreenPop, Telephony
from routing.timers import Timers
from routing.why import chosen

POP_S = 0.35
FUSE_S = 12.0  # beyond the ringing: longer than the switchboard takes to list what it may have missed
REFUSED_REST_S = 1.0
KEEP_UNCLEAR = 1000
BUSY, REJECTED = 17, 21
UNSEEN = 0
NO_ANSWER = frozenset({16, 18, 19, 26, 102})


class Offers:
    """`spawn` runs a coroutine beside the owner's loop; `freed` is called when somebody can be matched again; `linked`
    tells whether facts can come."""

    def __init__(
        self, book: Book, timers: Timers, telephony: Telephony, screen_pop: ScreenPop, ids: IdMaker, *, epoch: int,
        spawn: Callable[[Coroutine[Any, Any, None]], None], freed: Callable[[], None], linked: Callable[[], bool],
    ) -> None:  # fmt: skip
        self.epoch = epoch
        self.whisper: Callable[[WorkItem], Sequence[str]] = lambda _item: ()  # what the agent hears before the caller
        self._book, self._timers, self._ids = book, timers, ids
        self._telephony, self._screen_pop = telephony, screen_pop
        self._spawn, self._freed, self._linked = spawn, freed, linked
        # The link broke before the switch said whether it took the order.
        self._unclear: deque[Offer] = deque(maxlen=KEEP_UNCLEAR)

    def make(self, pair: Assignment, *, why: tuple[Ground, ...] = ()) -> None:
        """Reserves the agent for the waiting caller, and sets the carrying out going. `why`: when it was not the matcher."""
        item = self._book.waiting[pair.interaction_id]
        rules = self._book.policy(item.queue)
        why = why or chosen(pair, rules)
        if not self._make(item, pair, why):
            self._book.wait(item)
            return
        also: list[tuple[str, float]] = []
        if rules.ring_all > 1:
            self._book.wait(item)  # who else would be chosen: asked of the pool, which has let go of it already
            also = self._book.pool.ranked(pair.interaction_id, self._book.clock.monotonic())[: rules.ring_all - 1]
        self._book.leave(pair.interaction_id)
        for extension, merit in also:
            self._make(
                item,
                replace(pair, extension=extension, merit=merit),
                (*why, Ground("rings_with", {"extension": pair.extension})),
            )

    def _make(self, item: WorkItem, pair: Assignment, why: tuple[Ground, ...]) -> bool:
        extension = pair.extension
        offer = Offer(self._ids(), item, extension, self._book.clock.monotonic(), why=why)
        if not self._book.happen(extension, Act.RESERVE, offer_id=offer.offer_id, actor="rule:matcher"):
            return False
        self._book.offers[offer.offer_id] = offer
        ring_s = self._book.policy(item.queue).ring_s
        made = self._tell_made(
            offer, ring_s, ring=pair.ring, priority=round(pair.priority, 3), merit=round(pair.merit, 6)
        )
        self._spawn(self._carry_out(offer, made, ring_s))
        return True

    def direct(self, item: WorkItem, extension: str, purpose: str, ring_s: float) -> tuple[Offer, OfferMade]:
        """An offer to somebody asked for by name, whose caller is nobody's to match: `routing/calls` rings the phone. Who is
        READY is reserved; who is not, and asked for it themselves, stays what they are until they answer."""
        offer = Offer(
            self._ids(), item, extension, self._book.clock.monotonic(), purpose=purpose, why=(Ground("by_name"),)
        )
        self._book.happen(extension, Act.RESERVE, offer_id=offer.offer_id, actor=f"rule:{purpose}")
        self._book.offers[offer.offer_id] = offer
        return offer, self._tell_made(offer, ring_s, purpose=purpose)

    def _tell_made(self, offer: Offer, ring_s: float, **more: Any) -> OfferMade:
        item = offer.item
        made = OfferMade(
            at=self._book.clock.now(), queue=item.queue, attempt=item.attempts + 1, epoch=self.epoch, leg_id=offer.leg_id,
            waited_s=self._book.waited_s(item), why=sentence(offer.why), **_names(offer), **more,
        )  # fmt: skip
        self._book.stream.emit(made)
        self._light_fuse(offer.offer_id, ring_s + FUSE_S)
        return made

    def not_carried_out(self, offer: Offer) -> None:
        """The switch did not take the order to ring for a direct offer."""
        self._came_to_nothing(offer, Act.RELEASE, "switch_unavailable", back=False)

    def on_ringing(self, fact: pbx.LegRinging) -> None:
        offer = self._book.offers.get(fact.offer_id)
        if offer is not None and offer.ringing_at is None:
            self._book.offers[offer.offer_id] = replace(offer, ringing_at=self._book.clock.monotonic())
            self._book.stream.emit(OfferRinging(at=fact.at, **_names(offer)))

    def unanswered(self, offer: Offer, cause: int) -> None:
        """The agent's leg is gone (`cause` is Q.850) and had not answered."""
        agent = self._book.agents[offer.extension]
        if cause == BUSY and agent.in_use:
            self._came_to_nothing(offer, Act.RELEASE, "busy")
        elif cause in (BUSY, REJECTED):
            self._came_to_nothing(offer, Act.MISS, "declined")
        elif cause == UNSEEN:
            self._came_to_nothing(offer, Act.RELEASE, "no_facts")
        elif cause in NO_ANSWER and offer.ringing_at is not None and agent.reachable:
            self._came_to_nothing(offer, Act.MISS, RONA)
        else:  # a phone that never rang is not there, whatever the cause calls it
            self._came_to_nothing(offer, Act.BE_UNREACHABLE, UNREACHABLE)

    def withdraw(self, offer: Offer, reason: str, *, back: bool) -> None:
        """The phone stops ringing: the caller is gone or talks (not `back`), or the agent talks to another."""
        self._cancel_leg(offer)
        self._came_to_nothing(offer, Act.RELEASE, reason, back=back)

    def lost(self, offer: OpenOffer) -> None:
        """An offer of a process before us: its phone is stopped by the switchboard, its caller is offered anew."""
        names: dict[str, Any] = {
            "interaction_id": offer.interaction_id,
            "offer_id": offer.offer_id,
            "extension": offer.extension,
        }
        self._book.stream.emit(OfferCancelled(at=self._book.clock.now(), reason="restart", **names))

    def link_is_up(self) -> None:
        """What the switch may have taken when the link broke, and nobody has answered, is stopped; nobody rests."""
        for offer in self._unclear:
            if offer.offer_id not in self._book.offers:
                self._cancel_leg(offer)
        self._unclear.clear()
        for interaction_id in self._book.resting:
            self.wake(interaction_id)

    def rest(self, interaction_id: str, seconds: float) -> None:
        """The caller is not offered for a moment: what just failed would fail again at once."""
        self._book.rest(interaction_id, True)
        self._timers.start(f"rest:{interaction_id}", seconds, lambda: self._rested(interaction_id))

    def _rested(self, interaction_id: str) -> None:
        self._book.rest(interaction_id, False)
        self._freed()

    def wake(self, interaction_id: str) -> None:
        self._timers.stop(f"rest:{interaction_id}")
        self._book.rest(interaction_id, False)

    def rests(self, interaction_id: str) -> bool:
        return self._timers.runs(f"rest:{interaction_id}")

    async def show(self, offer: Offer, made: OfferMade) -> None:
        """The card on the screen, or 350 ms. Never raises."""
        try:
            async with asyncio.timeout(POP_S):
                await self._screen_pop.push(made, offer.item)
        except Exception as error:
            structlog.get_logger().warning("screen_pop_failed", offer=offer.offer_id, reason=repr(error))

    async def _carry_out(self, offer: Offer, made: OfferMade, ring_s: float) -> None:
        """The card first, then the phone. Nothing that goes wrong with the card stops the call."""
        log = structlog.get_logger().bind(offer=offer.offer_id)
        await self.show(offer, made)
        if offer.offer_id not in self._book.offers:
            return  # the caller hung up meanwhile
        item = offer.item
        try:
            if item.callback:
                await self._telephony.carry_out(RingForCallback(
                    interaction_id=item.interaction_id, leg_id=offer.leg_id, caller=item.interaction_id,
                    target=offer.extension, ring_s=ring_s, epoch=made.epoch, number=item.ani,
                    headers={"X-Aftercall-Queue": item.queue, "X-Aftercall-Offer": offer.offer_id},
                ))  # fmt: skip
                return
            await self._telephony.offer(
                offer_id=offer.offer_id, interaction_id=item.interaction_id, caller_channel=item.channel,
                extension=offer.extension, ring_s=ring_s, epoch=made.epoch, caller_number=item.ani,
                headers={"X-Aftercall-Queue": item.queue, "X-Aftercall-Epoch": str(made.epoch)},
                whisper=self.whisper(item),
            )  # fmt: skip
        except Exception as error:
            log.warning("offer_not_carried_out", reason=str(error) or type(error).__name__)
            now = self._book.offers.get(offer.offer_id)
            if now is None or now.ringing_at is not None or now.answered_at is not None:
                return  # the switch took the order all the same, or the caller is gone
            if isinstance(error, Unavailable):
                self._unclear.append(offer)
            self.rest(item.interaction_id, REFUSED_REST_S)
            self._came_to_nothing(offer, Act.RELEASE, "switch_unavailable")

    def _came_to_nothing(self, offer: Offer, act: Act, reason: str, *, back: bool = True) -> None:
        """An offer is over without a talk: the caller waits again (or is gone), the agent is what the act makes them."""
        if self._book.offers.pop(offer.offer_id, None) is None:
            return
        self._timers.stop(f"fuse:{offer.offer_id}")
        self._tell(offer, reason)
        max_misses = self._book.policy(offer.item.queue).max_misses
        self._book.happen(
            offer.extension, act, reason=reason, offer_id=offer.offer_id, actor="rule:offer", max_misses=max_misses
        )
        if (
            back and not offer.purpose
        ):  # a caller asked for by name is where the dialplan keeps them, and comes back by it
            self._book.put_back(offer.item)
        self._freed()

    def _tell(self, offer: Offer, reason: str) -> None:
        now = self._book.clock.now()
        if reason == RONA:
            rang_s = self._book.clock.monotonic() - (offer.ringing_at or offer.made_at)
            self._book.stream.emit(OfferTimedOut(at=now, rang_s=round(rang_s, 3), **_names(offer)))
        elif reason == "declined":
            self._book.stream.emit(OfferDeclined(at=now, cause=REJECTED, **_names(offer)))
        else:
            self._book.stream.emit(OfferCancelled(at=now, reason=reason, **_names(offer)))

    def _light_fuse(self, offer_id: str, seconds: float) -> None:
        self._timers.start(f"fuse:{offer_id}", seconds, lambda: self._blow(offer_id))

    def _blow(self, offer_id: str) -> None:
        """Facts about this offer were lost: let go of it, and of its leg if there is one."""
        offer = self._book.offers.get(offer_id)
        if offer is None or offer.answered_at is not None:
            return
        if not self._linked():  # no facts can come: the next link's list tells what became of it
            self._light_fuse(offer_id, FUSE_S)
            return
        structlog.get_logger().error("offer_fuse_blown", offer=offer_id, interaction_id=offer.item.interaction_id)
        self.withdraw(offer, "no_facts", back=True)

    def _cancel_leg(self, offer: Offer) -> None:
        async def cancel() -> None:
            try:
                await self._telephony.cancel_offer(offer.leg_id)
            except Exception as error:
                structlog.get_logger().info("leg_not_cancelled", leg=offer.leg_id, reason=str(error))

        self._spawn(cancel())


def _names(offer: Offer) -> dict[str, Any]:
    return {"interaction_id": offer.item.interaction_id, "offer_id": offer.offer_id, "extension": offer.extension}
