"""A switch of cardboard for the owner of routing: callers, phones and legs, and the facts that `pbx` would tell of them.

The truth stands in `callers`, `legs` and `phones`; a fact is told once, when it becomes known. Facts can be lost (`deaf`)
and are then told by the list that is taken every ten seconds and after every new link, as the real switchboard does.
Satisfies `routing.ports.Telephony`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from core.clock import Clock
from core.events import DomainEvent, pbx
from core.events.stream import EventStream
from pbx.transfer import (
    CallCustomer,
    CallOrder,
    EndLeg,
    HoldCaller,
    JoinAll,
    JoinCaller,
    LeaveFor,
    LeaveRoom,
    ParkCaller,
    RingForCallback,
    RingLeg,
    SendCaller,
    SwapBack,
    SwapLegs,
)  # fmt: skip
from tests.unit.routing.switch_customers import Customers
from tests.unit.routing.switch_parts import (
    BUSY,
    CANCELLED,
    NO_ANSWER,
    NORMAL,
    NOT_THERE,
    REJECTED,
    Caller,
    Customer,
    Leg,
    LinkDown,
    Phone,
    Refused,
    Unclear,
)  # fmt: skip

SOON_S = 0.002
LIST_S = 10.0
QUALIFY_S = 17.0


class Switch(Customers):
    def __init__(self, stream: EventStream, clock: Clock, extensions: Iterable[str], *, lists: bool = True) -> None:
        self._stream, self._clock = stream, clock
        self._loop = asyncio.get_running_loop()
        self.marks: dict[str, dict[str, str]] = {}  # what was written on callers' channels
        self.callers: dict[str, Caller] = {}
        self.legs: dict[str, Leg] = {}
        self.phones = {extension: Phone(extension) for extension in extensions}
        self.holds: list[tuple[str, str, bool, datetime]] = []
        self.link = False
        self.deaf = False
        self.epoch = 1
        self.fails: list[Exception] = []  # what the next orders to ring come to
        self.orders: list[str] = []
        self.customers: dict[str, Customer] = {}
        self.reaches = True  # whether the trunk takes calls
        self.anis: dict[str, str] = {}
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.done: list[CallOrder] = []
        self.whispered: dict[str, list[str]] = {}
        self._told: set[str] = set()
        self._devices: dict[str, tuple[bool, bool]] = {}
        self._alarm: asyncio.TimerHandle | None = self._loop.call_later(LIST_S, self._list) if lists else None

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    # --- routing.ports.Telephony

    async def offer(
        self, *, offer_id: str, interaction_id: str, caller_channel: str, extension: str, ring_s: float, epoch: int,
        caller_number: str = "", caller_name: str = "", headers: Mapping[str, str] | None = None,
        whisper: Sequence[str] = (),
    ) -> str:  # fmt: skip
        await asyncio.sleep(SOON_S)
        if not self.link:
            raise LinkDown
        fault = self.fails.pop(0) if self.fails else None
        if isinstance(fault, Unclear):
            self.disconnect()
        elif fault is not None:
            raise fault
        self.whispered[f"{interaction_id}-{offer_id}"] = list(whisper)
        assert caller_channel == self.callers[interaction_id].channel
        leg = Leg(f"{interaction_id}-{offer_id}", offer_id, interaction_id, extension, epoch, self._clock.now())
        self._ring_phone(leg, ring_s)
        if fault is not None:
            raise fault
        return leg.leg_id

    def _ring_phone(self, leg: Leg, ring_s: float) -> None:
        extension = leg.extension
        phone = self.phones[extension]
        busy = phone.in_use or self.leg_of(extension) is not None
        self.legs[leg.leg_id] = leg
        self.orders.append(leg.leg_id)
        if not phone.reachable:
            self._end(leg, NOT_THERE)
        elif busy:
            self._end(leg, BUSY)
        else:
            if not phone.dead:
                leg.ringing_at = self._clock.now()
            self._loop.call_later(ring_s, self._rang_out, leg)
        self._loop.call_soon(self.tell)

    async def set_variables(self, channel: str, values: Mapping[str, str]) -> None:
        await asyncio.sleep(0)
        if not self.link:
            raise LinkDown
        self.marks.setdefault(channel, {}).update(values)

    async def carry_out(self, order: CallOrder) -> None:
        """As the dialplan does it: whoever is left of two goes on by themselves."""
        await asyncio.sleep(SOON_S)
        if not self.link:
            raise LinkDown
        if self.fails:
            raise self.fails.pop(0)
        self.done.append(order)
        match order:
            case RingForCallback():
                offer_id = order.headers["X-Aftercall-Offer"]
                made = Leg(order.leg_id, offer_id, order.interaction_id, order.target, order.epoch, self._clock.now(),
                           number=order.number)  # fmt: skip
                self._ring_phone(made, order.ring_s)
            case RingLeg():
                self._ring(order)
            case CallCustomer():
                self._call_customer(order)
            case EndLeg(leg_id=leg_id) if leg_id in self.customers:
                self.ended.append(leg_id)
                self.customer_hangs_up(leg_id)
            case EndLeg(leg_id=leg_id):
                self.ended.append(leg_id)
                leg = self.legs.get(leg_id)
                if leg is not None and leg.live:
                    self._end(leg, NORMAL)
                    self._left_over(leg.ix)
                elif leg is None or not leg.number:
                    raise Refused
            case HoldCaller(leg_id=leg_id) | SwapBack(leg_id=leg_id):
                self._held(leg_id, True)
            case JoinCaller(leg_id=leg_id) | SwapLegs(leg_id=leg_id) | LeaveRoom(leg_id=leg_id):
                self._held(leg_id, False)
            case LeaveFor(leg_id=leg_id) | ParkCaller(leg_id=leg_id):
                self.callers[self.legs[leg_id].ix].stage = "hold" if isinstance(order, LeaveFor) else "park"
                self._end(self.legs[leg_id], NORMAL)
            case SendCaller(leg_id=leg_id, variables=variables):
                leg = self.legs[leg_id]
                caller = self.callers[leg.ix]
                caller.stage, caller.queue = "wait", variables.get("AC_QUEUE", caller.queue)
                caller.note = variables.get("AC_NOTE", caller.note)
                caller.visits.append(self._clock.now())
                self.tell()
                self._end(leg, NORMAL)
            case JoinAll(leg_id=leg_id, other=other):
                self._held(leg_id, False)
                self.legs[other].connected_at = self._clock.now()
            case _:
                pass
        self.tell()

    def _held(self, leg_id: str, on: bool) -> None:
        leg = self.legs[leg_id]
        self.callers[leg.ix].stage = "hold" if on else "talk"
        self.holds.append((leg.ix, leg.extension, on, self._clock.now()))

    def _ring(self, order: RingLeg) -> None:
        offer_id = order.leg_id.removeprefix(f"{order.interaction_id}-")
        extension = order.target if not order.trunk else "trunk"
        leg = Leg(order.leg_id, offer_id, order.interaction_id, extension, order.epoch, self._clock.now())
        leg.only_from, leg.with_leg = order.only_from or "any", order.with_leg
        self.legs[leg.leg_id] = leg
        phone = self.phones.get(extension)
        if phone is not None and not phone.reachable:
            self._end(leg, NOT_THERE)
        else:
            leg.ringing_at = self._clock.now()
            self._loop.call_later(order.ring_s, self._rang_out, leg)

    def _left_over(self, ix: str) -> None:
        """A caller on hold goes to whoever of the two is left, and back into the queue when nobody is."""
        caller = self.callers.get(ix)
        if caller is None:
            return  # a callback: nobody is on the line
        left = [leg for leg in self.legs.values() if leg.ix == ix and leg.live]
        if caller.stage != "hold":
            return
        for leg in left:
            if leg.answered_at is not None:
                caller.stage, leg.connected_at = "talk", leg.connected_at or self._clock.now()
                return
        if not left:
            caller.stage = "wait"
            caller.visits.append(self._clock.now())

    async def send_away(self, channel: str, to: str) -> None:
        await asyncio.sleep(0)
        if not self.link:
            raise LinkDown
        caller = next(it for it in self.callers.values() if it.channel == channel)
        if caller.stage != "wait":
            raise Refused
        caller.stage = to

    async def cancel_offer(self, leg_id: str) -> None:
        if not self.link:
            raise LinkDown
        await asyncio.sleep(SOON_S)
        self.cancelled.append(leg_id)
        leg = self.legs.get(leg_id)
        if leg is not None and leg.live:
            self._end(leg, CANCELLED)
            self._left_over(leg.ix)
            self.tell()

    # --- what happens outside

    def arrive(
        self,
        ix: str,
        queue: str = "service",
        *,
        skills: Mapping[str, int] | None = None,
        priority: int = 0,
        ani: str = "",
        **ticket: Any,
    ) -> None:
        self.anis[ix] = ani
        self.callers[ix] = Caller(ix, queue, [self._clock.now()], dict(skills or {}), priority, ticket=ticket)
        self.tell()

    def leg_of(self, extension: str) -> Leg | None:
        """The leg that rings or talks at this phone."""
        return next((leg for leg in self.legs.values() if leg.extension == extension and leg.live), None)

    def answer(self, extension: str) -> None:
        """The phone that rings is answered; the dialplan joins the two, or ends a stale offer."""
        leg = self.leg_of(extension)
        if leg is None or leg.ringing_at is None or leg.answered_at is not None or self.phones[extension].dead:
            return
        leg.answered_at = self._clock.now()
        if leg.number:
            self.tell()
            if leg.epoch != self.epoch:
                self._end(leg, REJECTED)
                self.tell()
                return
            self._loop.call_later(3, self._nobody_was_called, leg)
            if self.link:
                self._stream.emit(pbx.CallbackLegReady(
                    interaction_id=leg.ix, at=self._clock.now(), leg_id=leg.leg_id, offer_id=leg.offer_id,
                    extension=leg.extension,
                ))  # fmt: skip
            return
        caller = self.callers[leg.ix]
        asker = self.legs.get(leg.with_leg)
        if leg.only_from:
            joins = leg.only_from in ("any", caller.stage) and leg.epoch == self.epoch
        else:
            joins = caller.stage == "wait" and leg.epoch == self.epoch
        if joins and asker is not None and asker.live:
            pass  # the two talk, the caller hears music
        elif joins:
            for other in self.legs.values():
                if leg.only_from and other is not leg and other.ix == leg.ix and other.live and caller.stage == "talk":
                    caller.stage = "hold"
                    self._end(other, NORMAL)
            caller.stage, leg.connected_at = "talk", self._clock.now()
        else:
            self._end(leg, REJECTED)
        self.tell()

    def decline(self, extension: str, cause: int = REJECTED) -> None:
        """Most phones say "busy here" (17) when their red button is pressed, some say "rejected"."""
        leg = self.leg_of(extension)
        if leg is not None and leg.ringing_at is not None and leg.answered_at is None:
            self._end(leg, cause)
            self._left_over(leg.ix)
            self.tell()

    def agent_hangs_up(self, extension: str) -> None:
        leg = self.leg_of(extension)
        if leg is not None and leg.answered_at is not None:
            self._end(leg, NORMAL)
            self._left_over(leg.ix)
            self.tell()

    def caller_hangs_up(self, ix: str) -> None:
        caller = self.callers[ix]
        if caller.stage != "gone":
            held = caller.stage == "hold"
            caller.stage, caller.ended_at = "gone", self._clock.now()
            for leg in self.legs.values():
                if leg.ix == ix and leg.live and leg.connected_at is not None and not held:
                    self._end(leg, NORMAL)
            self.tell()

    def sent_back(self, extension: str) -> None:
        """The agent sends the caller back into the queue: the caller waits again before the agent's leg is gone."""
        leg = self.leg_of(extension)
        if leg is not None and leg.connected_at is not None:
            caller = self.callers[leg.ix]
            caller.stage = "wait"
            caller.visits.append(self._clock.now())
            self.tell()
            self._end(leg, NORMAL)
            self.tell()

    def hold(self, extension: str, on: bool) -> None:
        leg = self.leg_of(extension)
        if leg is not None and leg.connected_at is not None:
            self.holds.append((leg.ix, extension, on, self._clock.now()))
            self.tell()

    def own_call(self, extension: str, on: bool) -> None:
        self.phones[extension].in_use = on
        self.tell()

    def unplug(self, extension: str) -> None:
        """The phone is gone without a word; its registration is found dead after a while."""
        phone = self.phones[extension]
        if not phone.dead:
            phone.dead = True
            self._loop.call_later(QUALIFY_S, self._found_dead, phone)

    def plug_in(self, extension: str) -> None:
        self.phones[extension].dead, self.phones[extension].reachable = False, True
        self.tell()

    def feature(self, extension: str, code: str, argument: str = "") -> None:
        self._stream.emit(
            pbx.FeatureCodeDialled(at=self._clock.now(), extension=extension, code=code, argument=argument)
        )

    # --- the link

    def connect(self) -> None:
        self.link = True
        self.tell(listed=True)
        self._stream.emit(pbx.SwitchLinkChanged(at=self._clock.now(), node="n1", up=True))

    def disconnect(self) -> None:
        self.link = False
        self._stream.emit(pbx.SwitchLinkChanged(at=self._clock.now(), node="n1", up=False, reason="gone"))

    def forget_what_was_told(self) -> None:
        """A new process of ours: what lives will be told anew by its first list, what ended was not seen; phones that ring
        for a process that is gone are stopped."""
        self.link = False
        for leg in self.legs.values():
            if leg.live and leg.answered_at is None:
                self._end(leg, CANCELLED)
        gone = {leg.leg_id for leg in self.legs.values() if not leg.live}
        keys = {key for key, _ in self._news()}
        self._told = {
            key for key in keys if key.partition("|")[2] in gone or (key.startswith("ended|") and key in self._told)
        }
        talking = {caller.ix for caller in self.callers.values() if caller.stage == "talk"}
        self._told |= {key for key in keys if key.startswith("visit|") and key.rpartition("|")[2] in talking}
        self._told |= {key for key in keys if key.startswith("hold|")}
        self._devices.clear()

    # --- telling

    def tell(self, *, listed: bool = False) -> None:
        if not self.link or (self.deaf and not listed):
            return
        for phone in self.phones.values():
            now = (phone.reachable, phone.in_use)
            if self._devices.get(phone.extension) != now:
                self._devices[phone.extension] = now
                self._stream.emit(pbx.AgentDeviceChanged(
                    at=self._clock.now(), extension=phone.extension, reachable=now[0], in_use=now[1]
                ))  # fmt: skip
        for key, fact in self._news():
            if key not in self._told:
                self._told.add(key)
                self._stream.emit(fact)

    def _news(self) -> Iterator[tuple[str, DomainEvent]]:
        """All facts of the truth, each under its key; of a call in the order of a usual one."""
        yield from self._callbacks()
        for caller in list(self.callers.values()):
            for number, at in enumerate(caller.visits, 1):
                if caller.stage != "gone":
                    yield f"visit|{number}|{caller.ix}", pbx.CallWaiting(
                        interaction_id=caller.ix, at=at, channel=caller.channel, queue=caller.queue,
                        enqueued_at=caller.visits[0], priority=caller.priority, skills=dict(caller.skills),
                        note=caller.note,
                        ani=self.anis.get(caller.ix, ""), told=self.marks.get(caller.channel, {}).get("AC_SAY", ""),
                        **caller.ticket,
                    )  # fmt: skip
            for leg in list(self.legs.values()):
                if leg.ix == caller.ix:
                    yield from _leg_news(leg)
            for ix, extension, on, at in self.holds:
                if ix == caller.ix:
                    kind = pbx.CallHeld if on else pbx.CallResumed
                    yield f"hold|{at.isoformat()}|{ix}", kind(interaction_id=ix, at=at, extension=extension)
            if caller.ended_at is not None:
                yield (
                    f"ended|{caller.ix}",
                    pbx.CallEnded(interaction_id=caller.ix, at=caller.ended_at, reason="caller_hangup"),
                )

    def _callbacks(self) -> Iterator[tuple[str, DomainEvent]]:
        for leg in list(self.legs.values()):
            if leg.number and leg.ix not in self.customers:
                yield from _leg_news(leg)
        for it in list(self.customers.values()):
            yield (
                f"arrived|{it.ix}",
                pbx.CallArrived(
                    interaction_id=it.ix, at=it.called_at, ani=it.number, dnis="", channel=f"PJSIP/trunk-{it.ix}"
                ),
            )
            if it.answered_at is not None:
                yield (
                    f"picked-up|{it.ix}",
                    pbx.CallAnswered(interaction_id=it.ix, at=it.answered_at, channel=f"PJSIP/trunk-{it.ix}"),
                )
            if it.ended_at is not None and it.answered_at is None:  # their end comes before that of the leg that waits
                yield f"ended|{it.ix}", pbx.CallEnded(interaction_id=it.ix, at=it.ended_at, reason=it.reason)
            for leg in list(self.legs.values()):
                if leg.ix == it.ix:
                    yield from _leg_news(leg)
            if it.ended_at is not None:
                yield f"ended|{it.ix}", pbx.CallEnded(interaction_id=it.ix, at=it.ended_at, reason=it.reason)

    def _list(self) -> None:
        self._alarm = self._loop.call_later(LIST_S, self._list)
        self.tell(listed=True)

    def _rang_out(self, leg: Leg) -> None:
        if leg.live and leg.answered_at is None:
            self._end(leg, NO_ANSWER)
            self._left_over(leg.ix)
            self.tell()

    def _found_dead(self, phone: Phone) -> None:
        if phone.dead:
            phone.reachable = False
            self.tell()

    def _end(self, leg: Leg, cause: int) -> None:
        leg.ended_at, leg.cause = self._clock.now(), cause
        if leg.number:
            customer = self.customers.get(leg.ix)
            if customer is not None and customer.answered_at is not None and customer.ended_at is None:
                customer.ended_at, customer.reason = leg.ended_at, "agent_hangup"
            return
        caller = self.callers[leg.ix]
        others = [it for it in self.legs.values() if it.ix == leg.ix and it.live and it.connected_at is not None]
        if leg.connected_at is not None and caller.stage == "talk" and not others:
            caller.stage, caller.ended_at = "gone", leg.ended_at


def _leg_news(leg: Leg) -> Iterator[tuple[str, DomainEvent]]:
    ids = {"interaction_id": leg.ix, "leg_id": leg.leg_id, "offer_id": leg.offer_id, "extension": leg.extension}
    if leg.ringing_at is not None:
        yield f"ringing|{leg.leg_id}", pbx.LegRinging(at=leg.ringing_at, **ids)
    if leg.answered_at is not None:
        yield f"answered|{leg.leg_id}", pbx.LegAnswered(at=leg.answered_at, **ids)
    if leg.connected_at is not None:
        yield f"connected|{leg.leg_id}", pbx.CallConnected(at=leg.connected_at, **ids)
    if leg.ended_at is not None:
        answered = leg.answered_at is not None
        yield f"legended|{leg.leg_id}", pbx.LegEnded(at=leg.ended_at, cause=leg.cause, answered=answered, **ids)
