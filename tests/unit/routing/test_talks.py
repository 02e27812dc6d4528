"""From the answer to the end of the agent's leg; and what the switch says of talks that we did not know of."""

from __future__ import annotations

import pytest

from core.events import pbx
from routing.talks import ALONE_S, JOIN_S, STALE_REST_S
from tests.unit.routing.house import WRAP_UP_S, House, house, queue, record
from tests.virtual import never, until, virtual_time

IX, IY = "n1-1.1", "n1-2.2"


async def talking(it: House, ix: str = IX, extension: str = "101") -> None:
    it.switch.arrive(ix)
    await until(lambda: it.switch.leg_of(extension) is not None, within_s=1)
    it.switch.answer(extension)
    await until(lambda: it.state(extension) == "ENGAGED", within_s=1)


def names(ix: str, offer_id: str, extension: str) -> dict[str, str]:
    return {"interaction_id": ix, "leg_id": f"{ix}-{offer_id}", "offer_id": offer_id, "extension": extension}


@virtual_time
async def test_a_segment_tells_how_long_it_rang_was_talked_and_held() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await it.live(4)
        it.switch.answer("101")
        await it.live(30)
        it.switch.hold("101", True)
        await it.live(10)
        it.clock.jump(-3600)  # durations do not care
        it.switch.hold("101", False)
        await it.live(5)
        it.switch.agent_hangs_up("101")
        await it.live()
        told = it.told.last("SegmentEnded")
        assert (told.extension, told.queue, told.reason) == ("101", "service", "talked")
        assert [told.ring_s, told.talk_s, told.hold_s] == pytest.approx([4, 35, 10], abs=0.1)


@virtual_time
async def test_a_call_that_ends_on_hold_was_held_to_the_end() -> None:
    async with house("101") as it:
        await talking(it)
        await it.live(3)
        it.switch.hold("101", True)
        await it.live(7)
        it.switch.caller_hangs_up(IX)
        await it.live()
        assert [it.told.last("SegmentEnded").talk_s, it.told.last("SegmentEnded").hold_s] == pytest.approx(
            [3, 7], abs=0.1
        )


@virtual_time
async def test_holds_told_twice_or_of_nobody_count_once_or_not_at_all() -> None:
    async with house("101") as it:
        await talking(it)
        for on, seconds in ((True, 4), (True, 6), (False, 1), (False, 2)):
            it.switch.hold("101", on)
            for kind in (pbx.CallHeld, pbx.CallResumed):
                it.stream.emit(kind(interaction_id=IY, at=it.clock.now(), extension="101"))
            await it.live(seconds)
        it.switch.agent_hangs_up("101")
        await it.live()
        assert [it.told.last("SegmentEnded").talk_s, it.told.last("SegmentEnded").hold_s] == pytest.approx(
            [3, 10], abs=0.1
        )


@virtual_time
async def test_an_answer_that_never_reaches_the_caller_puts_the_caller_back_and_blames_nobody() -> None:
    async with house("101", "102") as it:
        it.switch.epoch = 2  # the dialplan finds our offers stale
        it.switch.arrive(IX)
        came = it.switch.callers[IX].visits[0]
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)
        it.switch.answer("101")
        await it.live()
        assert it.told.last("SegmentEnded").reason == "not_connected"
        assert it.state("101") == "READY" and it.acd.book.waiting[IX].enqueued_at == came
        it.switch.epoch = 1
        await never(lambda: it.acd.book.offers, for_s=STALE_REST_S - 0.3)  # not one dead answer after another
        await until(lambda: it.switch.leg_of("102") is not None, within_s=1)
        it.switch.answer("102")
        await it.live()
        assert it.state("102") == "ENGAGED"


@virtual_time
async def test_who_comes_into_the_queue_anew_is_offered_without_rest() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)
        it.switch.callers[IX].stage = "menu"  # fell out of the queue, and nobody was told
        it.switch.answer("101")
        await it.live(0.1)
        assert it.told.last("SegmentEnded").reason == "not_connected"
        it.acd.book.waiting.clear()  # whatever became of them
        it.switch.callers[IX].stage = "wait"
        it.switch.callers[IX].visits.append(it.clock.now())
        it.switch.tell()
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)


@virtual_time
async def test_an_answer_that_only_failed_to_be_joined_is_followed_by_the_next_offer_at_once() -> None:
    async with house("101", lists=False) as it:
        it.switch.arrive(IX)
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)
        it.switch.deaf = True
        it.switch.epoch = 2
        it.switch.answer("101")  # not joined, for whatever reason, but the offer was not stale
        for fact, more in ((pbx.LegAnswered, {}), (pbx.LegEnded, {"cause": 16, "answered": True})):
            it.stream.emit(fact(at=it.clock.now(), **names(IX, "o-1", "101"), **more))
        await it.live(0.01)
        assert [made.attempt for made in it.told.all("OfferMade")] == [1, 2]


