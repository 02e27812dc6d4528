"""The owner of queues and agents: takes facts of the telephone and what people say, and decides who takes whom, at once.

Every decision is made synchronously in one loop: facts in order from one subscription, verbs between them. What becomes
of a decision is followed by `offers.py` (until the phone answers), `talks.py` and `wrapup.py`, all on one `book.py`.
Does not ring phones (`Telephony`) and does not know how a screen is filled (`ScreenPop`). Invariants: reserve → offer →
connect; without a link nothing is offered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from core.clock import Clock
from core.errors import BadInput
from core.events import DomainEvent, pbx
from core.events.routing import ItemAbandoned, ItemWidened
from core.events.stream import EventStream
from core.ids import IdMaker
from routing.agent import Act, Agent, State
from routing.book import Book
from routing.callbacks.service import ALSO as FOR_CALLBACKS
from routing.callbacks.service import Callbacks
from routing.calls.service import ALSO, Calls
from routing.hands import Hands
from routing.items import item_of
from routing.model import AgentRecord, Unfinished, WorkItem
from routing.offers import Offers
from routing.overflow import Overflows
from routing.policy.model import Policy
from routing.ports import ScreenPop, Telephony
from routing.stamp import Stamped
from routing.talks import Talks
from routing.timers import Timers
from routing.waiting.service import ALSO as FOR_ANNOUNCER
from routing.waiting.service import Announcer
from routing.wrapup import WrapUps

_SAY = {"READY": Act.SAY_READY, "NOT_READY": Act.SAY_NOT_READY, "OFFLINE": Act.GO_OFFLINE}


class Acd:
    """`await run()` for ever; verbs at any time. `epoch` goes with every offer."""

    def __init__(
        self, *, telephony: Telephony, screen_pop: ScreenPop, stream: EventStream, clock: Clock, ids: IdMaker,
        policy: Policy, agents: Iterable[AgentRecord], epoch: int = 1,
        is_open: Callable[[str, datetime], bool] = lambda _calendar, _at: True,
    ) -> None:  # fmt: skip
        self._stamped = Stamped(stream, epoch)
        self.book = Book(policy, agents, self._stamped, clock)
        self.link_up = False
        self._timers = timers = Timers()
        self._wrap_ups = WrapUps(self.book, timers, freed=self._match)
        self._offers = Offers(
            self.book, timers, telephony, screen_pop, ids, epoch=epoch, spawn=self._spawn, freed=self._match,
            linked=lambda: self.link_up,
        )  # fmt: skip
        self._talks = Talks(
            self.book, timers, self._offers, self._wrap_ups, freed=self._match, linked=lambda: self.link_up
        )
        self.calls = Calls(
            self.book, self._offers, self._wrap_ups, telephony, ids, spawn=self._spawn, linked=lambda: self.link_up
        )
        self._overflows = Overflows(
            self.book,
            timers,
            telephony,
            spawn=self._spawn,
            linked=lambda: self.link_up,
            moved=self._match,
            is_open=is_open,
            outside_call=self.calls.outside_call,
        )
        self.book.on_away = self._overflows.agents_changed
        self._hands = Hands(self.book, self._offers, self._overflows)
        self.callbacks = Callbacks(
            self.book,
            timers,
            self._offers,
            self._talks,
            self.calls,
            telephony,
            ids,
            spawn=self._spawn,
            moved=self._match,
        )
        self._overflows.calls_back = self.callbacks.sends
        self.announcer = Announcer(
            self.book, timers, telephony, spawn=self._spawn, linked=lambda: self.link_up
        )  # fmt: skip
        self._overflows.waits_elsewhere = self._waits_by
        heard = (*self._facts(), *ALSO, *FOR_CALLBACKS, *FOR_ANNOUNCER)
        self._inbox = stream.subscribe("acd", asyncio.Event(), bound=100_000, only=[fact.kind for fact in heard])
        self._group: asyncio.TaskGroup | None = None
        self._widens_at: float | None = None

    def whisper(self, say: Callable[[WorkItem], Sequence[str]]) -> None:
        """The sounds that an agent hears before they are joined with the caller of an item."""
        self._offers.whisper = say

    @property
    def epoch(self) -> int:
        return self._offers.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._offers.epoch = self._stamped.epoch = epoch

    async def run(self) -> None:
        facts = self._facts()
        async with asyncio.TaskGroup() as self._group:
            try:
                async for fact in self._inbox:
                    if type(fact) in facts:
                        facts[type(fact)](fact)
                    self.calls.note(fact)
                    self.callbacks.note(fact)
                    self.announcer.note(fact)
                    self._match()
            finally:
                self._timers.stop_all()
                self._group = None

    def _facts(self) -> dict[type[DomainEvent], Callable[[Any], None]]:
        return {
            pbx.CallWaiting: self._on_waiting,
            pbx.LegRinging: self._offers.on_ringing,
            pbx.LegAnswered: self._talks.on_answered,
            pbx.CallConnected: self._talks.on_connected,
            pbx.LegEnded: self._on_leg_ended,
            pbx.CallHeld: self._talks.on_held,
            pbx.CallResumed: self._talks.on_resumed,
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
        self.book.happen(extension, act, reason=(reason[:60] or "other") if state == "NOT_READY" else "", actor=actor)
        if agent.state is State.WRAP_UP:
            self._wrap_ups.ended(agent)
        self._match()
        return self.book.agent(extension)

    def finish_wrap_up(self, extension: str, *, disposition: str = "", note: str = "", actor: str) -> Agent:
        """Ends after-call work now. Raises NotFound, BadInput when there is none."""
        self._wrap_ups.finish(extension, disposition=disposition, note=note, actor=actor)
        self._match()
        return self.book.agent(extension)

    def extend_wrap_up(self, extension: str, seconds: float, *, actor: str) -> Agent:
        """Gives more time for after-call work, from now. Raises NotFound, BadInput."""
        self._wrap_ups.extend(extension, seconds)
        return self.book.agent(extension)

    def move(self, interaction_id: str, queue: str, *, actor: str) -> WorkItem:
        """A waiting caller into another queue, with their wait. Raises NotFound."""
        item = self._hands.move(interaction_id, queue, actor=actor)
        self._match()
        return item

    def give(self, interaction_id: str, extension: str, *, actor: str) -> WorkItem:
        """A waiting caller to an agent whom a supervisor names. Raises NotFound, BadInput, Unavailable without a link."""
        return self._hands.give(interaction_id, extension, actor=actor, linked=self.link_up)

    def add_agent(self, record: AgentRecord) -> None:
        """An agent who was added, or whose name or skills changed, while we run."""
        self.book.add_agent(record)
        self._match()

    def set_policy(self, policy: Policy) -> None:
        """Other rules, at once and for those who wait already."""
        self.book.set_policy(policy)
        for item in list(self.book.waiting.values()):
            self._overflows.watch(item)
            self._waits_by(item)
        self._match()

    def _waits_by(self, item: WorkItem) -> None:
        """What a queue does for those who wait in it."""
        self.callbacks.watch(item)
        self.announcer.watch(item)

    def restore(self, said: Mapping[str, tuple[str, str]], unfinished: Unfinished | None = None) -> None:
        """Before `run`: what people had said before a restart, extension → (state, reason), and what was under way then.
        What the switch lists afterwards wins about who talks."""
        for extension in self.book.agents:
            state, reason = said.get(extension, ("OFFLINE", ""))
            self.book.happen(extension, _SAY.get(state, Act.GO_OFFLINE), reason=reason, actor="system:restart")
        left = unfinished or Unfinished()
        for work in reversed(left.wrap_ups):  # the newest counts: an agent has one
            if work.extension in self.book.agents:
                self._wrap_ups.resume(work)
        for offer in left.offers:
            if offer.answered_at is None:
                self._offers.lost(offer)
            elif offer.extension in self.book.agents:
                self._talks.resume(offer)

    # --- deciding

    def _match(self) -> None:
        if not self.link_up or self._group is None:
            return
        for pair in self.book.pool.settle(self.book.clock.monotonic()):
            self._offers.make(pair)
        self._tell_widened()

    def _tell_widened(self) -> None:
        """Who has come to their next ring is told, and the clock is set for the one after."""
        pool, now = self.book.pool, self.book.clock.monotonic()
        for ix, ring in pool.take_widened():
            item = self.book.waiting.get(ix) or next((o.item for o in self.book.offers_for(ix)), None)
            if item is not None:
                told = ItemWidened(interaction_id=ix, at=self.book.clock.now(), queue=item.queue, ring=ring,
                                   waited_s=self.book.waited_s(item))  # fmt: skip
                self.book.stream.emit(told)
        coming = pool.next_widening()
        if coming != self._widens_at:
            self._widens_at = coming
            if coming is None:
                self._timers.stop("rings")
            else:
                self._timers.start("rings", max(0.0, coming - now), self._rings_widen)

    def _rings_widen(self) -> None:
        self._widens_at = None
        self._match()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._group is None:
            work.close()
        else:
            self._group.create_task(work)

    # --- facts

    def _on_waiting(self, fact: pbx.CallWaiting) -> None:
        ix = fact.interaction_id
        returned = self.book.seen_before(ix)
        if not self.book.new_visit(ix, fact.at) or self.book.is_gone(ix) or ix in self.book.waiting:
            return
        if any(offer.connected_at is None and not offer.purpose for offer in self.book.offers_for(ix)):
            return  # an offer for this caller is under way
        self._offers.wake(ix)
        item = self.callbacks.comes(item_of(fact, last_agent=self.book.last_agent(fact.queue, fact.ani)))
        ahead = sum(other.queue == item.queue and other.order < item.order for other in self.book.waiting.values())
        self.book.wait(item)  # from now on by the monotonic clock
        self.book.tell_queued(item, position=ahead + 1, returned=returned)
        self._overflows.watch(item, new=True)
        if (waits := self.book.waiting.get(ix)) is not None:  # a closed queue may have sent them on
            self.callbacks.watch(waits)
            self.announcer.watch(waits, new=True)

    def _on_leg_ended(self, fact: pbx.LegEnded) -> None:
        self.book.mark_over(fact.offer_id)
        offer = self.book.offers.get(fact.offer_id)
        if offer is None:
            return
        if fact.answered or offer.answered_at is not None:
            self._talks.on_leg_ended(offer, fact)
        else:
            self._offers.unanswered(offer, fact.cause)

    def _on_call_ended(self, fact: pbx.CallEnded) -> None:
        ix = fact.interaction_id
        self.book.mark_gone(ix)
        self._offers.wake(ix)
        item = self.book.leave(ix)
        for offer in self.book.offers_for(ix):
            if offer.answered_at is None:
                item = offer.item
                self._offers.withdraw(offer, "caller_gone", back=False)
            else:
                self._talks.caller_gone(offer)
        if item is not None:
            told = ItemAbandoned(interaction_id=ix, at=fact.at, queue=item.queue, waited_s=self.book.waited_s(item))
            self.book.stream.emit(told)

    def _on_device(self, fact: pbx.AgentDeviceChanged) -> None:
        self.book.device(fact.extension, reachable=fact.reachable, in_use=fact.in_use)
        if fact.extension in self.book.agents and not fact.reachable:
            self.book.happen(fact.extension, Act.LOSE_PHONE, actor="rule:offer")

    def _on_feature_code(self, fact: pbx.FeatureCodeDialled) -> None:
        if fact.extension in self.book.agents:
            state = "READY" if fact.code == "ready" else "NOT_READY"
            self.set_state(fact.extension, state, fact.argument, actor=f"phone:{fact.extension}")

    def _on_link(self, fact: pbx.SwitchLinkChanged) -> None:
        self.link_up = fact.up
        if fact.up:  # what the switch has is known: it is listed before it is told to be up
            self._offers.link_is_up()
            self._talks.link_is_up()
