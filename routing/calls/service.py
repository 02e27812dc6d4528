"""What people do to calls that are talked to: hold, consult, transfer, conference, park and fetch.

Decides synchronously what may be done (`model.py`) and to whom; the switch is told in the task of whoever asked, one order of
a call after another. Does not know Asterisk (`pbx.transfer`) and does not match (`acd.py`); supervisors are `supervise.py`'s.
Invariants: what was done already is not done twice; nobody busy, away or unreachable is rung; a caller is never without
somewhere to go, because the dialplan brings them back by itself; what the switch reports wins.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

import structlog

from core.errors import AftercallError, NotFound, Refused, Unavailable
from core.events import DomainEvent, pbx
from core.ids import IdMaker
from pbx.ami import ActionRefused
from pbx.transfer import CallOrder, EndLeg, HoldCaller, LeaveFor, LeaveRoom, RingLeg, SendCaller
from routing.agent import Agent, State
from routing.book import Book
from routing.calls.handled import Handled, park
from routing.calls.model import (
    Doing,
    Handling,
    OutsideRules,
    Target,
    Verb,
    after,
    as_dialled,
    done_already,
    orders,
    outside_number,
)  # fmt: skip
from routing.calls.supervise import Supervision
from routing.calls.whom import free, own_phone, somebody_of
from routing.model import Offer, WorkItem
from routing.offers import Offers
from routing.ports import Telephony
from routing.wrapup import WrapUps

Json = dict[str, Any]
ALSO: tuple[type[DomainEvent], ...] = (pbx.SupervisorJoined, pbx.PartyLeft)
"""What is heard here besides the owner's facts."""
ORDER_S = 4.0
PARK_S = 120
HOUR_S = 3600.0
REMEMBERED = 2000
ENTRIES = ("menu",)
TRUNK = "trunk"
OUTSIDE = "out"


@dataclass(frozen=True)
class Parked:
    item: WorkItem
    by: str
    at: str