@virtual_time
async def test_a_caller_who_hangs_up_in_the_moment_of_the_answer_leaves_the_agent_free() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)
        it.switch.caller_hangs_up(IX)
        it.switch.answer("101")  # before the ringing could be stopped
        await it.live(1)
        assert it.state("101") == "READY" and not it.acd.book.offers and not it.acd.book.waiting


@virtual_time
async def test_an_agent_sends_the_caller_back_and_the_caller_is_offered_to_another_with_the_original_wait() -> None:
    async with house("101", "102") as it:
        await talking(it)
        came = it.switch.callers[IX].visits[0]
        await it.live(60)
        it.switch.sent_back("101")
        await until(lambda: it.switch.leg_of("102") is not None, within_s=1)
        assert it.state("101") == "WRAP_UP"
        queued = it.told.all("ItemQueued", interaction_id=IX)
        assert [(q.returned, q.enqueued_at) for q in queued] == [(False, came), (True, came)]
        it.switch.caller_hangs_up(IX)
        await it.live()
        assert it.state("102") == "READY" and it.told.kinds(of=IX).count("ItemAbandoned") == 1


@virtual_time
async def test_a_caller_who_came_back_while_facts_were_lost_is_not_forgotten() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)
        it.switch.disconnect()
        it.switch.answer("101")
        await it.live(1)
        it.switch.sent_back("101")
        await it.live(1)
        it.switch.connect()
        await it.live()
        assert IX in it.acd.book.waiting and it.state("101") == "WRAP_UP"


@virtual_time
async def test_a_talk_we_did_not_know_of_is_ours_from_now_on() -> None:
    async with house("101", "102") as it:
        it.switch.deaf = True
        it.switch.arrive(IX)
        it.stream.emit(pbx.CallConnected(at=it.clock.now(), **names("n1-9.9", "p-1", "101")))
        await it.live()
        assert it.state("101") == "ENGAGED" and it.told.last("OfferAccepted").offer_id == "p-1"
        it.stream.emit(pbx.LegEnded(at=it.clock.now(), cause=16, answered=True, **names("n1-9.9", "p-1", "101")))
        await it.live()
        assert it.state("101") == "READY"


@virtual_time
async def test_a_talk_found_late_takes_the_caller_and_the_agent_out_of_whatever_else_was_planned() -> None:
    async with house("101", lists=False) as it:
        it.switch.arrive(IX)
        await until(lambda: it.state("101") == "RESERVED", within_s=1)
        it.ready("102")
        # It turns out that this caller talks to 102 since a moment, by an offer that we had given up.
        it.stream.emit(pbx.CallConnected(at=it.clock.now(), **names(IX, "p-1", "102")))
        await it.live(1)
        assert (it.state("101"), it.state("102")) == ("READY", "ENGAGED")
        assert it.switch.leg_of("101") is None, "the other phone stops ringing"
        assert not it.acd.book.waiting
        await never(lambda: len(it.acd.book.offers) > 1, for_s=40)


@virtual_time
async def test_a_waiting_caller_who_is_found_talking_waits_no_more() -> None:
    async with house(lists=False) as it:
        it.switch.arrive(IX)
        await it.live()
        it.stream.emit(pbx.CallConnected(at=it.clock.now(), **names(IX, "p-1", "101")))
        await it.live()
        assert not it.acd.book.waiting and it.told.last("OfferAccepted").queue == "service"
        it.ready("102")
        await never(lambda: it.switch.orders, for_s=5)


@virtual_time
async def test_an_agent_found_talking_is_offered_nothing_else_and_the_other_caller_is_at_the_head() -> None:
    async with house("101", lists=False) as it:
        it.switch.arrive(IX)
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)
        it.stream.emit(pbx.CallConnected(at=it.clock.now(), **names(IY, "p-1", "101")))
        await it.live(1)
        assert it.state("101") == "ENGAGED" and [o.offer_id for o in it.acd.book.offers.values()] == ["p-1"]
        assert IX in it.acd.book.waiting and it.switch.leg_of("101") is None


@virtual_time
async def test_two_talks_on_one_phone_keep_the_agent_engaged_until_the_last_ends() -> None:
    async with house("101", queues=[queue(wrap_up_s=0)], lists=False) as it:
        for ix, offer_id in ((IX, "p-1"), (IY, "p-2")):
            it.stream.emit(pbx.CallConnected(at=it.clock.now(), **names(ix, offer_id, "101")))
        await it.live()
        it.switch.arrive("n1-3.3")
        for ix, offer_id in ((IY, "p-2"), (IX, "p-1")):
            assert it.state("101") == "ENGAGED" and it.switch.orders == []
            it.stream.emit(pbx.LegEnded(at=it.clock.now(), cause=16, answered=True, **names(ix, offer_id, "101")))
            await it.live()
        assert it.state("101") == "RESERVED", "and now the next"


