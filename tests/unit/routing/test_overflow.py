"""Nobody waits beyond the queue's longest wait, and nobody is sent away early."""

from __future__ import annotations

from routing.policy.model import Overflow
from tests.unit.routing.house import house, queue, record
from tests.virtual import until, virtual_time

IX, IY = "n1-1.1", "n1-2.2"
MOST_S = 60.0


@virtual_time
async def test_callers_for_whom_nobody_comes_are_sent_where_the_queue_says_each_at_their_own_time() -> None:
    async with house(queues=[queue(max_wait_s=MOST_S)]) as it:
        it.switch.arrive(IX)
        await it.live(20)
        it.switch.arrive(IY)
        await it.live(MOST_S - 21)
        it.clock.jump(3600)  # the wall clock sends nobody away
        await it.live(0.5)
        assert set(it.acd.book.waiting) == {IX, IY}
        await it.live(1)
        assert (it.switch.callers[IX].stage, it.switch.callers[IY].stage) == ("voicemail", "wait")
        await it.live(20)
        assert it.switch.callers[IY].stage == "voicemail"
        assert [(e.interaction_id, e.to) for e in it.told.all("ItemOverflowed")] == [
            (IX, "voicemail"),
            (IY, "voicemail"),
        ]
        it.switch.caller_hangs_up(IX)
        await it.live()
        assert not it.told.all("ItemAbandoned")


@virtual_time
async def test_a_caller_whose_offer_rings_is_not_torn_from_it() -> None:
    async with house(queues=[queue(max_wait_s=MOST_S, ring_s=15.0)]) as it:
        it.switch.arrive(IX)
        await it.live(MOST_S - 5)
        it.ready("101")
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)
        await it.live(8)
        it.switch.answer("101")
        await it.live(30)
        assert it.switch.callers[IX].stage == "talk"
        assert not it.told.all("ItemOverflowed")


@virtual_time
async def test_a_switch_without_a_link_keeps_them_and_they_are_sent_away_when_it_is_back() -> None:
    async with house(queues=[queue(max_wait_s=MOST_S, overflow={"timeout": Overflow("closing")})]) as it:
        it.switch.arrive(IX)
        await it.live(MOST_S - 5)
        it.switch.disconnect()
        await it.live(30)
        assert it.switch.callers[IX].stage == "wait"
        it.switch.connect()
        await it.live(3)
        assert it.switch.callers[IX].stage == "closing"


@virtual_time
async def test_who_finds_the_queue_full_closed_or_left_goes_where_each_reason_says() -> None:
    rules = {
        "full": queue("full", max_waiting=1, overflow={"full": Overflow("voicemail")}),
        "closed": queue("closed", hours="shop", overflow={"closed": Overflow("closing")}),
        "left": queue(
            "left", leave_without=frozenset({"offline", "unreachable"}), overflow={"no_agents": Overflow("voicemail")}
        ),
    }
    async with house(
        queues=rules.values(), agents=[record("101", left=3)], is_open=lambda name, _at: name != "shop"
    ) as it:
        it.say("101", "NOT_READY", "lunch")
        for number, name in enumerate(rules):
            it.switch.arrive(f"n1-{number}.1", queue=name)
        it.switch.arrive("n1-9.1", queue="full")
        await it.live(0.5)
        told = {event.interaction_id: (event.reason, event.to) for event in it.told.all("ItemOverflowed")}
        assert told == {"n1-1.1": ("closed", "closing"), "n1-9.1": ("full", "voicemail")}, (
            "lunch is no reason to send away"
        )
        it.say("101", "OFFLINE")
        await it.live(1.5)
        assert it.told.last("ItemOverflowed").reason == "no_agents"
        assert set(it.acd.book.waiting) == {"n1-0.1"}


@virtual_time
async def test_another_queue_takes_them_over_with_their_wait_and_nobody_goes_round_in_a_circle() -> None:
    rules = [
        queue("one", max_wait_s=10, overflow={"timeout": Overflow("queue", "two")}),
        queue("two", max_wait_s=25, overflow={"timeout": Overflow("queue", "one")}),
    ]
    async with house(queues=rules, agents=[record("101", two=3)]) as it:
        it.switch.arrive(IX, queue="one")
        await it.live(12)
        assert it.acd.book.waiting[IX].queue == "two" and it.switch.marks[f"PJSIP/trunk-{IX}"] == {"AC_QUEUE": "two"}
        await it.live(60)
        assert it.acd.book.waiting[IX].queue == "two", "where they came from does not get them back"
        it.ready("101")
        await it.live(0.1)
        assert it.told.last("OfferMade").queue == "two" and it.told.last("OfferMade").waited_s >= 72
