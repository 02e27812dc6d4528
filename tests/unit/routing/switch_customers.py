"""The cardboard switch's outside: customers who are called back, and callers who ask for it with a key."""

from __future__ import annotations

from typing import Any

from core.events import pbx
from pbx.transfer import CallCustomer
from tests.unit.routing.switch_parts import NORMAL, Caller, Customer, Leg, Refused


class Customers:
    """What `Switch` does with them: a part of it, and nothing by itself."""

    customers: dict[str, Customer]
    callers: dict[str, Caller]
    legs: dict[str, Leg]
    marks: dict[str, dict[str, str]]
    anis: dict[str, str]
    reaches: bool
    tell: Any
    caller_hangs_up: Any
    _clock: Any
    _end: Any
    _loop: Any
    _stream: Any

    def _call_customer(self, order: CallCustomer) -> None:
        known = self.customers.get(order.interaction_id)
        leg = self.legs.get(order.leg_id)
        if (known is not None and known.ended_at is None) or not self.reaches:
            raise Refused
        assert leg is not None and leg.answered_at is not None, "nobody is called for whom no agent waits"
        assert order.interaction_id not in self.customers, "one turn, one call"
        customer = Customer(order.interaction_id, order.number, order.leg_id, self._clock.now())
        self.customers[order.interaction_id] = customer
        self._loop.call_later(order.ring_s, self._customer_rang_out, customer)
        self._loop.call_soon(self.tell)

    def calls(self) -> list[Customer]:
        """Customers who are called or talked to now."""
        return [it for it in self.customers.values() if it.ended_at is None]

    def customer_answers(self, ix: str) -> None:
        customer, leg = self.customers[ix], self.legs[self.customers[ix].leg_id]
        if customer.ended_at is None and leg.live:
            customer.answered_at = leg.connected_at = self._clock.now()
            self.tell()

    def customer_hangs_up(self, ix: str, reason: str = "caller_hangup") -> None:
        """Busy, refused, no answer, or after a talk: their channel is gone, and the agent who waited is let go."""
        customer, leg = self.customers[ix], self.legs[self.customers[ix].leg_id]
        if customer.ended_at is None:
            customer.ended_at, customer.reason = self._clock.now(), reason
            if leg.live:
                self._end(leg, NORMAL)
            self.tell()

    def _customer_rang_out(self, customer: Customer) -> None:
        if customer.answered_at is None:
            self.customer_hangs_up(customer.ix, "no_answer")

    def press(self, ix: str) -> None:
        """A waiting caller asks to be called back; hears the promise and goes, or waits on."""
        caller = self.callers[ix]
        caller.stage = "callback"
        self._stream.emit(pbx.CallbackAsked(
            interaction_id=ix, at=self._clock.now(), channel=caller.channel, ani=self.anis.get(ix, "")
        ))  # fmt: skip
        self._loop.call_later(4, self._promised, caller)

    def _promised(self, caller: Caller) -> None:
        if caller.stage != "callback":
            return
        if self.marks.get(caller.channel, {}).get("AC_PROMISED") == "1":
            self.caller_hangs_up(caller.ix)
        else:
            caller.stage = "wait"
            caller.visits.append(self._clock.now())
            self.tell()

    def _nobody_was_called(self, leg: Leg) -> None:
        if leg.live and leg.ix not in self.customers:
            self._end(leg, NORMAL)
            self.tell()
