"""From the reservation to the answer, or to nothing: whoever's fault it is, the caller is at the head again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.events import pbx
from routing.offers import FUSE_S, POP_S, REFUSED_REST_S
from tests.unit.routing.house import RING_S, House, house, queue, record
from tests.unit.routing.switch_parts import BUSY, REJECTED, LinkDown, Refused, Unclear
from tests.virtual import never, until, virtual_time

IX = "n1-1.1"


def waits(it: House, ix: str = IX) -> Any:
    return it.acd.book.waiting.get(ix)


async def ringing(it: House, extension: str, *, within_s: float = 1) -> None:
    await until(lambda: it.switch.leg_of(extension) is not None, within_s=within_s)
    await it.live(0.01)


@virtual_time
async def test_reserve_then_card_then_ring_then_talk() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await ringing(it, "101")
        assert it.state("101") == "RESERVED"
        (offer, item) = it.screen.pushed[0]
        assert (offer.extension, offer.attempt, offer.epoch, item.interaction_id) == ("101", 1, 1, IX)
        assert it.switch.orders == [offer.leg_id] == [f"{IX}-{offer.offer_id}"]
        it.switch.answer("101")
        await it.live()
        assert it.state("101") == "ENGAGED"
        told = [k for k in it.told.kinds(of=IX) if k in ("ItemQueued", "OfferMade", "OfferRinging", "OfferAccepted")]
        assert told == ["ItemQueued", "OfferMade", "OfferRinging", "OfferAccepted"]


@virtual_time
async def test_the_longest_waiting_gets_the_longest_idle_with_the_skill() -> None:
    people = [record("101", service=1), record("102", express=2, service=1), record("103", service=1)]
    async with house("103", "101", "102", agents=people, queues=[queue(), queue("express")]) as it:
        for n, wants in enumerate(["express", "service", "service", "service"], 1):
            it.switch.arrive(f"n1-{n}.{n}", wants)
            await it.live(0.01)
        await it.live(1)
        offered = {o.item.interaction_id: o.extension for o in it.acd.book.offers.values()}
        assert offered == {"n1-1.1": "102", "n1-2.2": "103", "n1-3.3": "101"}
        assert list(it.acd.book.waiting) == ["n1-4.4"]


@virtual_time
async def test_ring_no_answer_takes_the_agent_out_and_returns_the_caller_to_the_head() -> None:
    async with house("101") as it:
        it.screen.mode = "hangs"  # what comes before the ring is no part of it
        it.switch.arrive(IX)
        came = it.switch.callers[IX].visits[0]
        await it.live(3)
        it.switch.arrive("n1-2.2")
        await until(lambda: it.state("101") == "NOT_READY(rona)", within_s=RING_S + 1)
        assert waits(it).enqueued_at == came and waits(it).attempts == 1
        assert it.told.last("OfferTimedOut").rang_s == pytest.approx(RING_S, abs=0.1)
        await never(lambda: it.acd.book.offers, for_s=60)
        it.ready("102")
        await ringing(it, "102")
        assert it.told.last("OfferMade").interaction_id == IX, "the head, with the original wait"
        assert it.told.last("OfferMade").waited_s > 60


@virtual_time
async def test_as_many_misses_as_the_queue_allows_and_then_out() -> None:
    async with house("101", queues=[queue(max_misses=3)]) as it:
        it.switch.arrive(IX)
        await until(lambda: it.state("101") == "NOT_READY(rona)", within_s=3 * RING_S + 3)
        assert len(it.told.all("OfferTimedOut")) == 3
        assert [made.attempt for made in it.told.all("OfferMade")] == [1, 2, 3]


@pytest.mark.parametrize("cause", [BUSY, REJECTED])
@virtual_time
async def test_a_declined_call_goes_to_the_next_agent_at_once(cause: int) -> None:
    async with house("101", "102") as it:
        it.switch.arrive(IX)
        await ringing(it, "101")
        it.switch.decline("101", cause)
        await ringing(it, "102")
        assert (it.state("101"), it.state("102")) == ("NOT_READY(declined)", "RESERVED")
        assert it.told.kinds().count("OfferDeclined") == 1


@virtual_time
async def test_who_took_a_call_of_their_own_in_that_moment_has_declined_nothing() -> None:
    async with house("101", lists=False) as it:
        it.screen.mode = "hangs"  # a third of a second between the decision and the ring
        it.switch.arrive(IX)
        await it.live(0.1)
        it.switch.own_call("101", True)
        await until(lambda: it.told.all("OfferCancelled", reason="busy"), within_s=2)
        assert it.state("101") == "READY" and waits(it)
        await never(lambda: it.acd.book.offers, for_s=30)
        it.switch.own_call("101", False)
        await ringing(it, "101")


@pytest.mark.parametrize("how", ["not_ready", "in_use", "unregistered", "unskilled", "offline"])
@virtual_time
async def test_who_cannot_take_a_call_is_not_offered_one(how: str) -> None:
    people = [record("101", other=5) if how == "unskilled" else record("101")]
    async with house("101", agents=people) as it:
        match how:
            case "not_ready":
                it.say("101", "NOT_READY", "lunch")
            case "offline":
                it.say("101", "OFFLINE")
            case "in_use":
                it.switch.own_call("101", True)
            case "unregistered":
                it.switch.phones["101"].reachable = False
                it.switch.tell()
        await it.live()
        it.switch.arrive(IX)
        await never(lambda: it.acd.book.offers, for_s=30)
        assert it.switch.orders == [] and waits(it)
        match how:
            case "not_ready" | "offline":
                it.ready("101")
            case "in_use":
                it.switch.own_call("101", False)
            case "unregistered":
                it.switch.plug_in("101")
            case "unskilled":
                it.acd.add_agent(record("101", service=1))
        await ringing(it, "101")


@virtual_time
async def test_a_phone_that_is_gone_makes_the_agent_unreachable_and_not_to_blame() -> None:
    async with house("101") as it:
        it.switch.unplug("101")  # registered, as far as anybody knows
        it.switch.arrive(IX)
        await until(lambda: it.state("101") == "NOT_READY(unreachable)", within_s=RING_S + 1)
        assert waits(it) and it.told.all("OfferTimedOut") == []
        assert it.told.last("OfferCancelled").reason == "unreachable"


@virtual_time
async def test_a_phone_that_vanished_while_it_rang_is_found_gone_and_the_blame_is_taken_back() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await ringing(it, "101")
        it.switch.unplug("101")
        await until(lambda: it.state("101") == "NOT_READY(rona)", within_s=RING_S + 1)
        await until(lambda: it.state("101") == "NOT_READY(unreachable)", within_s=20)
        it.switch.plug_in("101")
        await it.live()
        assert it.state("101") == "NOT_READY(unreachable)", "only a person says READY"


@virtual_time
async def test_a_phone_that_is_known_to_be_gone_when_its_ringing_ends_is_not_held_against_the_agent() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await ringing(it, "101")
        it.switch.phones["101"].reachable = False
        it.switch.tell()
        await until(lambda: it.state("101") == "NOT_READY(unreachable)", within_s=RING_S + 1)
        assert it.told.all("OfferTimedOut") == [] and waits(it)


@virtual_time
async def test_an_unregistered_phone_that_was_rung_all_the_same_is_unreachable() -> None:
    async with house("101", lists=False) as it:
        it.switch.deaf = True
        it.switch.phones["101"].reachable = False  # and nobody was told
        it.switch.arrive(IX)
        it.switch.deaf = False
        it.switch.phones["101"].reachable = True
        it.switch.tell()
        it.switch.phones["101"].reachable = False
        await until(lambda: it.state("101") == "NOT_READY(unreachable)", within_s=2)
        assert waits(it)


@virtual_time
async def test_a_caller_who_hangs_up_while_it_rings_stops_the_ringing_and_frees_the_agent() -> None:
    async with house("101") as it:
        since = it.agent("101").idle_since
        it.switch.arrive(IX)
        await ringing(it, "101")
        it.switch.caller_hangs_up(IX)
        await until(lambda: it.switch.leg_of("101") is None, within_s=1)
        assert it.state("101") == "READY" and it.agent("101").idle_since == since
        assert not it.acd.book.waiting and not it.acd.book.offers
        assert it.told.kinds(of=IX).count("ItemAbandoned") == 1
        assert it.told.last("OfferCancelled").reason == "caller_gone"


@virtual_time
async def test_a_caller_who_hangs_up_before_the_ring_never_rings() -> None:
    async with house("101") as it:
        it.screen.mode = "hangs"
        it.switch.arrive(IX)
        await it.live(POP_S / 2)
        it.switch.caller_hangs_up(IX)
        await it.live(2)
        assert it.switch.orders == [] and it.state("101") == "READY"


@pytest.mark.parametrize("mode", ["hangs", "raises"])
@virtual_time
async def test_nothing_that_goes_wrong_with_the_card_stops_the_call(mode: str) -> None:
    async with house("101") as it:
        it.screen.mode = mode
        loop = asyncio.get_running_loop()
        it.switch.arrive(IX)
        began = loop.time()
        await ringing(it, "101")
        assert loop.time() - began <= POP_S + 0.05
        it.switch.answer("101")
        await it.live()
        assert it.state("101") == "ENGAGED"


@pytest.mark.parametrize("fault", [LinkDown(), Refused("no such context"), ValueError("a line break")], ids=repr)
@virtual_time
async def test_an_order_the_switch_does_not_take_is_nobody_s_fault_and_is_tried_again_after_a_moment(
    fault: Exception,
) -> None:
    async with house("101") as it:
        since = it.agent("101").idle_since
        it.switch.fails = [fault]
        it.switch.arrive(IX)
        await until(lambda: it.told.all("OfferCancelled", reason="switch_unavailable"), within_s=1)
        assert it.state("101") == "READY" and it.agent("101").idle_since == since and waits(it)
        await never(lambda: it.acd.book.offers, for_s=REFUSED_REST_S - 0.1)
        await ringing(it, "101")


@virtual_time
async def test_a_caller_whom_the_switch_refuses_again_and_again_does_not_keep_the_agent_from_others() -> None:
    async with house("101") as it:
        it.switch.fails = [Refused("broken channel")] * 2
        it.switch.arrive(IX)
        await it.live(0.01)
        it.switch.arrive("n1-2.2")
        await until(lambda: it.switch.leg_of("101") is not None, within_s=3)
        assert len(it.told.all("OfferMade")) <= 4, "not a storm of offers"


@virtual_time
async def test_what_the_switch_took_although_the_link_broke_is_stopped_when_it_is_back() -> None:
    async with house("101") as it:
        it.switch.fails = [Unclear()]
        it.switch.arrive(IX)
        await until(lambda: waits(it) and waits(it).attempts == 1, within_s=1)
        leg = it.switch.leg_of("101")
        assert leg is not None and it.state("101") == "READY"
        it.switch.connect()
        await until(lambda: not leg.live, within_s=1)
        await ringing(it, "101", within_s=2)
        assert it.switch.leg_of("101") is not leg and it.state("101") == "RESERVED"
        cancelled = list(it.switch.cancelled)
        it.switch.disconnect()
        it.switch.connect()
        await it.live(1)
        assert it.switch.cancelled == cancelled, "once"


@virtual_time
async def test_an_answer_that_is_told_before_the_order_is_refused_counts() -> None:
    async with house("101") as it:
        took = it.switch.offer

        async def rings_and_then_breaks(**order: Any) -> str:
            await took(**order)
            it.switch.tell()
            it.switch.answer("101")
            await it.live(0.01)
            raise LinkDown

        it.switch.offer = rings_and_then_breaks  # type: ignore[method-assign]
        it.switch.arrive(IX)
        await until(lambda: it.state("101") == "ENGAGED", within_s=1)
        await it.live(5)
        assert it.state("101") == "ENGAGED" and not it.acd.book.waiting


@virtual_time
async def test_a_ring_that_is_told_before_the_order_is_refused_goes_on() -> None:
    async with house("101") as it:
        took = it.switch.offer

        async def rings_and_then_breaks(**order: Any) -> str:
            await took(**order)
            it.switch.tell()
            await it.live(0.01)
            raise LinkDown

        it.switch.offer = rings_and_then_breaks  # type: ignore[method-assign]
        it.switch.arrive(IX)
        await it.live(3)
        assert it.state("101") == "RESERVED" and len(it.told.all("OfferMade")) == 1
        it.switch.answer("101")
        await it.live()
        assert it.state("101") == "ENGAGED"


@virtual_time
async def test_who_hangs_up_while_the_order_is_refused_is_gone() -> None:
    async with house("101") as it:

        async def breaks(**_order: Any) -> str:
            await it.live(1)
            raise LinkDown

        it.switch.offer = breaks  # type: ignore[method-assign]
        it.switch.arrive(IX)
        await it.live(0.5)
        it.switch.caller_hangs_up(IX)
        await it.live(2)
        assert it.state("101") == "READY" and len(it.told.all("OfferCancelled")) == 1 and not it.acd.book.waiting


@virtual_time
async def test_offers_carry_the_owner_s_epoch_as_it_was_when_they_were_decided() -> None:
    async with house("101") as it:
        assert it.acd.epoch == 1
        it.screen.mode = "hangs"
        it.switch.arrive(IX)
        await it.live(0.1)
        it.acd.epoch = 7
        await ringing(it, "101")
        assert (it.told.last("OfferMade").epoch, it.switch.legs[it.switch.orders[0]].epoch) == (1, 1)
        it.switch.decline("101")
        it.ready("102")
        await ringing(it, "102")
        assert (it.told.last("OfferMade").epoch, it.switch.legs[it.switch.orders[1]].epoch) == (7, 7)


@virtual_time
async def test_a_caller_is_told_the_place_in_the_queue_they_came_into() -> None:
    async with house(queues=[queue(), queue("express")]) as it:
        for n, (wants, priority) in enumerate([("service", 0), ("express", 0), ("service", 0), ("service", 5)], 1):
            it.switch.arrive(f"n1-{n}.{n}", wants, priority=priority)
            await it.live(1)
        assert [told.position for told in it.told.all("ItemQueued")] == [1, 1, 2, 1]


@virtual_time
async def test_when_facts_are_lost_the_fuse_frees_the_agent_and_the_leg() -> None:
    async with house("101", lists=False) as it:
        it.switch.arrive(IX)
        await it.live(0.01)
        it.switch.deaf = True
        await ringing(it, "101")
        leg = it.switch.leg_of("101")
        await until(lambda: it.told.all("OfferCancelled", reason="no_facts"), within_s=RING_S + FUSE_S + 1)
        assert leg is not None and f"{IX}-o-1" in it.switch.cancelled or not leg.live
        assert len(it.told.all("OfferMade")) == 2, "offered again, the agent is not to blame"


@virtual_time
async def test_without_a_link_the_fuse_waits_for_what_the_next_list_tells() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await ringing(it, "101")
        it.switch.disconnect()
        it.switch.answer("101")  # the dialplan joins them without us
        await it.live(10 * (RING_S + FUSE_S))
        assert it.state("101") == "RESERVED" and it.told.all("OfferCancelled") == []
        it.switch.connect()
        await it.live()
        assert it.state("101") == "ENGAGED" and it.switch.cancelled == []


def ended(it: House, cause: int, offer_id: str = "o-1") -> pbx.LegEnded:
    names = {"interaction_id": IX, "leg_id": f"{IX}-{offer_id}", "offer_id": offer_id, "extension": "101"}
    return pbx.LegEnded(at=it.clock.now(), cause=cause, answered=False, **names)


@pytest.mark.parametrize(
    ("cause", "own_call", "lands"), [(19, True, "NOT_READY(rona)"), (38, False, "NOT_READY(unreachable)")]
)
@virtual_time
async def test_who_lets_it_ring_during_an_own_call_has_missed_it_and_a_broken_network_is_nobody_s_miss(
    cause: int, own_call: bool, lands: str
) -> None:
    async with house("101", lists=False) as it:
        it.switch.arrive(IX)
        await ringing(it, "101")
        it.switch.own_call("101", own_call)
        it.stream.emit(ended(it, cause))
        await it.live(0.01)
        assert it.state("101") == lands


@virtual_time
async def test_waiting_that_is_told_anew_neither_doubles_nor_revives_anybody() -> None:
    async with house("101", lists=False) as it:
        it.switch.arrive(IX)
        await ringing(it, "101")
        first = it.told.last("CallWaiting")

        async def told_again() -> None:
            await it.live(1)
            it.stream.emit(replace(first, at=it.clock.now()))
            await it.live(0.01)

        await told_again()  # it rings
        assert not it.acd.book.waiting
        it.switch.decline("101")
        await it.live(0.01)
        await told_again()  # waits, once offered in vain
        assert waits(it).attempts == 1 and it.told.kinds(of=IX).count("ItemQueued") == 1
        it.switch.caller_hangs_up(IX)
        await told_again()  # is gone
        assert not it.acd.book.waiting


@virtual_time
async def test_a_leg_whose_end_nobody_saw_is_held_against_nobody() -> None:
    async with house("101", lists=False) as it:
        it.switch.arrive(IX)
        await ringing(it, "101")
        it.switch.deaf = True
        it.switch.decline("101")  # whatever it was, a list only finds that the leg is no more
        it.stream.emit(ended(it, 0))
        await it.live(0.01)
        assert it.told.last("OfferCancelled", offer_id="o-1").reason == "no_facts"
        assert it.told.all("OfferTimedOut") == [] and it.agent("101").reason == ""


@virtual_time
async def test_the_wait_counts_from_the_first_moment_however_often_it_comes_to_nothing() -> None:
    async with house("101", queues=[queue(max_misses=9)]) as it:
        it.switch.arrive(IX)
        came = it.clock.now()
        for _ in range(4):
            await ringing(it, "101")
            it.switch.decline("101")
            await it.live(0.05)
        made = it.told.all("OfferMade")
        assert [m.attempt for m in made] == [1, 2, 3, 4, 5]
        for one in made:
            assert one.at - timedelta(seconds=one.waited_s) - came < timedelta(milliseconds=2)


@virtual_time
async def test_nobody_starves_in_a_crowd() -> None:
    async with house("101", "102", queues=[queue(wrap_up_s=0, max_misses=9)]) as it:
        for n in range(40):
            it.switch.arrive(f"n1-{n}.{n}")
            await it.live(0.01)
        talked: list[str] = []
        for turn in range(200):
            await it.live(1)
            for extension in ("101", "102"):
                leg = it.switch.leg_of(extension)
                if leg is not None and turn % 5 == 0:
                    it.switch.decline(extension)  # every fifth is sent back to the head
                elif leg is not None:
                    it.switch.answer(extension)
                    talked.append(leg.ix)
                    await it.live(0.1)
                    it.switch.agent_hangs_up(extension)
        assert talked == sorted(talked, key=lambda ix: int(ix.rpartition(".")[2])) and len(set(talked)) == 40
