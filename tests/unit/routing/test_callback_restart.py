"""Killed between request and turn, while a phone rings, in mid talk: what was promised is kept, nobody is called twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from core.events import DomainEvent, pbx
from pbx.store import InteractionProjector
from routing.callbacks import store
from routing.callbacks.model import State
from routing.callbacks.store import Missed, Pending
from routing.callbacks.where import Where
from tests.unit.routing.database import copy, rebuilt, sqlite
from tests.unit.routing.house import AGENTS, House, queue, record
from tests.unit.routing.test_callbacks import ANI, IX, IY, RULES, prepare
from tests.virtual import START, VirtualLoop


def read(events: Sequence[DomainEvent]) -> tuple[Pending, list[Missed]]:
    """What stands in the database after these events."""

    async def reading() -> tuple[Pending, list[Missed]]:
        async with sqlite() as conn:
            await copy(conn, events)
            await InteractionProjector().project(conn, events)
            where = Where("CN", START.tzinfo)  # type: ignore[arg-type]
            return await store.pending(conn), await store.missed(conn, START - timedelta(days=1), where.key)

    return asyncio.run(reading())


class Box:
    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop

        async def building() -> None:
            self.it = House([record(extension) for extension in AGENTS], [queue(callback=RULES)])
            prepare(self.it)
            self.it.start()

        loop.run_until_complete(building())
        self.do(lambda: self.it.switch.connect())

    def do(self, act: object, then_s: float = 0.1) -> None:
        async def doing() -> None:
            act()  # type: ignore[operator]

        self.loop.run_until_complete(doing())
        self.loop.live(then_s)

    def kill(self, *, for_s: float = 2.0) -> None:
        self.loop.run_until_complete(self.it.stop())
        self.it.switch.link = False
        self.loop.live(for_s)

    def come_back(self) -> None:
        it = self.it
        it.switch.forget_what_was_told()
        said, unfinished = rebuilt(it.told.events, it.clock.now())
        pending, _ = read(it.told.events)
        it.acd = it.new_owner()
        prepare(it)

        def restoring() -> None:
            it.acd.restore(said, unfinished)
            it.acd.callbacks.restore(pending.entries, up=pending.up, over=pending.over)

        self.do(restoring)
        it.start_on(self.loop)
        self.do(it.switch.connect)

    @property
    def missed(self) -> list[Missed]:
        return read(self.it.told.events)[1]

    def asks(self) -> None:
        self.do(lambda: self.it.switch.arrive(IX, ani=ANI), 20)
        self.do(lambda: self.it.switch.press(IX), 5)

    def customer_rings(self) -> str:
        self.do(lambda: self.it.ready("101"), 1)
        self.do(lambda: self.it.switch.answer("101"), 1)
        (customer,) = self.it.switch.calls()
        return customer.ix

    def entry(self) -> object:
        (entry,) = self.it.acd.callbacks.entries()
        return entry


@pytest.fixture
def box() -> Iterator[Box]:
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    it = Box(loop)
    yield it
    loop.run_until_complete(it.it.end())
    loop.close()
    asyncio.set_event_loop(None)


def test_an_entry_keeps_its_place_through_a_kill(box: Box) -> None:
    box.asks()
    before = box.it.acd.callbacks.entries()[0]
    box.do(lambda: box.it.switch.arrive(IY), 5)
    box.kill()
    box.come_back()
    after = box.it.acd.callbacks.entries()[0]
    assert (after.callback_id, after.number, after.item.enqueued_at, after.first_id) == (
        before.callback_id, before.number, before.item.enqueued_at, IX,
    )  # fmt: skip
    assert after.call_id != before.call_id
    ix = box.customer_rings()
    assert box.it.told.last("CallbackCalled").interaction_id == ix == after.call_id


def test_killed_while_an_agents_phone_rings_it_rings_again_and_the_customer_is_called_once(box: Box) -> None:
    box.asks()
    box.do(lambda: box.it.ready("101"), 1)
    assert box.it.switch.leg_of("101") is not None
    box.kill()
    box.come_back()
    box.do(lambda: None, 2)
    box.do(lambda: box.it.switch.answer("101"), 1)
    assert len(box.it.switch.customers) == 1


def test_killed_while_the_customers_phone_rings_the_agent_is_still_theirs_and_they_are_joined(box: Box) -> None:
    box.asks()
    ix = box.customer_rings()
    box.kill()
    box.come_back()
    assert box.it.state("101") == "ENGAGED" and box.it.acd.callbacks.entries()[0].state is State.CALLING
    box.do(lambda: box.it.switch.customer_answers(ix), 1)
    assert box.it.acd.callbacks.entries()[0].state is State.TALKING
    box.do(lambda: box.it.switch.agent_hangs_up("101"), 1)
    assert box.it.told.last("CallbackEnded").outcome == "served" and box.it.state("101") == "WRAP_UP"
    assert len(box.it.switch.customers) == 1 and box.missed == []


def test_not_answered_while_nobody_of_ours_was_there_it_counts_and_is_tried_again_later(box: Box) -> None:
    box.asks()
    ix = box.customer_rings()
    box.kill(for_s=0.5)
    box.it.switch.customers[ix].ended_at = box.it.clock.now()
    box.it.switch.customers[ix].reason = "unseen"
    box.loop.run_until_complete(asyncio.sleep(0))
    leg = box.it.switch.leg_of("101")
    assert leg is not None
    box.it.switch._end(leg, 16)
    box.loop.live(1)
    box.come_back()
    entry = box.it.acd.callbacks.entries()[0]
    assert (entry.state, entry.attempts, entry.reason) == (State.WAITING, 1, "unclear")
    box.do(lambda: None, 590)
    assert len(box.it.switch.customers) == 1
    box.do(lambda: None, 30)
    assert box.it.state("101") in ("RESERVED", "NOT_READY(rona)", "READY")
    assert any(leg.number and leg.made_at > entry.next_at for leg in box.it.switch.legs.values())  # type: ignore[operator]


def test_told_to_be_called_and_killed_before_the_order_left_they_are_not_called_at_once(box: Box) -> None:
    box.asks()
    box.it.switch.reaches = False
    box.do(lambda: box.it.ready("101"), 1)
    box.do(lambda: box.it.switch.answer("101"), 0.01)
    assert box.it.told.all("CallbackCalled") and not box.it.switch.customers
    box.kill(for_s=10)
    box.it.switch.reaches = True
    box.come_back()
    entry = box.it.acd.callbacks.entries()[0]
    assert (entry.state, entry.attempts, entry.reason) == (State.WAITING, 1, "unclear")
    assert not box.it.switch.customers


def test_a_talk_that_ended_while_we_were_away_was_a_talk(box: Box) -> None:
    box.asks()
    ix = box.customer_rings()
    box.do(lambda: box.it.switch.customer_answers(ix), 10)
    box.kill(for_s=1)
    box.it.switch.customer_hangs_up(ix)
    box.come_back()
    assert box.it.told.last("CallbackEnded").outcome == "served"
    assert not box.it.acd.callbacks.entries()


def test_missed_callers_stand_there_once_until_they_are_served(box: Box) -> None:
    def abandons(ix: str, ani: str) -> None:
        """The switchboard tells of the arrival, which the cardboard one does not."""
        now = box.it.clock.now()
        arrived = pbx.CallArrived(interaction_id=ix, at=now, ani=ani, dnis="1", channel="c")
        box.do(lambda: box.it.stream.emit(arrived))
        box.do(lambda: box.it.switch.arrive(ix, ani=ani), 5)
        box.do(lambda: box.it.switch.caller_hangs_up(ix), 1)

    abandons("n1-7.7", "13900000007")
    abandons("n1-8.8", "+86 139 0000 0007")
    abandons("n1-9.9", "13900000009")
    abandons("n1-10.10", "")
    assert [(it.number, it.reason, it.times) for it in box.missed] == [
        ("13900000009", "abandoned", 1), ("+86 139 0000 0007", "abandoned", 2)
    ]  # fmt: skip
    box.do(lambda: box.it.acd.callbacks.request("13900000009", "service", by="user:anna"))
    assert [it.times for it in box.missed] == [2], "who is to be called back is not missed"
    ix = box.customer_rings()
    box.do(lambda: box.it.switch.customer_answers(ix), 5)
    box.do(lambda: box.it.switch.agent_hangs_up("101"), 1)
    assert [it.times for it in box.missed] == [2]
