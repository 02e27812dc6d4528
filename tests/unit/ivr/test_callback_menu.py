"""A menu that offers a callback: the promise is heard only when it was made, whatever becomes of whoever makes it."""

from __future__ import annotations

import asyncio

import pytest

from core.clock import ManualClock
from ivr.catalogue import FlowCatalogue
from ivr.ports import CallbackDesk, CallbackRequest, NoCallbacks
from ivr.runner import Runner
from tests.unit.ivr.build import AT, DID, KNOWN, Desk, Events, Queues
from tests.unit.ivr.line import VirtualLine
from tests.virtual import virtual_time

FLOW = """
name: sample
start: offer
person: person
nodes:
  offer:
    type: callback
    queue: service
    say: [callback-offer]
    exits: {booked: bye, refused: person, not-possible: person}
  bye: {type: hangup, say: [callback-promised]}
  person: {type: handoff, queue: service, say: [connecting]}
"""


class Promises:
    """Books, or answers as told; `hangs` at the booking."""

    def __init__(self, *, refusal: str = "", booking: str | Exception = "", hangs: bool = False) -> None:
        self.why, self.booking, self.hangs = refusal, booking, hangs
        self.booked: list[CallbackRequest] = []

    async def refusal(self, request: CallbackRequest) -> str:
        return self.why

    async def book(self, request: CallbackRequest) -> str:
        self.booked.append(request)
        if self.hangs:
            await asyncio.Event().wait()
        if isinstance(self.booking, Exception):
            raise self.booking
        return self.booking


def menu(callbacks: CallbackDesk) -> Runner:
    catalogue = FlowCatalogue({DID: "sample"}, Events(), ManualClock(AT), known=KNOWN)
    catalogue.publish(FLOW, "sample.yaml")
    return Runner(catalogue, Desk(), Queues(), Events(), ManualClock(AT), callbacks=callbacks)


@virtual_time
async def test_who_accepts_is_booked_once_hears_the_promise_and_may_hang_up() -> None:
    desk, line = Promises(), VirtualLine(("callback-offer", "1"))
    end = await menu(desk).run(line, did=DID, ani="13900000001", interaction_id="x", language="zh")
    assert line.heard == ["callback-offer", "callback-promised"] and end.exit == "hangup"
    (booked,) = desk.booked
    assert (booked.number, booked.queue, booked.interaction_id) == ("13900000001", "service", "x")


@pytest.mark.parametrize(
    ("desk", "heard"),
    [
        (Promises(booking="not now"), ["callback-offer", "connecting"]),
        (Promises(booking=RuntimeError("gone")), ["callback-offer", "connecting"]),
        (Promises(hangs=True), ["callback-offer", "connecting"]),
        (Promises(refusal="no number"), ["connecting"]),
        (NoCallbacks(), ["connecting"]),
    ],
    ids=["refused", "broken", "hanging", "not possible", "nobody"],
)
def test_without_a_promise_that_was_made_none_is_heard(desk: CallbackDesk, heard: list[str]) -> None:
    @virtual_time
    async def call() -> None:
        line = VirtualLine(("callback-offer", "1"))
        end = await menu(desk).run(line, did=DID, ani="", interaction_id="x")
        assert (line.heard, end.exit) == (heard, "handoff")

    call()