@virtual_time
async def test_who_is_found_talking_during_after_call_work_has_ended_it() -> None:
    async with house("101") as it:
        await talking(it)
        it.switch.caller_hangs_up(IX)
        await it.live(3)
        assert it.state("101") == "WRAP_UP"
        it.stream.emit(pbx.CallConnected(at=it.clock.now(), **names(IY, "p-1", "101")))
        await it.live()
        ended = it.told.last("WrapUpEnded")
        assert (it.state("101"), ended.interaction_id, ended.wrap_up_s) == ("ENGAGED", IX, pytest.approx(3, abs=0.1))
        await it.live(WRAP_UP_S + 5)
        assert it.state("101") == "ENGAGED", "the old timer ends nothing"


@virtual_time
async def test_who_never_said_ready_is_not_ready_after_a_talk_that_was_found() -> None:
    async with house() as it:
        it.say("102", "NOT_READY", "lunch")
        for n, extension in enumerate(("101", "102")):
            it.stream.emit(pbx.CallConnected(at=it.clock.now(), **names(f"n1-{n}.{n}", f"p-{n}", extension)))
        await it.live()
        for n, extension in enumerate(("101", "102")):
            leg = names(f"n1-{n}.{n}", f"p-{n}", extension)
            it.stream.emit(pbx.LegEnded(at=it.clock.now(), cause=16, answered=True, **leg))
        await it.live()
        assert (it.state("101"), it.state("102")) == ("OFFLINE", "NOT_READY(lunch)")


@virtual_time
async def test_a_caller_s_end_without_the_agent_s_frees_the_agent_all_the_same() -> None:
    async with house("101", lists=False) as it:
        await talking(it)
        it.switch.deaf = True  # Asterisk was lost: its calls are told to be over, their legs are not
        it.stream.emit(pbx.CallEnded(interaction_id=IX, at=it.clock.now(), reason="node_lost", cause=0))
        await until(lambda: it.state("101") == "WRAP_UP", within_s=ALONE_S + 1)
        assert it.told.kinds(of=IX).count("SegmentEnded") == 1
        await until(lambda: it.state("101") == "READY", within_s=WRAP_UP_S + 1)


@virtual_time
async def test_an_answered_phone_that_is_joined_with_nobody_is_not_kept_for_ever() -> None:
    async with house("101", lists=False) as it:
        it.switch.arrive(IX)
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)
        it.switch.deaf = True
        it.stream.emit(pbx.LegAnswered(at=it.clock.now(), **names(IX, "o-1", "101")))
        await it.live()
        assert it.state("101") == "ENGAGED"
        await until(lambda: it.told.all("SegmentEnded", reason="no_facts"), within_s=JOIN_S + 1)
        assert it.told.last("OfferMade").attempt == 2


@virtual_time
async def test_a_late_fact_of_a_leg_that_is_over_makes_no_ghost() -> None:
    async with house("101", lists=False) as it:
        await talking(it)
        it.switch.agent_hangs_up("101")
        await it.live(WRAP_UP_S + 1)
        for fact in (pbx.LegRinging, pbx.LegAnswered, pbx.CallConnected):
            it.stream.emit(fact(at=it.clock.now(), **names(IX, "o-1", "101")))
        it.stream.emit(pbx.CallConnected(at=it.clock.now(), **names(IX, "o-7", "101")))  # and the caller is gone
        await it.live()
        assert it.state("101") == "READY" and not it.acd.book.offers


@virtual_time
async def test_a_late_fact_of_an_old_leg_takes_nobody_out_of_the_queue() -> None:
    async with house("101", lists=False) as it:
        await talking(it)
        it.switch.sent_back("101")
        await it.live(WRAP_UP_S - 1)
        it.stream.emit(pbx.CallConnected(at=it.clock.now(), **names(IX, "o-1", "101")))
        await it.live()
        assert IX in it.acd.book.waiting and it.state("101") == "WRAP_UP"


@virtual_time
async def test_a_talk_of_somebody_we_do_not_know_is_left_alone() -> None:
    async with house("101", agents=[record("101")]) as it:
        it.stream.emit(pbx.CallConnected(at=it.clock.now(), **names(IX, "p-1", "999")))
        await it.live()
        assert not it.acd.book.offers and it.state("101") == "READY"
