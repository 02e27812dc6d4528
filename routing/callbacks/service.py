"""Callbacks: entries that keep their place while nobody is on the line, and the calls that are made when it is their turn.

Decides when an entry stands in the queue, whom it is merged with, and what follows from each call; what is right by the rules is
decided in `model.py`, who takes the entry by the pool, like any other. Invariants: the customer is called only by an agent who
has answered and waits, once for each turn (it is told and written down before the order leaves, and the switch refuses a second
channel of the same id); a number has one entry in a queue; an entry ends once, with an outcome that is told.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

import structlog

from core.errors import AftercallError, BadInput, NotFound
from core.events import DomainEvent, pbx
from core.events.routing import (
    CallbackCalled,
    CallbackEnded,
    CallbackMissed,
    CallbackReached,
    CallbackRequested,
)  # fmt: skip
from core.ids import IdMaker
from pbx.call import CALLBACK, CUSTOMER, leg_id_of
from pbx.transfer import CallCustomer, CallOrder, EndLeg
from routing.book import Book
from routing.callbacks import model
from routing.callbacks.model import Callback, Outcome, State
from routing.callbacks.where import Where
from routing.calls.service import TRUNK, Calls
from routing.model import WorkItem, item_record
from routing.offers import Offers
from routing.ports import Telephony
from routing.talks import JOIN_S, Talks
from routing.timers import Timers

Json = dict[str, Any]
ALSO: tuple[type[DomainEvent], ...] = (pbx.CallbackAsked, pbx.CallbackLegReady, pbx.CallArrived, pbx.CallAnswered)
"""What is heard here besides the owner's facts."""
REMEMBERED = 5000
CLOSED_AGAIN_S = 60.0
LOST = {"node_lost": "switch_unavailable", "vanished": "unclear", "unseen": "unclear"}


async def _at_once() -> None:
    """Where nothing is written down."""


@dataclass
class Turn:
    """A call to a customer that is under way. `arrived`: their channel exists."""

    offer_id: str = ""
    arrived: bool = False
    answered: bool = False
    agent_gone: bool = False
    voicemail: bool = False


