"""Without a link nothing is offered; with it everything goes on from what the switch has."""

from __future__ import annotations

from core.events import pbx
from tests.unit.routing.house import house, queue
from tests.unit.routing.switch_parts import LinkDown
from tests.unit.routing.test_talks import IX, talking
from tests.virtual import never, until, virtual_time


@virtual_time
async def test_nothing_is_offered_before_the_switch_is_there() -> None:
    async with house("101", link=False) as it:
        now = it.clock.now()
        it.switch.arrive(IX)
        it.stream.emit(pbx.AgentDeviceChanged(at=now, extension="101", reachable=True))
        caller = it.switch.callers[IX]
        it.stream.emit(pbx.CallWaiting(
            interaction_id=IX, at=now, channel=caller.channel, queue="service", enqueued_at=now
        ))  # fmt: skip
        await it.live()
        assert IX in it.acd.book.waiting and it.agent("101").available
        await never(lambda: it.acd.book.offers, for_s=5)
        it.switch.connect()
        await until(lambda: it.switch.leg_of("101"), within_s=1)


@virtual_time
async def test_a_link_that_is_gone_stops_offers_and_the_next_one_resumes_them() -> None:
    async with house("101") as it:
        it.switch.disconnect()
        await it.live()
        it.switch.arrive(IX)
        it.ready("102")
        await never(lambda: it.acd.book.offers, for_s=30)
        it.switch.connect()
        await until(lambda: it.switch.leg_of("101"), within_s=1)
        assert it.told.last("OfferMade").interaction_id == IX


@virtual_time
async def test_a_link_that_breaks_in_the_order_leaves_the_caller_at_the_head_and_the_agent_without_blame() -> None:
    async with house("101") as it:
        it.screen.mode = "hangs"
        it.switch.arrive(IX)
        await it.live(0.1)
        it.switch.disconnect()
        await until(lambda: IX in it.acd.book.waiting, within_s=1)
        assert it.state("101") == "READY"
        await never(lambda: it.acd.book.offers, for_s=0.2)
        it.screen.mode = "shown"
        it.switch.connect()
        await until(lambda: it.switch.leg_of("101"), within_s=0.1)  # a new link knows better than a moment ago
        assert it.told.last("OfferMade").attempt == 2


@virtual_time
async def test_a_flapping_link_is_no_storm() -> None:
    async with house("101", queues=[queue(max_misses=99)]) as it:
        it.switch.arrive(IX)
        for _ in range(20):
            it.switch.fails = [LinkDown()]
            it.switch.disconnect()
            await it.live(1.5)
            it.switch.connect()
            await it.live(1.5)
        assert len(it.told.all("OfferMade")) <= 60
        it.switch.fails = []
        await until(lambda: it.state("101") == "RESERVED" and it.switch.leg_of("101"), within_s=3)
        it.switch.answer("101")
        await it.live()
        assert it.state("101") == "ENGAGED"


@virtual_time
async def test_a_talk_goes_on_through_a_lost_link_and_its_end_is_told_by_the_next() -> None:
    async with house("101") as it:
        await talking(it)
        it.switch.disconnect()
        await it.live(40)
        assert it.state("101") == "ENGAGED"
        it.switch.agent_hangs_up("101")
        await it.live(40)
        it.switch.connect()
        await it.live()
        assert it.state("101") == "WRAP_UP" and it.told.last("SegmentEnded").reason == "talked"


@virtual_time
async def test_who_hung_up_while_there_was_no_link_is_not_offered() -> None:
    async with house("101", link=False) as it:
        it.switch.connect()
        await it.live()
        it.say("101", "NOT_READY", "lunch")
        it.switch.arrive(IX)
        await it.live()
        it.switch.disconnect()
        it.switch.caller_hangs_up(IX)
        await it.live()
        it.ready("101")
        it.switch.connect()
        await it.live(1)
        assert it.told.all("OfferMade") == [] and it.told.last("ItemAbandoned").interaction_id == IX


@virtual_time
async def test_the_owner_ends_with_its_task_and_leaves_no_timer_behind() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await it.live(1)
        await it.stop()
        told = len(it.told.events)
        await it.live(120)
        assert not [event for event in it.told.events[told:] if event.kind.startswith("Offer")]
