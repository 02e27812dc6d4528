"""Callbacks on virtual time: the place is kept, the agent comes first, one entry of a number, one call for a turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.errors import AftercallError, NotFound
from routing.callbacks.model import State
from routing.callbacks.where import Where
from routing.calls.model import OutsideRules
from routing.policy.model import CallbackRules, Overflow
from tests.unit.routing.house import House, house, queue
from tests.virtual import START, never, until, virtual_time

IX, IY, IZ = "n1-1.1", "n1-2.2", "n1-3.3"
ANI, OTHER = "13900000001", "13900000002"
RULES = CallbackRules(offer_after_s=10, attempts=3, retry_after_s=600, ring_s=30, window="00:00-24:00")


@asynccontextmanager
async def open_house(*ready: str, rules: CallbackRules = RULES, **more: Any) -> AsyncIterator[House]:
    async with house(*ready, queues=[queue(callback=rules, **more)]) as it:
        prepare(it)
        yield it


def prepare(it: House) -> None:
    it.acd.calls.outside = OutsideRules(("139",), 100, 30)
    it.acd.callbacks.where = Where("CN", ZoneInfo("Asia/Shanghai"))


async def asks(it: House, ix: str = IX, ani: str = ANI, *, waits_s: float = 20) -> None:
    it.switch.arrive(ix, ani=ani)
    await it.live(waits_s)
    it.switch.press(ix)
    await it.live(5)


async def rings(it: House, extension: str = "101") -> None:
    await until(lambda: it.switch.leg_of(extension) is not None and it.switch.leg_of(extension).ringing_at, within_s=60)


async def called(it: House) -> str:
    """The customer who is called now."""
    await until(lambda: it.switch.calls(), within_s=60)
    return it.switch.calls()[0].ix


@virtual_time
async def test_a_caller_who_asks_keeps_their_place_while_nobody_is_on_the_line() -> None:
    async with open_house() as it:
        began = it.clock.now()
        await asks(it)
        it.switch.arrive(IY)
        await it.live(30)
        assert it.switch.callers[IX].stage == "gone" and not it.told.all("ItemAbandoned")
        (entry,) = it.acd.callbacks.entries()
        assert (entry.item.enqueued_at, entry.first_id, entry.number) == (began, IX, ANI)
        it.ready("101")
        await rings(it)
        leg = it.switch.leg_of("101")
        assert leg is not None and leg.number == ANI, "before the one who came later"
        assert it.told.last("OfferMade").waited_s == pytest.approx(55, abs=1)
        assert not it.switch.customers, "nobody is called before the agent has answered"
        it.switch.answer("101")
        ix = await called(it)
        assert it.state("101") == "ENGAGED"
        await it.live(8)
        it.switch.customer_answers(ix)
        await it.live()
        assert it.told.all("CallbackReached", callback_id=entry.callback_id)
        it.switch.agent_hangs_up("101")
        await it.live()
        assert it.told.last("CallbackEnded").outcome == "served" and it.told.last("CallbackEnded").interaction_id == IX
        assert it.state("101") == "WRAP_UP" and not it.acd.callbacks.entries()
        assert it.told.last("SegmentEnded").reason == "talked"


@virtual_time
async def test_nobody_is_called_before_it_is_written_down_that_they_are() -> None:
    async with open_house("101") as it:
        on_disk = asyncio.Event()
        it.acd.callbacks.written = on_disk.wait
        it.acd.callbacks.request(ANI, "service", by="user:anna")
        await rings(it)
        it.switch.answer("101")
        await it.live(1)
        assert it.told.all("CallbackCalled") and not it.switch.customers
        on_disk.set()
        assert await called(it) == it.told.last("CallbackCalled").interaction_id


@virtual_time
async def test_a_disk_that_does_not_take_it_or_an_agent_who_has_gone_costs_the_customer_a_while_and_no_attempt() -> (
    None
):
    async with open_house("101") as it:
        on_disk = asyncio.Event()

        async def fails() -> None:
            raise TimeoutError

        async def outlasts_the_agent() -> None:
            it.switch.agent_hangs_up("101")
            await on_disk.wait()

        it.acd.callbacks.request(ANI, "service", by="user:anna")
        for written in (fails, outlasts_the_agent):
            on_disk.clear()
            it.acd.callbacks.written = written
            await rings(it)
            it.switch.answer("101")
            await it.live(1)
            on_disk.set()
            await it.live(1)
            missed = it.told.last("CallbackMissed")
            assert (missed.reason, missed.attempt, it.state("101")) == ("switch_unavailable", 0, "READY")
            assert not it.switch.customers


@virtual_time
async def test_the_key_is_told_of_after_a_while_and_only_to_whom_it_would_help() -> None:
    async with open_house() as it:
        it.switch.arrive(IX, ani=ANI)
        it.switch.arrive(IY, ani="00900123456")
        await it.live(9)
        assert not it.switch.marks
        await it.live(2)
        assert it.switch.marks == {it.switch.callers[IX].channel: {"AC_CALLBACK": "offer"}}
        it.switch.press(IY)
        await it.live(5)
        assert it.switch.callers[IY].stage == "wait", "who cannot be called back waits on"
        assert set(it.acd.book.waiting) == {IX, IY}


@pytest.mark.parametrize("reason", ["no_answer", "busy", "refused", "unreachable"])
def test_who_is_not_reached_is_tried_again_and_then_given_up(reason: str) -> None:
    @virtual_time
    async def run() -> None:
        async with open_house("101") as it:
            it.acd.callbacks.request(ANI, "service", by="user:anna")
            ends = []
            for _ in range(3):
                await rings_within(it, 700)
                it.switch.answer("101")
                ix = await called(it)
                await it.live(2)
                if reason != "no_answer":
                    it.switch.customer_hangs_up(ix, reason)
                await until(lambda ix=ix: it.switch.customers[ix].ended_at, within_s=40)  # type: ignore[misc]
                ends.append(it.clock.now())
                await it.live()
                assert it.state("101") == "READY", "nobody is to blame, and there is nothing to write down"
            assert all(later - sooner >= timedelta(seconds=600) for sooner, later in zip(ends, ends[1:], strict=False))
            told = it.told.last("CallbackEnded")
            assert (told.outcome, told.reason, told.attempts) == ("given_up", reason, 3)
            assert [e.attempt for e in it.told.all("CallbackMissed")] == [1, 2, 3]
            assert len({customer.ix for customer in it.switch.customers.values()}) == 3
            await it.live(3000)
            assert it.switch.leg_of("101") is None

    run()


async def rings_within(it: House, seconds: float) -> None:
    for _ in range(int(seconds * 2)):
        if it.switch.leg_of("101") is not None:
            return
        await it.live(0.5)
    raise TimeoutError


@virtual_time
async def test_while_one_is_tried_again_later_others_are_served_and_then_it_is_the_first() -> None:
    async with open_house("101") as it:
        entry = it.acd.callbacks.request(ANI, "service", by="user:anna")
        await rings(it)
        it.switch.answer("101")
        it.switch.customer_hangs_up(await called(it), "busy")
        await it.live(1)
        it.switch.arrive(IX)
        await rings(it)
        assert it.switch.leg_of("101").ix == IX  # type: ignore[union-attr]
        it.switch.answer("101")
        await it.live(700)
        it.switch.arrive(IY)
        it.switch.agent_hangs_up("101")
        await it.live(25)
        leg = it.switch.leg_of("101")
        assert leg is not None and leg.number == ANI
        assert it.acd.callbacks.entries()[0].item.enqueued_at == entry.item.enqueued_at


@virtual_time
async def test_never_more_customers_are_called_than_agents_wait_for_them() -> None:
    async with open_house("101", "102") as it:
        for number in range(6):
            it.acd.callbacks.request(f"1390000010{number}", "service", by="user:anna")
        for _ in range(40):
            for extension in ("101", "102", "103"):
                it.switch.answer(extension)
            await it.live(1)
            waiting = [leg for leg in it.switch.legs.values() if leg.live and leg.answered_at is not None]
            assert len(it.switch.calls()) <= len(waiting) <= 2
        assert len(it.switch.customers) >= 4


@virtual_time
async def test_two_entries_of_one_number_are_one_with_the_older_wait() -> None:
    async with open_house() as it:
        await asks(it)
        began = it.acd.callbacks.entries()[0].item.enqueued_at
        again = it.acd.callbacks.request("139 0000-0001", "service", by="user:anna", note="urgent")
        assert again.item.enqueued_at == began and again.item.note == "urgent"
        assert len(it.acd.callbacks.entries()) == 1 and len(it.acd.book.waiting) == 1
        it.acd.callbacks.request(OTHER, "service", by="user:anna")
        assert len(it.acd.book.waiting) == 2


@virtual_time
async def test_who_calls_in_meanwhile_has_the_better_place_and_is_not_called() -> None:
    async with open_house() as it:
        await asks(it)
        began = it.acd.callbacks.entries()[0].item.enqueued_at
        it.switch.arrive(IY, ani=OTHER)
        await it.live(10)
        it.switch.arrive(IZ, ani=ANI)
        await it.live(1)
        assert it.acd.book.waiting[IZ].enqueued_at == began and not it.acd.callbacks.entries()
        assert it.told.last("CallbackEnded").outcome == "called_in"
        assert it.switch.marks[it.switch.callers[IZ].channel]["AC_AT"] == str(int(began.timestamp() * 1000))
        it.ready("101")
        await rings(it)
        assert it.switch.leg_of("101").ix == IZ  # type: ignore[union-attr]


@virtual_time
async def test_who_calls_in_while_the_agents_phone_rings_for_them_gets_that_agent() -> None:
    async with open_house("101") as it:
        it.acd.callbacks.request(ANI, "service", by="user:anna")
        await rings(it)
        it.switch.arrive(IX, ani=ANI)
        await it.live(1)
        leg = it.switch.leg_of("101")
        assert leg is not None and leg.ix == IX
        assert it.told.last("OfferCancelled").reason == "callback_ended" and not it.switch.customers


@virtual_time
async def test_an_agent_who_does_not_answer_leaves_the_entry_at_the_head() -> None:
    async with open_house("101", "102") as it:
        it.acd.callbacks.request(ANI, "service", by="user:anna")
        await rings(it)
        await it.live(16)
        assert it.state("101") == "NOT_READY(rona)"
        await rings(it, "102")
        assert it.switch.leg_of("102").number == ANI and not it.switch.customers  # type: ignore[union-attr]


@virtual_time
async def test_an_agent_who_hangs_up_before_the_customer_answers_stops_that_call() -> None:
    async with open_house("101") as it:
        it.acd.callbacks.request(ANI, "service", by="user:anna")
        await rings(it)
        it.switch.answer("101")
        ix = await called(it)
        await it.live(3)
        it.switch.agent_hangs_up("101")
        await it.live(0.5)
        assert it.switch.customers[ix].ended_at is not None
        assert it.told.last("CallbackMissed").reason == "agent_gone"
        await never(lambda: it.switch.calls(), for_s=55)
        await rings_within(it, 10)


@virtual_time
async def test_a_trunk_that_takes_no_calls_costs_the_customer_nothing() -> None:
    async with open_house("101") as it:
        it.switch.reaches = False
        it.acd.callbacks.request(ANI, "service", by="user:anna")
        for _ in range(4):
            await rings_within(it, 60)
            it.switch.answer("101")
            await it.live(5)
            assert it.state("101") == "READY"
        assert it.acd.callbacks.entries()[0].attempts == 0
        it.switch.reaches = True
        await rings_within(it, 60)
        it.switch.answer("101")
        await called(it)


@virtual_time
async def test_a_machine_that_answers_counts_as_nobody() -> None:
    async with open_house("101") as it:
        entry = it.acd.callbacks.request(ANI, "service", by="user:anna")
        await rings(it)
        it.switch.answer("101")
        ix = await called(it)
        it.switch.customer_answers(ix)
        await it.live()
        it.acd.callbacks.do({"what": "voicemail", "callback_id": entry.callback_id})
        it.switch.agent_hangs_up("101")
        await it.live()
        assert it.told.last("CallbackMissed").reason == "voicemail"
        assert it.acd.callbacks.entries()[0].state is State.WAITING


@virtual_time
async def test_customers_are_called_in_their_own_daytime() -> None:
    """It is 09:00 UTC: 17:00 in Shanghai, 01:00 in Los Angeles."""
    async with open_house("101", rules=CallbackRules(window="09:00-18:00")) as it:
        it.acd.calls.outside = OutsideRules(("",), 100, 30)
        far = it.acd.callbacks.request("+12133734253", "service", by="user:anna")
        assert far.next_at is not None and far.next_at == START + timedelta(hours=8)
        near = it.acd.callbacks.request(ANI, "service", by="user:anna")
        assert near.next_at is None
        it.say("101", "NOT_READY", "lunch")
        await it.live(3600)  # the near one's day is over, too
        assert not it.acd.book.waiting
        it.ready("101")
        await rings_within(it, 8 * 3600)
        assert it.switch.leg_of("101").number == "+12133734253"  # type: ignore[union-attr]


@virtual_time
async def test_callers_for_whom_nobody_comes_are_called_back_when_the_rules_say_so() -> None:
    async with open_house(max_wait_s=60, overflow={"timeout": Overflow("callback")}) as it:
        it.switch.arrive(IX, ani=ANI)
        it.switch.arrive(IY, ani="")
        await it.live(62)
        assert it.switch.callers[IX].stage == "callback" and it.switch.callers[IY].stage == "voicemail"
        it.switch.press(IX)  # the dialplan asks for them
        await it.live(5)
        (entry,) = it.acd.callbacks.entries()
        assert (entry.by, entry.first_id) == ("rule:overflow", IX)
        assert it.switch.callers[IX].stage == "gone"


@virtual_time
async def test_what_is_asked_wrongly_is_refused_and_what_is_under_way_is_not_withdrawn() -> None:
    async with open_house("101") as it:
        with pytest.raises(NotFound):
            it.acd.callbacks.request(ANI, "nowhere", by="user:anna")
        for number in ("", "not a number", "00900123456"):
            with pytest.raises(AftercallError):
                it.acd.callbacks.request(number, "service", by="user:anna")
        entry = it.acd.callbacks.request(ANI, "service", by="user:anna")
        await rings(it)
        it.switch.answer("101")
        ix = await called(it)
        with pytest.raises(AftercallError):
            it.acd.callbacks.do({"what": "withdraw", "callback_id": entry.callback_id})
        it.switch.customer_hangs_up(ix, "busy")
        await it.live()
        it.acd.callbacks.do({"what": "withdraw", "callback_id": entry.callback_id, "by": "user:anna"})
        assert it.told.last("CallbackEnded").outcome == "withdrawn"
        await it.live(900)
        assert it.switch.leg_of("101") is None