class Callbacks:
    """`do(order)` for each request, `note(fact)` after the owner's own rule for it, `comes(item)` for each caller who waits.
    `where`, `caller_number`, `written` may be set at any time."""

    def __init__(
        self, book: Book, timers: Timers, offers: Offers, talks: Talks, calls: Calls, telephony: Telephony, ids: IdMaker, *,
        spawn: Callable[[Coroutine[Any, Any, None]], None], moved: Callable[[], None],
    ) -> None:  # fmt: skip
        self.where = Where("CN", UTC)
        self.caller_number = ""
        self.written: Callable[[], Coroutine[Any, Any, None]] = _at_once  # returns when what was told survives a kill
        self._book, self._timers, self._offers, self._talks, self._calls = book, timers, offers, talks, calls
        self._telephony, self._ids, self._spawn, self._moved = telephony, ids, spawn, moved
        self._entries: dict[str, Callback] = {}
        self._by_call: dict[str, str] = {}
        self._turns: dict[str, Turn] = {}  # by call
        self._sent: OrderedDict[str, WorkItem] = OrderedDict()  # whom a rule sends to be asked
        self._told_key: OrderedDict[str, None] = OrderedDict()
        self._verbs: dict[str, Callable[[Json], Json]] = {
            "list": self._list, "request": self._asked_by_hand, "may": self._may,
            "withdraw": self._withdraw, "voicemail": self._voicemail,
        }  # fmt: skip

    # --- asking

    def entries(self) -> list[Callback]:
        """Those that have not ended, the longest wait first."""
        return sorted(self._entries.values(), key=lambda it: (it.item.enqueued_at, it.callback_id))

    def may_be_asked_for(self, item: WorkItem) -> bool:
        """Whether this caller could be called back at all."""
        try:
            self._calls.may_call(item.ani)
        except AftercallError:
            return False
        return bool(item.channel)

    def do(self, order: Json) -> Json:
        """`what`: list, may, request, withdraw, voicemail. Raises NotFound, BadInput, AftercallError."""
        return self._verbs[order["what"]](order)

    def _list(self, _order: Json) -> Json:
        return {"items": [model.view(it) for it in self.entries()]}

    def _may(self, order: Json) -> Json:
        """Whether this number could be called back by this queue. Raises as `request`."""
        if order["queue"] not in self._book.queues:
            raise NotFound("queue", order["queue"])
        return {"number": self._calls.may_call(order["number"])}

    def _asked_by_hand(self, order: Json) -> Json:
        more = {key: order[key] for key in ("note", "preferred", "language", "problem", "first_id") if order.get(key)}
        return model.view(self.request(order["number"], order["queue"], by=order["by"], **more))

    def _withdraw(self, order: Json) -> Json:
        now = self._entry(order["callback_id"])
        if now.state is not State.WAITING:
            raise AftercallError(
                "routing:not-now", "The customer is being called now.", hint="End the call itself.", status=409
            )
        return model.view(self._end(now, Outcome.WITHDRAWN, order.get("by", "")))

    def _voicemail(self, order: Json) -> Json:
        """The agent hears a machine: the call counts as one that did not reach the customer."""
        now = self._entry(order["callback_id"])
        turn = self._turns.get(now.call_id)
        if now.state is not State.TALKING or turn is None:
            raise AftercallError("routing:not-now", "Nobody talks to this customer now.", status=409)
        turn.voicemail = True
        return model.view(now)

    def _entry(self, callback_id: str) -> Callback:
        now = self._entries.get(callback_id)
        if now is None:
            raise NotFound("callback", callback_id)
        return now

    def request(
        self, number: str, queue: str, *, by: str, item: WorkItem | None = None, first_id: str = "", **more: Any
    ) -> Callback:
        """The entry of this number in this queue. Raises NotFound for a queue; BadInput, AftercallError for a number that
        is none or may not be called."""
        if queue not in self._book.queues:
            raise NotFound("queue", queue)
        if more.get("preferred") and more["preferred"] not in self._book.agents:
            raise BadInput("routing:agent", "There is no such agent.")
        number = self._calls.may_call(number)
        at = self._book.clock.now()
        call_id = self._new_call()
        wanted = replace(item or WorkItem(call_id, queue, "", at), queue=queue, ani=number, **more)
        known = self._of(queue, number)
        if known is not None and known.state is not State.WAITING:
            return known  # they are being called at this moment
        before = known
        if known is not None:
            known = model.merged(known, wanted)
        else:
            known = Callback(self._ids(), number, replace(wanted, interaction_id=call_id), at, first_id, by)
        entry = replace(known.item, channel="", callback=known.callback_id, attempts=0, been_in=())
        now = replace(known, item=entry)
        for older in (it for it in (item, before.item if before is not None else None) if it is not None):
            self._book.inherit(now.call_id, older.interaction_id)
        self._keep(now)
        self._book.stream.emit(CallbackRequested(
            interaction_id=first_id, at=at, callback_id=now.callback_id, number=now.number, queue=queue,
            enqueued_at=entry.enqueued_at, by=by, item=item_record(entry),
        ))  # fmt: skip
        self._place(now, again=before is not None)
        return self._entries.get(now.callback_id, now)

    # --- callers

    def sends(self, item: WorkItem) -> bool:
        """A rule sends this caller to hear that they are called back; not who cannot be."""
        if not self.may_be_asked_for(item):
            return False
        self._sent[item.interaction_id] = item
        while len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)
        return True

    def comes(self, item: WorkItem) -> WorkItem:
        """A caller who begins to wait. Who has an entry takes its place, when it is the better one, and the entry ends."""
        ix = item.interaction_id
        if ix in self._by_call:  # the customer answered when their agent had gone: they are a caller now
            now = self._entries[self._by_call[ix]]
            self._turns.pop(ix, None)
            self._end(now, Outcome.CALLED_IN, "waits on the line")
            return replace(now.item, channel=item.channel, callback="", ani=now.number)
        known = self._of(item.queue, item.ani) if item.ani else None
        if known is None or known.state is not State.WAITING:
            return item
        self._book.inherit(ix, known.call_id)
        taken = model.inherited(item, known.item)
        self._end(known, Outcome.CALLED_IN, ix)
        if taken.enqueued_at < item.enqueued_at:
            self._mark(item, {"AC_AT": str(int(taken.enqueued_at.timestamp() * 1000))})
        return taken

    def watch(self, item: WorkItem) -> None:
        """A caller on the line is told of the key when they have waited long enough."""
        rules, ix = self._book.policy(item.queue).callback, item.interaction_id
        self._timers.stop(f"key:{ix}")
        if item.callback or rules.offer_after_s <= 0 or ix in self._told_key or not self.may_be_asked_for(item):
            return
        seconds = max(0.0, rules.offer_after_s - self._book.waited_s(item))
        self._timers.start(f"key:{ix}", seconds, lambda: self._tell_key(ix))

    def _tell_key(self, ix: str) -> None:
        item = self._book.waiting.get(ix)
        if item is None or not item.channel:
            return
        self._told_key[ix] = None
        while len(self._told_key) > REMEMBERED:
            self._told_key.popitem(last=False)
        self._mark(item, {"AC_CALLBACK": "offer"})

    def _asked(self, fact: pbx.CallbackAsked) -> None:
        ix = fact.interaction_id
        sent = self._sent.pop(ix, None)
        offers = [it for it in self._book.offers_for(ix) if it.answered_at is None and not it.purpose]
        item = self._book.waiting.get(ix) or sent or next((it.item for it in offers), None)
        if item is None:
            return  # they wait on when nobody answers
        by = "rule:overflow" if sent is not None else "caller"
        try:
            self.request(fact.ani or item.ani, item.queue, by=by, item=item, first_id=ix)
        except AftercallError as error:
            structlog.get_logger().info("callback_refused", interaction_id=ix, reason=error.error_id)
            self._mark(item, {"AC_PROMISED": "0"})
            return
        self._book.leave(ix)
        for offer in offers:
            self._offers.withdraw(offer, "callback", back=False)
        self._mark(replace(item, channel=fact.channel or item.channel), {"AC_PROMISED": "1"})

    # --- in the queue

    def _place(self, now: Callback, *, again: bool) -> None:
        """Into the queue, or to be kept until the customer may be called."""
        rules, at = self._book.policy(now.item.queue).callback, self._book.clock.now()
        zone = self.where.zone(now.number)
        due = model.opens(rules.window, max(now.next_at or at, at), zone)
        name = f"callback:{now.callback_id}"
        if due > at:
            self._keep(replace(now, next_at=due))
            self._book.leave(now.call_id)
            self._timers.start(name, (due - at).total_seconds(), lambda: self._due(now.callback_id))
            return
        now = self._keep(replace(now, next_at=None))
        left_s = (model.closes(rules.window, at, zone) - at).total_seconds()
        self._timers.start(name, max(1.0, left_s), lambda: self._closed(now.callback_id))
        if self._book.offers_for(now.call_id):
            return
        item = now.item
        self._book.wait(item)
        self._book.tell_queued(item, returned=again)
        self._moved()

    def _due(self, callback_id: str) -> None:
        now = self._entries.get(callback_id)
        if now is not None and now.state is State.WAITING:
            self._place(now, again=True)

    def _closed(self, callback_id: str) -> None:
        """The customer's day is over."""
        now = self._entries.get(callback_id)
        if now is None or now.state is not State.WAITING:
            return
        if now.call_id in self._book.waiting:
            self._place(now, again=True)
        else:  # somebody's phone rings for it
            self._timers.start(f"callback:{callback_id}", CLOSED_AGAIN_S, lambda: self._closed(callback_id))

    # --- facts

    def note(self, fact: DomainEvent) -> None:
        if isinstance(fact, pbx.CallbackAsked):
            self._asked(fact)
            return
        now = self._entries.get(self._by_call.get(fact.interaction_id, ""))
        match fact:
            case pbx.CallbackLegReady():
                self._ready(now, fact)
            case pbx.SwitchLinkChanged(up=True):
                self._listed()
            case _ if now is None:
                return
            case pbx.LegAnswered():
                self._found_waiting(now, fact)
            case pbx.CallArrived(channel=channel):
                self._turn(now).arrived = True
                for offer in self._book.offers_for(now.call_id):
                    self._book.offers[offer.offer_id] = replace(offer, item=replace(offer.item, channel=channel))
            case pbx.CallAnswered():
                self._turn(now).answered = True
            case pbx.CallConnected(extension=extension) if now.state is not State.TALKING:
                self._keep(replace(now, state=State.TALKING))
                self._book.stream.emit(CallbackReached(
                    interaction_id=now.call_id, at=fact.at, callback_id=now.callback_id, extension=extension
                ))  # fmt: skip
            case pbx.LegEnded(offer_id=offer_id):
                self._leg_ended(now, offer_id)
            case pbx.CallEnded(reason=reason):
                self._call_ended(now, reason)

    def _turn(self, now: Callback) -> Turn:
        return self._turns.setdefault(now.call_id, Turn())

    def _ready(self, now: Callback | None, fact: pbx.CallbackLegReady) -> None:
        """The agent has answered and waits: the customer is called, unless it has been done."""
        offer = self._book.offers.get(fact.offer_id)
        if now is None or offer is None or now.state is not State.WAITING:
            if now is None:
                self._order(EndLeg(leg_id=fact.leg_id))
            return
        self._book.offers[offer.offer_id] = replace(
            offer, purpose="callback", item=replace(offer.item, channel=now.call_id)
        )
        try:
            number = self._calls.outside_call(now.number)
        except AftercallError as error:
            self._order(EndLeg(leg_id=fact.leg_id))
            self._miss(now, "too_many_calls" if error.status == 429 else "not_allowed")
            return
        ring_s = self._book.policy(now.item.queue).callback.ring_s
        self._talks.allow(offer.offer_id, ring_s + JOIN_S)
        self._turns[now.call_id] = Turn(offer.offer_id)
        now = self._keep(replace(now, state=State.CALLING))
        self._book.stream.emit(CallbackCalled(
            interaction_id=now.call_id, at=self._book.clock.now(), callback_id=now.callback_id, first_id=now.first_id,
            attempt=now.attempts + 1, extension=offer.extension, offer_id=offer.offer_id,
        ))  # fmt: skip
        item = now.item
        self._call(fact.leg_id, CallCustomer(
            interaction_id=now.call_id, leg_id=leg_id_of(now.call_id, offer.offer_id), number=number, ring_s=ring_s,
            trunk=TRUNK, caller_number=self.caller_number, ticket={
                "AC_QUEUE": item.queue, "AC_AT": str(int(item.enqueued_at.timestamp() * 1000)), "AC_LANG": item.language,
                "AC_PRIO": str(item.priority), "AC_PROBLEM": item.problem, "AC_TIER": item.tier,
            },
        ))  # fmt: skip

    def _found_waiting(self, now: Callback, fact: pbx.LegAnswered) -> None:
        """An agent of a process before us still hears the customer's phone ring: nothing has come to nothing yet."""
        offer = self._book.offers.get(fact.offer_id)
        if offer is None or not offer.unconfirmed or now.state is not State.CALLING:
            return
        item = replace(now.item, channel=now.call_id)
        self._book.offers[offer.offer_id] = replace(
            offer, item=item, purpose="callback", unconfirmed=False, connected_at=None
        )
        self._turn(now).offer_id = offer.offer_id
        self._talks.allow(offer.offer_id, self._book.policy(item.queue).callback.ring_s + JOIN_S)

    def _leg_ended(self, now: Callback, offer_id: str) -> None:
        """The agent's leg is gone before the customer had answered."""
        turn = self._turns.get(now.call_id)
        if now.state is not State.CALLING or turn is None or turn.offer_id != offer_id or turn.answered:
            return
        self._order(EndLeg(leg_id=now.call_id))
        if turn.arrived:
            turn.agent_gone = True  # the end of their channel follows
        else:
            self._miss(now, "switch_unavailable")

    def _call_ended(self, now: Callback, reason: str) -> None:
        turn = self._turn(now)
        if now.state is State.TALKING and not turn.voicemail:
            self._end(now, Outcome.SERVED)
        elif now.state is not State.WAITING:
            why = "voicemail" if now.state is State.TALKING else "agent_gone" if turn.agent_gone else reason
            self._miss(now, LOST.get(why, why if why in model.MISSES else "unclear"))

    def _miss(self, now: Callback, reason: str) -> None:
        at, rules = self._book.clock.now(), self._book.policy(now.item.queue).callback
        after = model.after_miss(now, reason, at, rules, self.where.zone(now.number))
        self._book.stream.emit(CallbackMissed(
            interaction_id=now.call_id, at=at, callback_id=now.callback_id, attempt=after.attempts, reason=reason,
            next_at=after.next_at,
        ))  # fmt: skip
        if after.state is State.ENDED:
            self._end(replace(now, attempts=after.attempts), Outcome.GIVEN_UP, reason)
            return
        live = next((it for it in self._book.waiting.values() if it.channel and self._same(it, now)), None)
        if live is not None:
            self._end(after, Outcome.CALLED_IN, live.interaction_id)
            return
        self._by_call.pop(now.call_id, None)
        self._turns.pop(now.call_id, None)
        item = replace(after.item, interaction_id=self._new_call())
        self._book.inherit(item.interaction_id, now.call_id)
        self._place(self._keep(replace(after, item=item)), again=True)

    def _end(self, now: Callback, outcome: Outcome, reason: str = "") -> Callback:
        call_id = now.call_id
        self._entries.pop(now.callback_id, None)
        self._by_call.pop(call_id, None)
        self._turns.pop(call_id, None)
        self._timers.stop(f"callback:{now.callback_id}")
        self._book.leave(call_id)
        for offer in self._book.offers_for(call_id):
            if offer.answered_at is None:
                self._offers.withdraw(offer, "callback_ended", back=False)
        ended = replace(now, state=State.ENDED, outcome=outcome, reason=reason or now.reason, next_at=None)
        self._book.stream.emit(CallbackEnded(
            interaction_id=now.first_id or call_id, at=self._book.clock.now(), callback_id=now.callback_id, call_id=call_id,
            outcome=outcome, reason=reason, attempts=now.attempts,
        ))  # fmt: skip
        return ended

    # --- after a restart

    def restore(self, entries: Iterable[Callback], *, up: Collection[str] = (), over: Collection[str] = ()) -> None:
        """Before the owner runs: entries as they are written down. `up`, `over`: calls that had arrived, and those of them that
        have ended. What was waiting stands under a new call, so that nothing of the old one can reach it."""
        for now in entries:
            if now.state is State.WAITING:
                now = self._keep(replace(now, item=replace(now.item, interaction_id=self._new_call())))
                self._place(now, again=True)
                continue
            self._keep(now)
            turn = self._turn(now)
            turn.arrived = now.call_id in up
            if now.call_id in over:
                self._call_ended(now, "unseen")

    def _listed(self) -> None:
        """The switch has said what lives: a call of a process before us that is not there will not come."""
        for now in list(self._entries.values()):
            if now.state is not State.WAITING and not self._turn(now).arrived and not self._turn(now).offer_id:
                self._call_ended(now, "unseen")

    # --- the rest

    def _keep(self, now: Callback) -> Callback:
        self._entries[now.callback_id] = now
        self._by_call[now.call_id] = now.callback_id
        return now

    def _of(self, queue: str, number: str) -> Callback | None:
        key = self.where.key(number)
        return next(
            (it for it in self._entries.values() if it.item.queue == queue and self.where.key(it.number) == key), None
        )

    def _same(self, item: WorkItem, now: Callback) -> bool:
        return item.queue == now.item.queue and self.where.key(item.ani) == self.where.key(now.number)

    def _new_call(self) -> str:
        return f"{CALLBACK}{self._ids().replace('-', '')}{CUSTOMER}"

    def _mark(self, item: WorkItem, values: dict[str, str]) -> None:
        async def mark() -> None:
            try:
                await self._telephony.set_variables(item.channel, values)
            except Exception as error:  # they hung up, or wait on by themselves
                structlog.get_logger().info("caller_not_marked", interaction_id=item.interaction_id, reason=str(error))

        self._spawn(mark())

    def _call(self, waits: str, order: CallCustomer) -> None:
        """Not before it is written down: whoever comes after a kill must know of it, or would call the customer again. The
        agent whose leg `waits` is let go when that cannot be had; the customer is tried again later."""

        async def call() -> None:
            try:
                await self.written()
            except Exception as error:
                structlog.get_logger().error(
                    "callback_not_written", interaction_id=order.interaction_id, reason=str(error)
                )
                self._order(EndLeg(leg_id=waits))
                return
            if order.interaction_id in self._turns:  # else the agent has gone meanwhile
                self._order(order)

        self._spawn(call())

    def _order(self, order: CallOrder) -> None:
        async def send() -> None:
            try:
                await self._telephony.carry_out(order)
            except Exception as error:  # the agent's leg ends by itself, and that is told
                structlog.get_logger().info("callback_order_failed", order=type(order).__name__, reason=str(error))

        self._spawn(send())
