"""Calls that are talked to, under the hands of people: the owner of routing with a cardboard switch, on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.errors import AftercallError
from pbx.transfer import EndLeg, HoldCaller, LeaveFor, RingLeg
from routing.calls.model import OutsideRules
from tests.unit.routing.house import House, house, queue
from tests.unit.routing.switch_parts import LinkDown, Refused
from tests.virtual import virtual_time


async def act(it: House, verb: str, by: str = "101", *, supervisor: bool = False, note: str = "", **target: str) -> Any:
    order: dict[str, Any] = {"what": "act", "verb": verb, "note": note}
    for kind, name in target.items():
        order["target"] = {"kind": kind, "name": name}
    return await ask(it, order, by, supervisor=supervisor)


async def ask(it: House, order: dict[str, Any], by: str, *, supervisor: bool = False) -> Any:
    whole = {"interaction_id": "c1", "by": by, "supervisor": supervisor, "actor": f"user:{by}", **order}
    said = await it.acd.calls.do(whole)
    await it.live()
    return said


async def refusal(it: House, *args: Any, **more: Any) -> str:
    with pytest.raises(AftercallError) as refused:
        await act(it, *args, **more)
    assert refused.value.hint or refused.value.status in (403, 404, 503), "it says what to do instead"
    return refused.value.error_id


async def talks(it: House) -> None:
    it.switch.arrive("c1")
    await it.live()
    it.switch.answer("101")
    await it.live()
    assert it.state("101") == "ENGAGED"


def done(it: House, kind: type) -> list[Any]:
    return [order for order in it.switch.done if isinstance(order, kind)]


@virtual_time
async def test_a_blind_transfer_reserves_the_other_and_leaves_the_first_to_their_wrap_up() -> None:
    async with house("101", "102") as it:
        await talks(it)
        assert (await act(it, "transfer", agent="102", note="a note"))["doing"] == "gone"
        assert (it.state("101"), it.state("102")) == ("WRAP_UP", "RESERVED")
        assert it.screen.pushed[-1][1].note == "a note"
        it.switch.answer("102")
        await it.live()
        assert it.state("102") == "ENGAGED"
        it.switch.caller_hangs_up("c1")
        await it.live()
        assert it.state("102") == "WRAP_UP"
        assert [told.extension for told in it.told.all("SegmentEnded")] == ["101", "102"]
        moved = it.told.last("CallTransferred")
        assert (moved.extension, moved.to, moved.to_kind, moved.note) == ("101", "102", "agent", "a note")


@virtual_time
async def test_the_same_transfer_asked_three_times_at_once_rings_one_phone_once() -> None:
    async with house("101", "102") as it:
        await talks(it)
        said = await asyncio.gather(*(act(it, "transfer", agent="102") for _ in range(3)))
        assert [view["doing"] for view in said] == ["gone"] * 3
        assert len(done(it, RingLeg)) == len(done(it, LeaveFor)) == len(it.told.all("CallTransferred")) == 1
        assert (await act(it, "transfer", agent="102"))["doing"] == "gone"
        assert len(done(it, RingLeg)) == 1


@virtual_time
async def test_a_transfer_that_is_not_answered_takes_the_other_out_and_the_caller_is_served_with_their_wait() -> None:
    async with house("101", "102", "103") as it:
        await talks(it)
        await act(it, "transfer", agent="102")
        await it.live(16)
        assert it.state("102") == "NOT_READY(rona)"
        assert it.state("103") == "RESERVED", "back at the head"
        queued = it.told.all("ItemQueued")
        assert len({told.enqueued_at for told in queued}) == 1 and queued[-1].returned


@virtual_time
async def test_in_a_consult_both_are_engaged_and_completing_it_frees_the_first() -> None:
    async with house("101", "102") as it:
        await talks(it)
        assert (await act(it, "consult", agent="102"))["doing"] == "asking"
        assert await act(it, "consult", agent="102") == await act(it, "consult", agent="102")
        assert len(done(it, RingLeg)) == len(done(it, HoldCaller)) == 1
        it.switch.answer("102")
        await it.live(30)
        assert (it.state("101"), it.state("102")) == ("ENGAGED", "ENGAGED"), "however long they talk"
        assert (await act(it, "complete"))["doing"] == "gone"
        assert (it.state("101"), it.state("102")) == ("WRAP_UP", "ENGAGED")
        assert (await act(it, "complete"))["doing"] == "gone"
        assert len(done(it, EndLeg)) == 1
        assert it.told.last("CallTransferred").consult
        assert it.told.kinds().count("ItemQueued") == 1


@virtual_time
async def test_a_consult_taken_back_while_it_rings_blames_nobody() -> None:
    async with house("101", "102") as it:
        await talks(it)
        await act(it, "consult", agent="102")
        assert (await act(it, "abort"))["doing"] == "talking"
        await it.live(1)
        assert (it.state("101"), it.state("102")) == ("ENGAGED", "READY")
        assert it.told.last("OfferCancelled").reason == "consult_aborted"
        assert not it.told.all("CallTransferred") and "c1" not in it.acd.book.waiting


@virtual_time
async def test_a_consult_taken_back_after_it_was_answered_frees_the_other_without_wrap_up() -> None:
    async with house("101", "102") as it:
        await talks(it)
        await act(it, "consult", agent="102")
        it.switch.answer("102")
        await it.live()
        await act(it, "abort")
        assert (it.state("101"), it.state("102")) == ("ENGAGED", "READY")
        assert "c1" not in it.acd.book.waiting
        assert (await act(it, "hold"))["doing"] == "held"


@virtual_time
async def test_an_agent_who_dies_in_a_consult_leaves_the_caller_to_whoever_was_asked() -> None:
    async with house("101", "102") as it:
        await talks(it)
        await act(it, "consult", agent="102", note="mine")
        it.switch.answer("102")
        await it.live()
        it.switch.agent_hangs_up("101")
        await it.live()
        assert (it.state("101"), it.state("102")) == ("WRAP_UP", "ENGAGED")
        assert it.told.last("CallTransferred").note == "mine"
        assert (await act(it, "hold", "102"))["doing"] == "held"


@virtual_time
async def test_and_while_the_other_phone_rings_to_the_head_of_the_queue_when_it_is_declined() -> None:
    async with house("101", "102", "103") as it:
        await talks(it)
        await act(it, "consult", agent="102")
        it.switch.agent_hangs_up("101")
        await it.live()
        assert "c1" not in it.acd.book.waiting
        it.switch.decline("102")
        await it.live()
        assert (it.state("102"), it.state("103")) == ("NOT_READY(declined)", "RESERVED")


@virtual_time
async def test_three_are_two_again_when_the_third_leaves() -> None:
    async with house("101", "102") as it:
        await talks(it)
        await act(it, "consult", queue="service")
        it.switch.answer("102")
        await it.live()
        assert (await act(it, "swap"))["doing"] == "swapped"
        assert (await act(it, "conference"))["doing"] == "conference"
        it.switch.agent_hangs_up("102")
        await it.live()
        assert (it.state("101"), it.state("102")) == ("ENGAGED", "WRAP_UP")
        assert type(it.switch.done[-1]).__name__ == "LeaveRoom"
        assert (await act(it, "hold"))["doing"] == "held"


@pytest.mark.parametrize("what", ["transfer", "consult"])
@virtual_time
async def test_whoever_is_not_free_is_refused_with_one_error_and_nothing_happens(what: str) -> None:
    async with house("101", queues=[queue(), queue("zh")]) as it:
        await talks(it)
        said = len(it.told.events)
        for extension in ("101", "102"):
            assert await refusal(it, what, agent=extension) == "routing:agent-not-free"
        assert await refusal(it, what, agent="999") == "core:agent-not-found"
        assert await refusal(it, what, queue="nowhere") == "core:queue-not-found"
        assert await refusal(it, what, number="+861012345678") == "routing:number-refused"
        it.ready("102")
        it.switch.phones["102"].reachable = False
        it.switch.tell()
        await it.live()
        assert await refusal(it, what, agent="102") == "routing:agent-not-free"
        assert it.switch.done == []
        assert not [event for event in it.told.events[said:] if event.kind in ("OfferMade", "CallTransferred")]
    async with house("101", queues=[queue(), queue("zh")]) as it:
        await talks(it)
        assert await refusal(it, "consult", queue="zh") == "routing:queue-not-free"


@virtual_time
async def test_only_the_agent_of_a_call_and_supervisors_may_do_something_to_it() -> None:
    async with house("101") as it:
        await talks(it)
        assert await refusal(it, "hold", "102") == "routing:not-your-call"
        assert await refusal(it, "hold", "") == "routing:not-your-call"
        assert (await act(it, "hold", "", supervisor=True))["doing"] == "held"
        assert (await act(it, "resume", "103", supervisor=True))["extension"] == "101"


@virtual_time
async def test_without_a_talk_or_without_a_switch_there_is_one_clear_error() -> None:
    async with house("101") as it:
        assert await refusal(it, "hold") == "routing:no-talk"
        await talks(it)
        it.switch.disconnect()
        await it.live()
        assert await refusal(it, "hold") == "core:switch-unavailable"


@pytest.mark.parametrize("fault", [Refused(), LinkDown()], ids=["refused", "down"])
@virtual_time
async def test_what_the_switch_does_not_take_changes_nothing_and_may_be_asked_again(fault: Exception) -> None:
    async with house("101", "102") as it:
        await talks(it)
        for verb, target in (("transfer", {"agent": "102"}), ("consult", {"agent": "102"}), ("hold", {}), ("park", {})):
            it.switch.fails = [fault]
            with pytest.raises((Refused, AftercallError)):
                await act(it, verb, **target)
            assert (it.state("101"), it.state("102")) == ("ENGAGED", "READY"), verb
        assert it.acd.calls.parked() == [] and not it.told.all("CallTransferred")
        assert (await act(it, "transfer", agent="102"))["doing"] == "gone"


@virtual_time
async def test_a_parked_caller_is_listed_fetched_once_and_by_one() -> None:
    async with house("101", "102") as it:
        await talks(it)
        await act(it, "park", note="at the door")
        assert [(call["by"], call["note"]) for call in it.acd.calls.parked()] == [("101", "at the door")]
        assert it.state("101") == "WRAP_UP"
        for _ in range(2):  # their own wrap-up ends with it
            assert (await ask(it, {"what": "fetch"}, "101"))["doing"] == "ringing"
        assert it.state("101") == "RESERVED" and len(done(it, RingLeg)) == 1
        it.switch.answer("101")
        await it.live()
        assert it.state("101") == "ENGAGED" and it.acd.calls.parked() == []
        with pytest.raises(AftercallError):
            await ask(it, {"what": "fetch"}, "102")


@virtual_time
async def test_whoever_fetches_and_does_not_answer_leaves_the_caller_parked() -> None:
    async with house("101", "102") as it:
        await talks(it)
        await act(it, "park")
        await ask(it, {"what": "fetch"}, "102")
        it.switch.decline("102")
        await it.live()
        assert len(it.acd.calls.parked()) == 1 and "c1" not in it.acd.book.waiting


@virtual_time
async def test_who_takes_over_is_engaged_when_they_answer_and_the_first_is_let_go() -> None:
    async with house("101") as it:
        await talks(it)
        with pytest.raises(AftercallError):
            await ask(it, {"what": "take_over"}, "102")
        await ask(it, {"what": "take_over"}, "102", supervisor=True)
        assert (it.state("101"), it.state("102")) == ("ENGAGED", "OFFLINE")
        assert not it.told.all("CallTransferred")
        it.switch.answer("102")
        await it.live()
        assert [(told.extension, told.to) for told in it.told.all("CallTransferred")] == [("101", "102")]
        assert (it.state("101"), it.state("102")) == ("WRAP_UP", "ENGAGED")
        it.switch.agent_hangs_up("102")
        await it.live(25)
        assert it.state("102") == "OFFLINE", "as they were before"


@virtual_time
async def test_calls_to_the_outside_are_counted_and_end_up_with_the_caller_or_back_in_the_queue() -> None:
    async with house("101", "102") as it:
        it.acd.calls.outside = OutsideRules(allow=("400",), max_per_hour=1, ring_s=5)
        await talks(it)
        assert (await act(it, "transfer", number="400 123"))["target"] == "400123"
        assert it.state("101") == "WRAP_UP"
        await it.live(6)
        assert it.state("102") == "RESERVED", "nobody answered outside"
        it.switch.answer("102")
        await it.live()
        assert await refusal(it, "transfer", "102", number="400123") == "routing:too-many-calls"


@virtual_time
async def test_the_phones_of_a_call_that_ended_in_the_middle_are_free() -> None:
    async with house("101", "102") as it:
        await talks(it)
        await act(it, "consult", agent="102")
        it.switch.answer("102")
        await it.live()
        it.switch.caller_hangs_up("c1")
        await it.live(1)
        assert (it.state("101"), it.state("102")) == ("WRAP_UP", "READY")
        assert not it.acd.calls._handled and not it.acd.book.offers