class Calls:
    """`do(order)` for each request; `note(fact)` for each fact, in order. `rules` may be replaced at any time."""

    def __init__(
        self, book: Book, offers: Offers, wrap_ups: WrapUps, telephony: Telephony, ids: IdMaker, *,
        spawn: Callable[[Coroutine[Any, Any, None]], None], linked: Callable[[], bool],
    ) -> None:  # fmt: skip
        self.outside = OutsideRules()
        self.park_s = PARK_S
        self._book, self._offers, self._wrap_ups = book, offers, wrap_ups
        self._telephony, self._ids, self._spawn, self._linked = telephony, ids, spawn, linked
        self._handled = Handled(book)
        self._over: OrderedDict[tuple[str, str], Handling] = OrderedDict()  # how it left whose hands
        self._parked: OrderedDict[str, Parked] = OrderedDict()
        self._taken: dict[str, Handling] = {}  # by the offer that takes a call over: from whom
        self._dialled: deque[float] = deque()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._supervision = Supervision(book, self._send, ids)
        self._verbs: Mapping[str, Callable[[Json], Coroutine[Any, Any, Json]]] = {
            "act": self._act, "fetch": self._fetch, "supervise": self._supervision.supervise, "take_over": self._take_over,
        }  # fmt: skip

    async def do(self, order: Json) -> Json:
        """What came of it. `order`: `what`, `interaction_id`, `by` (the extension of whoever asks), `supervisor`, `actor`,
        and what the verb needs. Raises NotFound, Refused, BadInput, Unavailable, AftercallError."""
        if order["what"] == "parked":
            return {"items": self.parked()}
        ix = order["interaction_id"]
        if not self._linked() and (ix in self._parked or self._book.offers_for(ix)):
            raise Unavailable("switch", "The telephone switch does not answer now.")
        lock = self._locks.get(ix) or asyncio.Lock()
        self._locks[ix] = lock
        async with lock:  # the same asked twice at once is done once
            return await self._verbs[order["what"]](order)

    def parked(self) -> list[Json]:
        return [
            {"interaction_id": ix, "queue": it.item.queue, "by": it.by, "at": it.at, "note": it.item.note}
            for ix, it in self._parked.items()
        ]

    # --- facts

    def note(self, fact: DomainEvent) -> None:
        ix = fact.interaction_id
        match fact:
            case pbx.LegAnswered(leg_id=leg_id):
                self._change(ix, lambda it: it.heir == leg_id and it.doing is Doing.ASKING, doing=Doing.ASKED)
            case pbx.LegEnded(leg_id=leg_id):
                self._leg_ended(ix, leg_id)
            case pbx.CallConnected(offer_id=offer_id, extension=extension):
                self._parked.pop(ix, None)
                if (before := self._taken.pop(offer_id, None)) is not None:
                    self._tell_transferred(before, Target("agent", extension))
                    self._let_go(ix, but=offer_id)
            case pbx.CallHeld(extension=extension, by_order=True):
                self._found_held(ix, extension)
            case pbx.CallResumed(extension=extension, by_order=True):
                self._change(ix, lambda it: it.extension == extension and it.doing is Doing.HELD, doing=Doing.TALKING)
            case pbx.CallWaiting():
                self._parked.pop(ix, None)
            case pbx.CallEnded():
                self._parked.pop(ix, None)
                self._caller_gone(ix)
        self._supervision.note(fact)

    def _leg_ended(self, ix: str, leg_id: str) -> None:
        self._taken.pop(leg_id.removeprefix(f"{ix}-"), None)
        for it in [it for it in self._handled.values() if it.interaction_id == ix]:
            if it.leg_id == leg_id:
                del self._handled[it.offer_id]
                inherits = it.leaving or it.doing in (Doing.ASKING, Doing.ASKED, Doing.CONFERENCE)
                if it.heir and inherits and it.target is not None:
                    self._tell_transferred(it, it.target, consult=True)
            elif it.heir == leg_id:  # the dialplan has brought the agent back to the caller
                if it.doing is Doing.CONFERENCE:
                    self._spawn(self._quietly(LeaveRoom(caller=it.caller, leg_id=it.leg_id)))
                self._handled[it.offer_id] = replace(it, doing=Doing.TALKING, heir="", target=None)

    def _found_held(self, ix: str, extension: str) -> None:
        """By a process before us; our own holds are known before they are told."""
        offer = next((it for it in self._book.offers_for(ix) if it.extension == extension and it.connected_at), None)
        if offer is not None and offer.offer_id not in self._handled:
            self._handled[offer.offer_id] = replace(_handling(offer), doing=Doing.HELD)

    def _change(self, ix: str, fits: Callable[[Handling], bool], **values: Any) -> None:
        for key, it in self._handled.items():
            if it.interaction_id == ix and fits(it):
                self._handled[key] = replace(it, **values)

    def _let_go(self, ix: str, *, but: str) -> None:
        """Whoever had the caller before, and was not in their bridge, is let go."""
        for offer in self._book.offers_for(ix):
            if offer.offer_id != but and offer.answered_at is not None:
                self._spawn(self._quietly(EndLeg(leg_id=offer.leg_id)))

    def _caller_gone(self, ix: str) -> None:
        """Two who talk about a caller who has hung up would talk on, and count as engaged with nobody."""
        for it in [it for it in self._handled.values() if it.interaction_id == ix]:
            del self._handled[it.offer_id]
            if it.doing in (Doing.ASKED, Doing.SWAPPED):
                for leg_id in (it.leg_id, it.heir):
                    self._spawn(self._quietly(EndLeg(leg_id=leg_id)))

    # --- verbs of the agent who talks

    async def _act(self, order: Json) -> Json:
        verb = Verb(order["verb"])
        target = _target(order["target"]) if order.get("target") else None
        key = (order["interaction_id"], f"{verb}:{target}:{order['by']}")
        offer = self._talk(order, key)
        if offer is None:
            return _view(self._over[key])
        now = self._handled.get(offer.offer_id) or _handling(offer)
        if verb is Verb.CONSULT and now.heir and now.target == target:
            return _view(now)
        if done_already(now, verb):
            return _view(now)
        becomes = after(now.doing, verb)
        now = replace(now, note=order.get("note") or now.note)
        if verb in (Verb.TRANSFER, Verb.CONSULT):
            assert target is not None
            now = await self._give(offer, now, verb, target, order)
        else:
            now = await self._carry_out(offer, now, verb, becomes)
        if now.doing is Doing.GONE or now.leaving:
            gone = replace(now, doing=Doing.GONE)
            self._remember(key, gone)
            return _view(gone)
        return _view(self._handled.get(offer.offer_id) or now)

    async def _carry_out(self, offer: Offer, now: Handling, verb: Verb, becomes: Doing) -> Handling:
        told = list(orders(now, verb, park_s=self.park_s))
        if verb is Verb.ABORT and now.doing is Doing.ASKING and (asked := self._offer_of(now.heir)) is not None:
            self._offers.withdraw(asked, "consult_aborted", back=False)  # nobody is to blame for it
            told = []
        if verb is Verb.COMPLETE:
            now = replace(now, leaving=True)
        elif verb in (Verb.MUTE, Verb.UNMUTE):
            now = replace(now, muted=verb is Verb.MUTE)
        elif becomes is Doing.TALKING:
            now = replace(now, doing=becomes, heir="", target=None)
        else:
            now = replace(now, doing=becomes)
        before = self._handled.get(offer.offer_id)
        self._handled[offer.offer_id] = now  # facts of it may come before the answer
        if verb is Verb.PARK:
            item = replace(offer.item, note=now.note or offer.item.note)
            self._parked[now.interaction_id] = Parked(item, now.extension, self._book.clock.now().isoformat())
        try:
            for each in told:
                await self._send(each)
        except Exception:
            self._parked.pop(now.interaction_id, None)
            self._restore(offer, before)
            raise
        if verb is Verb.PARK:
            self._tell_transferred(now, Target("park", ""))
            park(self._book, now.interaction_id, now.extension)
        return now

    def _restore(self, offer: Offer, before: Handling | None) -> None:
        if before is None:
            self._handled.pop(offer.offer_id, None)
        elif offer.offer_id in self._book.offers:
            self._handled[offer.offer_id] = before

    async def _give(self, offer: Offer, now: Handling, verb: Verb, target: Target, order: Json) -> Handling:
        """The caller to somebody else: at once, or after they were asked."""
        if target.kind == "entry" or (target.kind == "queue" and verb is Verb.TRANSFER):
            return await self._send_to_place(now, target, offer.item)
        number = ""
        if target.kind == "number":
            number = outside_number(target.name, self.outside, self._dialled_in_last_hour())
            agent = None
        elif target.kind == "queue":
            agent = somebody_of(self._book, target.name, but=now.extension)
        else:
            agent = free(self._book, target.name, but=now.extension)
        return await self._to_phone(offer, now, verb, target, agent, number)

    async def _to_phone(
        self, offer: Offer, now: Handling, verb: Verb, target: Target, agent: Agent | None, number: str
    ) -> Handling:
        consult = verb is Verb.CONSULT
        ring_s = self._book.policy(offer.item.queue).ring_s if agent is not None else self.outside.ring_s
        item = replace(offer.item, note=now.note or offer.item.note, channel=now.caller)
        asked: Offer | None = None
        if agent is not None:
            asked, made = self._offers.direct(item, agent.extension, "consult" if consult else "transfer", ring_s)
            leg_id = asked.leg_id
        else:
            leg_id = f"{now.interaction_id}-{OUTSIDE}{self._ids()}"
            self._dialled.append(self._book.clock.monotonic())
        now = replace(now, doing=Doing.ASKING if consult else Doing.GONE, target=target, heir=leg_id if consult else "")
        before = self._handled.get(offer.offer_id)
        self._handled[offer.offer_id] = now
        try:
            if asked is not None:
                await self._offers.show(asked, made)
            if consult:
                first: CallOrder = HoldCaller(
                    caller=now.caller, leg_id=now.leg_id, heir=leg_id, hears="ringing", note=now.note
                )
            else:
                first = LeaveFor(caller=now.caller, leg_id=now.leg_id, heir=leg_id, note=now.note)
            await self._send(first)
            await self._ring(item, leg_id, agent.extension if agent is not None else number, ring_s,
                             with_leg=now.leg_id if consult else "", outside=agent is None)  # fmt: skip
        except Exception:
            if asked is not None:
                self._offers.not_carried_out(asked)
            self._restore(offer, before)
            raise  # the dialplan misses the phone that was to ring, and goes on without it
        if not consult:
            self._tell_transferred(now, target)
        return now

    async def _send_to_place(self, now: Handling, target: Target, item: WorkItem) -> Handling:
        if target.kind == "queue":
            if target.name not in self._book.queues:
                raise NotFound("queue", target.name)
            variables, to = {"AC_QUEUE": target.name}, "queue"
        else:
            if target.name not in ENTRIES:
                raise NotFound("entry point", target.name)
            # From the beginning, and whoever they are is asked again there.
            variables, to = {"AC_NODE": "", "AC_LEVEL": ""}, "menu"
        note = now.note or item.note
        await self._send(SendCaller(
            caller=now.caller, leg_id=now.leg_id, to=to, variables={**variables, **({"AC_NOTE": note} if note else {})}
        ))  # fmt: skip
        self._tell_transferred(now, target)
        return replace(now, doing=Doing.GONE, target=target)

    # --- verbs of others

    async def _fetch(self, order: Json) -> Json:
        """A parked caller, to the phone of whoever asks."""
        ix, extension = order["interaction_id"], order["by"]
        parked = self._parked.get(ix)
        if parked is None:
            mine = next((it for it in self._book.offers_to(extension) if it.item.interaction_id == ix), None)
            if mine is not None:
                return _view(_handling(mine))  # asked twice
            raise NotFound("parked call", ix)
        if any(it.purpose == "fetch" and it.extension == extension for it in self._book.offers_for(ix)):
            return {**_view(_handling(self._book.offers_for(ix)[0])), "doing": "ringing"}
        return await self._to_asker(parked.item, extension, "fetch", only_from="park")

    async def _take_over(self, order: Json) -> Json:
        """The caller, to a supervisor's own phone: the agent talks on until it is answered."""
        ix, extension = order["interaction_id"], order["by"]
        if not order["supervisor"]:
            raise Refused("Only supervisors may take a call over.", error_id="routing:supervisors-only")
        offer = self._book.talk_of(ix)
        if offer is None:
            raise NotFound("talk", ix)
        mine = next((it for it in self._book.offers_for(ix) if it.extension == extension), None)
        if mine is not None:
            return _view(_handling(mine))
        doing = self._handled[offer.offer_id].doing if offer.offer_id in self._handled else Doing.TALKING
        if doing is Doing.CONFERENCE:
            raise AftercallError(
                "routing:not-now", "There are three in this call.", hint="Barge in instead.", status=409
            )
        await self._supervision.leave(ix, extension)  # one phone, one call
        stage = "" if doing in (Doing.HELD, Doing.ASKING, Doing.ASKED) else "talk"
        before = self._handled.get(offer.offer_id) or _handling(offer)
        return await self._to_asker(offer.item, extension, "take_over", only_from=stage, before=before)

    async def _to_asker(
        self, item: WorkItem, extension: str, purpose: str, *, only_from: str, before: Handling | None = None
    ) -> Json:
        agent = own_phone(self._book, extension)
        if agent.state is State.WRAP_UP:
            self._wrap_ups.finish(extension, disposition="", note="", actor=f"rule:{purpose}")
        ring_s = self._book.policy(item.queue).ring_s
        offer, made = self._offers.direct(item, extension, purpose, ring_s)
        if before is not None:
            self._taken[offer.offer_id] = before
        try:
            await self._offers.show(offer, made)
            await self._ring(item, offer.leg_id, extension, ring_s, only_from=only_from)
        except Exception:
            self._taken.pop(offer.offer_id, None)
            self._offers.not_carried_out(offer)
            raise
        return {**_view(_handling(offer)), "doing": "ringing"}

    # --- who

    def _talk(self, order: Json, key: tuple[str, str]) -> Offer | None:
        """The talk the order is about; None when this very order has ended it before."""
        ix, by = order["interaction_id"], order["by"]
        talks = [it for it in self._book.offers_for(ix) if it.connected_at is not None]
        mine = next((it for it in talks if by and it.extension == by), None)
        if mine is not None and not (key in self._over and self._over[key].offer_id == mine.offer_id):
            return mine
        if key in self._over:
            return None
        if order["supervisor"] and talks:
            return talks[0]
        if talks or any(it.interaction_id == ix for it in self._handled.values()):
            raise Refused("This call is somebody else's.", error_id="routing:not-your-call")
        raise AftercallError(
            "routing:no-talk", "Nobody talks to this caller now.", hint="GET /api/calls shows who does.", status=409
        )

    def _offer_of(self, leg_id: str) -> Offer | None:
        return next((it for it in self._book.offers.values() if it.leg_id == leg_id), None)

    def may_call(self, number: str) -> str:
        """The number as it is dialled. Raises BadInput, AftercallError (`routing:number-refused`)."""
        return outside_number(number, self.outside, 0)

    def outside_call(self, number: str) -> str:
        """A call to the outside is about to be made, and counts. Raises as `outside_number`."""
        dialled = outside_number(number, self.outside, self._dialled_in_last_hour())
        self._dialled.append(self._book.clock.monotonic())
        return dialled

    def _dialled_in_last_hour(self) -> int:
        since = self._book.clock.monotonic() - HOUR_S
        while self._dialled and self._dialled[0] < since:
            self._dialled.popleft()
        return len(self._dialled)

    # --- to the switch

    async def _ring(
        self, item: WorkItem, leg_id: str, target: str, ring_s: float, *, with_leg: str = "", only_from: str = "",
        outside: bool = False,
    ) -> None:  # fmt: skip
        more = {"with_leg": with_leg} if with_leg else {}
        await self._send(RingLeg(
            interaction_id=item.interaction_id, leg_id=leg_id, caller=item.channel, target=target, ring_s=ring_s,
            epoch=self._offers.epoch, trunk=TRUNK if outside else "", only_from=only_from,
            caller_number="" if outside else item.ani, headers={"X-Aftercall-Queue": item.queue} if not outside else {},
            **more,
        ))  # fmt: skip

    async def _send(self, order: CallOrder) -> None:
        try:
            async with asyncio.timeout(ORDER_S):
                await self._telephony.carry_out(order)
        except TimeoutError as error:
            raise Unavailable("switch", "The telephone switch did not answer in time.") from error
        except (ActionRefused, AftercallError) as error:
            if isinstance(order, EndLeg) and getattr(error, "status", 0) != 503:
                return  # it has ended already
            raise

    async def _quietly(self, order: CallOrder) -> None:
        """Beside the loop: what fails is left to the dialplan, which goes on by itself."""
        try:
            await self._send(order)
        except Exception as error:
            structlog.get_logger().info("not_tidied", order=type(order).__name__, reason=str(error))

    def _remember(self, key: tuple[str, str], now: Handling) -> None:
        self._over[key] = now
        while len(self._over) > REMEMBERED:
            self._over.popitem(last=False)

    def _tell_transferred(self, now: Handling, target: Target, *, consult: bool = False) -> None:
        self._book.stream.emit(pbx.CallTransferred(
            interaction_id=now.interaction_id, at=self._book.clock.now(), extension=now.extension, to=target.name,
            to_kind=target.kind, consult=consult, note=now.note,
        ))  # fmt: skip


def _target(said: Json) -> Target:
    return Target(said["kind"], as_dialled(said["name"]) if said["kind"] == "number" else said["name"])


def _handling(offer: Offer) -> Handling:
    return Handling(
        offer.item.interaction_id,
        offer.offer_id,
        offer.extension,
        offer.leg_id,
        offer.item.channel,
        note=offer.item.note,
    )


def _view(now: Handling) -> Json:
    return {
        "interaction_id": now.interaction_id, "extension": now.extension, "doing": str(now.doing), "muted": now.muted,
        "target_kind": now.target.kind if now.target else "", "target": now.target.name if now.target else "",
    }  # fmt: skip
