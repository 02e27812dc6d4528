"""The owner of queues and agents: takes facts of the telephone and what people say, and decides who takes whom, at once.

Does not ring phones (`Telephony`) and does not know how a screen is filled (`ScreenPop`). Every decision is made
synchronously in one loop: facts in order from one subscription, verbs between them; only the carrying out of an offer is
awaited, each in a task of its own. Invariants: reserve → offer → connect; what fails returns the caller to the head with
the original wait; no agent stays reserved beyond the fuse, whatever facts were lost; without a link nothing is offered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import structlog

from core.clock import Clock
from core.errors import AftercallError, BadInput
from core.events import DomainEvent, pbx
from core.events.routing import (
    ItemAbandoned,
    ItemQueued,
    OfferAccepted,
    OfferCancelled,
    OfferDeclined,
    OfferMade,
    OfferRinging,
    OfferTimedOut,
    SegmentEnded,
    WrapUpEnded,
    WrapUpStarted,
)  # fmt: skip
from core.events.stream import EventStream
from core.ids import IdMaker
from routing.agent import Act, Agent, Happening, State
from routing.book import Book
from routing.matcher import match
from routing.model import AgentRecord, Offer, QueuePolicy, WorkItem
from routing.ports import ScreenPop, Telephony

POP_S = 0.35
FUSE_S = 5.0
REFUSED = frozenset({17, 21})
NO_ANSWER = frozenset({0, 16, 18, 19, 26, 102})
_SAY = {"READY": Act.SAY_READY, "NOT_READY": Act.SAY_NOT_READY, "OFFLINE": Act.GO_OFFLINE}


class Acd:
    """`await run()` for ever; verbs at any time. `epoch` goes with every offer."""

    def __init__(
        self, *, telephony: Telephony, screen_pop: ScreenPop, stream: EventStream, clock: Clock, ids: IdMaker,
        queues: Mapping[str, QueuePolicy], agents: Iterable[AgentRecord], epoch: int = 1,
    ) -> None:  # fmt: skip
        self.book = Book(queues, agents, stream, clock)
        self.epoch = epoch
        self.link_up = False
        self._telephony, self._screen_pop = telephony, screen_pop
        self._stream, self._clock, self._ids = stream, clock, ids
        self._inbox = stream.subscribe(
            "acd", asyncio.Event(), bound=100_000, only=[fact.kind for fact in self._facts()]
        )
        self._group: asyncio.TaskGroup | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._wrapped: dict[str, str] = {}  # offer → interaction, while its wrap-up lasts

    async def run(self) -> None:
        facts = self._facts()
        try:
            async with asyncio.TaskGroup() as self._group:
                async for fact in self._inbox:
                    facts[type(fact)](fact)
                    self._match()
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
            self._group = None

    def _facts(self) -> dict[type[DomainEvent], Callable[[Any], None]]:
        return {
            pbx.CallWaiting: self._on_waiting,
            pbx.LegRinging: self._on_ringing,
            pbx.LegAnswered: self._on_answered,
            pbx.CallConnected: self._on_connected,
            pbx.LegEnded: self._on_leg_ended,
            pbx.CallHeld: self._on_held,
            pbx.CallResumed: self._on_resumed,
            pbx.CallEnded: self._on_call_ended,
            pbx.AgentDeviceChanged: self._on_device,
            pbx.FeatureCodeDialled: self._on_feature_code,
            pbx.SwitchLinkChanged: self._on_link,
        }

    # --- what people say

    def set_state(self, extension: str, state: str, reason: str = "", *, actor: str) -> Agent:
        """READY, NOT_READY(reason) or OFFLINE; during a call it takes effect afterwards. Raises NotFound, BadInput."""
        agent = self.book.agent(extension)
        act = _SAY.get(state)
        if act is None:
            raise BadInput(
                "routing:state", f"An agent cannot be put into '{state}'.", hint="READY, NOT_READY or OFFLINE."
            )
        in_wrap_up = agent.state is State.WRAP_UP
        self._happen(extension, act, reason=reason[:60] or ("" if act is Act.SAY_READY else "other"), actor=actor)
        if in_wrap_up:
            self._end_wrap_up(agent, "", "")
        self._match()
        return self.book.agent(extension)

    def finish_wrap_up(self, extension: str, *, disposition: str = "", note: str = "", actor: str) -> Agent:
        """Ends after-call work now. Raises NotFound, BadInput when there is none."""
        agent = self._in_wrap_up(extension)
        self._happen(extension, Act.FINISH_WRAP_UP, offer_id=agent.offer_id, actor=actor)
        self._end_wrap_up(agent, disposition, note)
        self._match()
        return self.book.agent(extension)

    def extend_wrap_up(self, extension: str, seconds: float, *, actor: str) -> Agent:
        """Gives more time for after-call work, from now. Raises NotFound, BadInput."""
        agent = self._in_wrap_up(extension)
        if not 0 < seconds <= 3600:
            raise BadInput("routing:wrap-up", "Wrap-up can be extended by up to 3600 seconds.")
        until = self._clock.now() + timedelta(seconds=seconds)
        self.book.agents[extension] = replace(agent, wrap_up_until=until)
        self._start_timer(f"wrap:{extension}", seconds, lambda: self._wrap_up_over(extension, agent.offer_id))
        told = WrapUpStarted(at=self._clock.now(), extension=extension, offer_id=agent.offer_id, seconds=seconds)
        self._stream.emit(told)
        return self.book.agent(extension)

    def _in_wrap_up(self, extension: str) -> Agent:
        agent = self.book.agent(extension)
        if agent.state is not State.WRAP_UP:
            raise BadInput("routing:no-wrap-up", f"{agent.name} is {agent.state}, not in wrap-up.")
        return agent

    def add_agent(self, record: AgentRecord) -> None:
        """An agent who was added, or whose name or skills changed, while we run."""
        known = self.book.agents.get(record.extension) or Agent(record.extension, record.name)
        self.book.agents[record.extension] = replace(known, name=record.name, skills=record.skills)
        self._match()

    def restore(self, said: Mapping[str, tuple[str, str]]) -> None:
        """What people had said before a restart: extension → (state, reason). Before `run`."""
        for extension in self.book.agents:
            state, reason = said.get(extension, ("OFFLINE", ""))
            act = _SAY.get(state, Act.GO_OFFLINE)
            self._happen(extension, act, reason=reason, actor="system:restart")

    # --- deciding

    def _match(self) -> None:
        if not self.link_up or not self.book.waiting or self._group is None:
            return
        for pair in match(self.book.waiting.values(), self.book.agents.values(), self.book.queues):
            self._reserve(pair.interaction_id, pair.extension)

    def _reserve(self, interaction_id: str, extension: str) -> None:
        item = self.book.waiting[interaction_id]
        offer = Offer(self._ids(), item, extension, self._clock.monotonic())
        if not self._happen(extension, Act.RESERVE, offer_id=offer.offer_id, actor="rule:matcher"):
            return
        del self.book.waiting[interaction_id]
        self.book.offers[offer.offer_id] = offer
        made = OfferMade(
            interaction_id=interaction_id, at=self._clock.now(), offer_id=offer.offer_id, extension=extension,
            queue=item.queue, attempt=item.attempts + 1, epoch=self.epoch, leg_id=offer.leg_id, waited_s=self._waited(item),
            why="longest waiting caller, longest idle agent with the skills",
        )  # fmt: skip
        self._stream.emit(made)
        ring_s = self.book.policy(item.queue).ring_s
        self._start_timer(f"fuse:{offer.offer_id}", ring_s + FUSE_S, lambda: self._fuse(offer.offer_id))
        assert self._group is not None
        self._group.create_task(self._carry_out(offer, made, ring_s))

    async def _carry_out(self, offer: Offer, made: OfferMade, ring_s: float) -> None:
        """The card first, then the phone. Nothing that goes wrong with the card stops the call."""
        try:
            async with asyncio.timeout(POP_S):
                await self._screen_pop.push(made, offer.item)
        except Exception as error:
            structlog.get_logger().warning("screen_pop_failed", offer=offer.offer_id, reason=repr(error))
        if offer.offer_id not in self.book.offers:
            return  # the caller hung up meanwhile
        item = offer.item
        try:
            await self._telephony.offer(
                offer_id=offer.offer_id, interaction_id=item.interaction_id, caller_channel=item.channel,
                extension=offer.extension, ring_s=ring_s, epoch=self.epoch, caller_number=item.ani,
                headers={"X-Aftercall-Queue": item.queue, "X-Aftercall-Epoch": str(self.epoch)},
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
        offer = self.book.offers.pop(offer_id, None)
        if offer is None:
            return
        self._stop_timer(f"fuse:{offer_id}")
        ids = {"interaction_id": offer.item.interaction_id, "offer_id": offer_id, "extension": offer.extension}
        now = self._clock.now()
        if reason == "rona":
            rang_s = self._clock.monotonic() - (offer.ringing_at or offer.made_at)
            self._stream.emit(OfferTimedOut(at=now, rang_s=round(rang_s, 3), **ids))
        elif reason == "declined":
            self._stream.emit(OfferDeclined(at=now, cause=21, **ids))
        else:
            self._stream.emit(OfferCancelled(at=now, reason=reason, **ids))
        max_misses = self.book.policy(offer.item.queue).max_misses
        self._happen(offer.extension, act, reason=reason, offer_id=offer_id, actor="rule:offer", max_misses=max_misses)
        if back:
            self.book.put_back(offer.item)
        self._match()

    def _fuse(self, offer_id: str) -> None:
        """Facts about this offer were lost: let go of it, and of its leg if there is one."""
        offer = self.book.offers.get(offer_id)
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

        if self._group is not None:
            self._group.create_task(cancel())

    # --- facts

    def _on_waiting(self, fact: pbx.CallWaiting) -> None:
        ix = fact.interaction_id
        if self.book.is_gone(ix) or ix in self.book.waiting:
            return
        offer = self.book.offer_for(ix)
        if offer is not None and offer.connected_at is None:
            return  # a list says what we know: an offer for this caller is under way
        item = WorkItem(
            ix, fact.queue, fact.channel, fact.enqueued_at, fact.skills, fact.priority, fact.language, fact.ani,
            fact.level, fact.problem,
        )  # fmt: skip
        ahead = sum(other.queue == item.queue and other.order < item.order for other in self.book.waiting.values())
        self.book.waiting[ix] = item
        self._stream.emit(ItemQueued(
            interaction_id=ix, at=self._clock.now(), queue=item.queue, enqueued_at=item.enqueued_at, channel=item.channel,
            language=item.language, priority=item.priority, skills=dict(item.skills), ani=item.ani, position=ahead + 1,
            returned=not self.book.first_time(ix),
        ))  # fmt: skip

    def _on_ringing(self, fact: pbx.LegRinging) -> None:
        offer = self.book.offers.get(fact.offer_id)
        if offer is not None and offer.ringing_at is None:
            self.book.offers[offer.offer_id] = replace(offer, ringing_at=self._clock.monotonic())
            ids = {"interaction_id": fact.interaction_id, "offer_id": offer.offer_id, "extension": offer.extension}
            self._stream.emit(OfferRinging(at=fact.at, **ids))

    def _on_answered(self, fact: pbx.LegAnswered) -> None:
        offer = self.book.offers.get(fact.offer_id)
        if offer is not None and offer.answered_at is None:
            self._accept(offer, fact)

    def _accept(self, offer: Offer, fact: pbx.LegAnswered | pbx.CallConnected) -> Offer:
        now = self._clock.monotonic()
        offer = replace(offer, answered_at=now)
        self.book.offers[offer.offer_id] = offer
        self._stop_timer(f"fuse:{offer.offer_id}")
        self._stream.emit(OfferAccepted(
            interaction_id=offer.item.interaction_id, at=fact.at, offer_id=offer.offer_id, extension=offer.extension,
            queue=offer.item.queue, waited_s=self._waited(offer.item),
            ring_s=round(now - (offer.ringing_at or offer.made_at), 3),
        ))  # fmt: skip
        self._happen(offer.extension, Act.ENGAGE, offer_id=offer.offer_id, actor="rule:connect")
        return offer

    def _on_connected(self, fact: pbx.CallConnected) -> None:
        offer = self.book.offers.get(fact.offer_id)
        if offer is None:
            offer = self._adopt(fact)
            if offer is None:
                return
        if offer.answered_at is None:
            offer = self._accept(offer, fact)
        if offer.connected_at is None:
            self.book.offers[offer.offer_id] = replace(offer, connected_at=self._clock.monotonic())

    def _adopt(self, fact: pbx.CallConnected) -> Offer | None:
        """Asterisk says they talk and we know of no such offer (we were restarted): it is so."""
        if fact.extension not in self.book.agents or self.book.is_gone(fact.interaction_id):
            return None
        item = self.book.waiting.pop(fact.interaction_id, None)
        item = item or WorkItem(fact.interaction_id, "", "", fact.at)
        offer = Offer(fact.offer_id, item, fact.extension, self._clock.monotonic())
        self.book.offers[offer.offer_id] = offer
        return offer

    def _on_held(self, fact: pbx.CallHeld) -> None:
        offer = self.book.offer_for(fact.interaction_id)
        if offer is not None and offer.held_since is None:
            self.book.offers[offer.offer_id] = replace(offer, held_since=self._clock.monotonic())

    def _on_resumed(self, fact: pbx.CallResumed) -> None:
        offer = self.book.offer_for(fact.interaction_id)
        if offer is not None and offer.held_since is not None:
            held_s = offer.held_s + self._clock.monotonic() - offer.held_since
            self.book.offers[offer.offer_id] = replace(offer, held_since=None, held_s=held_s)

    def _on_leg_ended(self, fact: pbx.LegEnded) -> None:
        offer = self.book.offers.get(fact.offer_id)
        if offer is None:
            return
        if offer.answered_at is not None:
            self._talk_over(offer, fact)
        elif fact.cause in REFUSED:
            self._came_to_nothing(offer.offer_id, Act.MISS, "declined")
        elif fact.cause in NO_ANSWER:
            self._came_to_nothing(offer.offer_id, Act.MISS, "rona")
        else:
            self._came_to_nothing(offer.offer_id, Act.BE_UNREACHABLE, "unreachable")

    def _talk_over(self, offer: Offer, fact: pbx.LegEnded) -> None:
        now, at = self._clock.monotonic(), self._clock.now()
        del self.book.offers[offer.offer_id]
        held_s = offer.held_s + (now - offer.held_since if offer.held_since is not None else 0.0)
        whole_s = now - offer.connected_at if offer.connected_at is not None else 0.0
        assert offer.answered_at is not None
        self._stream.emit(SegmentEnded(
            interaction_id=offer.item.interaction_id, at=at, offer_id=offer.offer_id, extension=offer.extension,
            queue=offer.item.queue, ring_s=round(offer.answered_at - (offer.ringing_at or offer.made_at), 3),
            talk_s=round(max(0.0, whole_s - held_s), 3), hold_s=round(held_s, 3),
            reason="talked" if offer.connected_at is not None else "not_connected",
        ))  # fmt: skip
        seconds = self.book.policy(offer.item.queue).wrap_up_s if offer.connected_at is not None else 0.0
        until = at + timedelta(seconds=seconds) if seconds else None
        if offer.connected_at is None:
            self.book.put_back(offer.item)
        self._happen(offer.extension, Act.FINISH_TALK, offer_id=offer.offer_id, actor="rule:talk", until=until)
        if until is not None and self.book.agents[offer.extension].state is State.WRAP_UP:
            self._wrapped[offer.offer_id] = offer.item.interaction_id
            self._stream.emit(WrapUpStarted(
                interaction_id=offer.item.interaction_id, at=at, extension=offer.extension, offer_id=offer.offer_id,
                seconds=seconds,
            ))  # fmt: skip
            self._start_timer(
                f"wrap:{offer.extension}", seconds, lambda: self._wrap_up_over(offer.extension, offer.offer_id)
            )

    def _wrap_up_over(self, extension: str, offer_id: str) -> None:
        agent = self.book.agents.get(extension)
        if agent is not None and self._happen(extension, Act.FINISH_WRAP_UP, offer_id=offer_id, actor="rule:wrap-up"):
            self._end_wrap_up(agent, "", "")
            self._match()

    def _end_wrap_up(self, agent: Agent, disposition: str, note: str) -> None:
        self._stop_timer(f"wrap:{agent.extension}")
        now = self._clock.now()
        spent_s = (now - agent.since).total_seconds() if agent.since is not None else 0.0
        self._stream.emit(WrapUpEnded(
            interaction_id=self._wrapped.pop(agent.offer_id, ""), at=now, extension=agent.extension,
            offer_id=agent.offer_id, wrap_up_s=round(max(0.0, spent_s), 3), disposition=disposition, note=note,
        ))  # fmt: skip

    def _on_call_ended(self, fact: pbx.CallEnded) -> None:
        ix = fact.interaction_id
        self.book.mark_gone(ix)
        item = self.book.waiting.pop(ix, None)
        offer = self.book.offer_for(ix)
        if offer is not None and offer.answered_at is None:
            item = offer.item
            self._cancel_leg(offer)
            self._came_to_nothing(offer.offer_id, Act.RELEASE, "caller_gone", back=False)
        if item is not None:
            told = ItemAbandoned(interaction_id=ix, at=fact.at, queue=item.queue, waited_s=self._waited(item))
            self._stream.emit(told)

    def _on_device(self, fact: pbx.AgentDeviceChanged) -> None:
        self.book.device(fact.extension, reachable=fact.reachable, in_use=fact.in_use)

    def _on_feature_code(self, fact: pbx.FeatureCodeDialled) -> None:
        if fact.extension in self.book.agents:
            state = "READY" if fact.code == "ready" else "NOT_READY"
            self.set_state(fact.extension, state, fact.argument, actor=f"phone:{fact.extension}")

    def _on_link(self, fact: pbx.SwitchLinkChanged) -> None:
        self.link_up = fact.up

    # --- small things

    def _happen(self, extension: str, act: Act, **more: Any) -> bool:
        return self.book.happen(extension, Happening(act, self._clock.now(), **more))

    def _waited(self, item: WorkItem) -> float:
        return round(max(0.0, (self._clock.now() - item.enqueued_at).total_seconds()), 3)

    def _start_timer(self, key: str, seconds: float, call: Callable[[], None]) -> None:
        self._stop_timer(key)
        loop = asyncio.get_running_loop()

        def over() -> None:
            self._timers.pop(key, None)
            call()

        self._timers[key] = loop.call_later(seconds, over)

    def _stop_timer(self, key: str) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
