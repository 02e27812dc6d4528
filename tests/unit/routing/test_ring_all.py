"""Several phones ring for one caller: whoever answers first has them, and nobody else is blamed or left reserved."""

from __future__ import annotations

from tests.unit.routing.house import RING_S, House, house, queue
from tests.virtual import virtual_time

IX = "n1-1.1"


def ringing(it: House) -> set[str]:
    return {leg.extension for leg in it.switch.legs.values() if leg.live and leg.ringing_at and not leg.answered_at}


@virtual_time
async def test_as_many_phones_ring_as_the_queue_says_and_the_first_to_answer_has_the_caller() -> None:
    async with house("101", "102", "103", queues=[queue(ring_all=2)]) as it:
        it.switch.arrive(IX)
        await it.live(0.2)
        assert ringing(it) == {"101", "102"} and it.state("103") == "READY"
        it.switch.answer("102")
        await it.live(0.2)
        assert (it.state("101"), it.state("102")) == ("READY", "ENGAGED") and ringing(it) == set()
        assert it.told.last("OfferCancelled", extension="101").reason == "talks_already"


@virtual_time
async def test_the_caller_waits_again_only_when_the_last_phone_has_stopped_ringing() -> None:
    async with house("101", "102", queues=[queue(ring_all=2, max_misses=9)]) as it:
        it.switch.arrive(IX)
        await it.live(1)
        it.switch.decline("101")
        await it.live(1)
        assert IX not in it.acd.book.waiting and ringing(it) == {"102"}
        await it.live(RING_S)
        assert len(it.told.all("OfferMade")) >= 3, "offered anew, with the wait they had"
        it.switch.caller_hangs_up(IX)
        await it.live(0.2)
        assert ringing(it) == set() and len(it.told.all("ItemAbandoned")) == 1
        assert not it.acd.book.offers and not it.acd.book.waiting


@virtual_time
async def test_of_two_who_answer_at_once_one_has_the_caller_and_the_other_is_free_again() -> None:
    async with house("101", "102", queues=[queue(ring_all=2)]) as it:
        it.switch.arrive(IX)
        await it.live(0.5)
        it.switch.answer("101")
        it.switch.answer("102")
        await it.live(1)
        states = sorted([it.state("101"), it.state("102")])
        assert states[0] == "ENGAGED" and states[1] in ("READY", "WRAP_UP"), states
        assert sum(offer.connected_at is not None for offer in it.acd.book.offers.values()) == 1


@virtual_time
async def test_of_two_phones_answered_in_one_instant_one_has_the_caller_and_the_other_is_free_without_blame() -> None:
    for late in (False, True):  # the switch tells of the other's end before it tells of the talk, or afterwards
        async with house("101", "102", queues=[queue(ring_all=2)]) as it:
            it.switch.arrive(IX)
            await it.live(0.2)
            first, second = it.switch.leg_of("101"), it.switch.leg_of("102")
            assert first is not None and second is not None
            for leg in (first, second):
                leg.answered_at = it.clock.now()
            it.switch.tell()
            assert (it.state("101"), it.state("102")) == ("RESERVED", "RESERVED"), "the facts are on their way"
            if late:
                it.switch.callers[IX].stage, first.connected_at = "talk", it.clock.now()
                it.switch.tell()
                await it.live(0.05)
            it.switch._end(second, 21)  # the dialplan found the caller talking
            it.switch.tell()
            await it.live(0.05)
            if not late:
                it.switch.callers[IX].stage, first.connected_at = "talk", it.clock.now()
                it.switch.tell()
                await it.live(0.05)
            assert (it.state("101"), it.state("102")) == ("ENGAGED", "READY")
            assert it.agent("102").misses == 0 and not it.told.all("OfferTimedOut") and not it.told.all("WrapUpStarted")
            ended = it.told.last("SegmentEnded", extension="102")
            assert (ended.reason, ended.talk_s) == ("not_connected", 0)
            assert not it.acd.book.waiting and [offer.extension for offer in it.acd.book.offers.values()] == ["101"]
            await it.live(20)
            assert it.state("101") == "ENGAGED" and len(it.told.all("OfferMade")) == 2
