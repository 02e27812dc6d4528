"""Calls under the hands of agents and supervisors, by REST, on a whole house: who hears whom, what is told, what is recorded."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import soundfile

from app.softphone import Call, Softphone, listen
from app.world.outside import OutsideWorld
from core.prompts.library import PromptLibrary
from tests.real.house.test_reconcile import reconcile
from tests.real.pbx.test_transfer import (
    CALLER_HZ,
    FIRST_HZ,
    SECOND_HZ,
    THIRD_HZ,
    has_music,
    hears,
    hears_not,
    says,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="package")
NUMBERS = itertools.count(13810000000)


class Desk:
    """Agents' phones, their tokens, and one caller who talks to the first of them."""

    def __init__(self, world: OutsideWorld, phones: list[Softphone]) -> None:
        self.world, self.phones = world, phones
        self.ix = ""
        self.caller: Call
        self.first: Call

    def ext(self, number: int) -> str:
        return str(self.world.facts["agents"][number]["extension"])

    async def post(self, what: str, body: dict[str, Any] | None = None, *, by: int | None = 0) -> Any:
        token = None if by is None else self.world.facts["agents"][by]["token"]
        return await self.world.post(f"calls/{self.ix}/{what}", body or {}, token=token)

    async def refused(self, what: str, body: dict[str, Any], *, by: int | None = 0) -> str:
        with pytest.raises(RuntimeError) as error:
            await self.post(what, body, by=by)
        return str(error.value)

    async def state(self, number: int) -> str:
        agents = (await self.world.get("agents"))["items"]
        return str(next(agent["state"] for agent in agents if agent["extension"] == self.ext(number)))

    async def until_state(self, number: int, *states: str) -> None:
        await self.world.get_until(
            "agents",
            lambda page: next(a["state"] for a in page["items"] if a["extension"] == self.ext(number)) in states,
        )

    async def calls(self, dids: str = "queue") -> None:
        """A caller comes to the queue and the first agent answers."""
        ani = str(next(NUMBERS))
        trunk = await self.world.caller()
        self.caller = await trunk.call(self.world.facts["dids"][dids], from_user=ani)
        self.first = await self.phones[0].next_call()
        self.first.answer()
        self.ix = self.first.header("x-aftercall-interaction")
        says(self.caller, CALLER_HZ)
        says(self.first, FIRST_HZ)
        await until(lambda: hears(self.caller, FIRST_HZ) and hears(self.first, CALLER_HZ))
        await self.until_state(0, "ENGAGED")

    async def picks_up(self, number: int = 1, hertz: float = SECOND_HZ) -> Call:
        call = await self.phones[number].next_call()
        call.answer()
        says(call, hertz)
        return call

    async def timeline(self, *kinds: str, count: int = 1) -> list[dict[str, Any]]:
        """The events of these kinds, once there are so many of the last of them."""
        call = await self.world.get_until(
            f"calls/{self.ix}",
            lambda it: sum(event["kind"] == kinds[-1] for event in it["timeline"]) >= count,
        )
        return [event for event in call["timeline"] if event["kind"] in kinds]


@asynccontextmanager
async def opened(world: OutsideWorld, agents: int) -> AsyncIterator[Desk]:
    """The first agent READY; the others too, after them: so the first is the longest idle."""
    phones = [await world.agent(number, ready=False) for number in range(agents)]
    desk = Desk(world, phones)
    for number in range(agents):
        await world.get_until(
            "agents",
            lambda page, n=number: next(a for a in page["items"] if a["extension"] == desk.ext(n))["reachable"],
        )
        await world.ready(number)
    try:
        yield desk
    finally:
        for phone in phones:
            for call in list(phone.calls.values()):
                call.hang_up()
        if desk.ix:
            desk.caller.hang_up()
        await world.get_until("calls?limit=100", lambda page: all(call["state"] == "ended" for call in page["items"]))
        for number in range(agents):
            await desk.until_state(number, "READY", "NOT_READY", "OFFLINE")
            token = world.facts["agents"][number]["token"]
            await world.post(f"agents/{desk.ext(number)}/state", {"state": "NOT_READY", "reason": "test"}, token=token)
            await world.post(f"agents/{desk.ext(number)}/state", {"state": "OFFLINE"}, token=token)
            await phones[number].close()
        for phone in world._phones:
            for call in list(phone.calls.values()):
                call.hang_up()


async def test_a_consult_hands_the_caller_over_with_the_note_and_both_parts_are_segments(world: OutsideWorld) -> None:
    async with opened(world, 2) as desk:
        feed = await world.live(token=world.facts["agents"][1]["token"])
        await desk.calls()
        said = await desk.post("consult", {"agent": desk.ext(1), "note": "wants the refund of 20 euros"})
        assert (said["doing"], said["target"]) == ("asking", desk.ext(1))
        assert await desk.post("consult", {"agent": desk.ext(1)}) == said, "the same asked twice rings once"
        _, message = await feed.until(lambda m: m.get("type") == "card" and bool(m.get("card")))
        assert message["card"]["note"] == "wants the refund of 20 euros"
        assert message["card"]["interaction_id"] == desk.ix
        second = await desk.picks_up()
        await until(lambda: hears(desk.first, SECOND_HZ) and hears(second, FIRST_HZ) and has_music(desk.caller))
        assert hears_not(second, CALLER_HZ) and await desk.state(1) == "ENGAGED"
        assert (await desk.post("control", {"action": "complete"}))["doing"] == "gone"
        await until(lambda: hears(desk.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        assert (await desk.post("control", {"action": "complete"}))["doing"] == "gone", "asked twice, done once"
        await desk.until_state(0, "WRAP_UP")
        assert await desk.state(1) == "ENGAGED"
        desk.caller.hang_up()
        await desk.until_state(1, "WRAP_UP")
        told = await desk.timeline("CallTransferred", "SegmentEnded", count=2)
        moved = next(event["data"] for event in told if event["kind"] == "CallTransferred")
        assert (moved["extension"], moved["to"], moved["consult"]) == (desk.ext(0), desk.ext(1), True)
        assert moved["note"] == "wants the refund of 20 euros"
        parts = {event["data"]["extension"]: event["data"] for event in told if event["kind"] == "SegmentEnded"}
        assert parts[desk.ext(0)]["talk_s"] > 0.3 and parts[desk.ext(0)]["hold_s"] > 0.1
        assert parts[desk.ext(1)]["talk_s"] > 0.1


async def test_the_recording_holds_both_parts_of_a_call_that_was_transferred(world: OutsideWorld) -> None:
    async with opened(world, 2) as desk:
        await desk.calls()
        await desk.post("transfer", {"agent": desk.ext(1)})
        second = await desk.picks_up()
        await until(lambda: hears(desk.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        await second.media.more(60)
        desk.caller.hang_up()
        await desk.timeline("RecordingStored")
        call = await world.get(f"calls/{desk.ix}")
        sound, rate = soundfile.read(io.BytesIO(await world.download(call["recording"]["url"])), dtype="int16")
        pieces = [sound[at : at + rate // 4, 1] for at in range(0, len(sound) - rate // 4, rate // 4)]
        heard = [max((FIRST_HZ, SECOND_HZ), key=lambda hertz: listen.tone_level(piece, hertz)) for piece in pieces
                 if max(listen.tone_level(piece, FIRST_HZ), listen.tone_level(piece, SECOND_HZ)) > 0.5]  # fmt: skip
        assert [hertz for hertz, _ in itertools.groupby(heard)] == [FIRST_HZ, SECOND_HZ]
        customer = [
            listen.tone_level(sound[at : at + 2000, 0], CALLER_HZ) > 0.5 for at in range(0, len(sound) - 2000, 2000)
        ]
        assert sum(customer) > 0.6 * len(customer), "and the customer in both"


async def test_a_blind_transfer_to_an_agent_is_done_once_however_often_it_is_asked(world: OutsideWorld) -> None:
    async with opened(world, 2) as desk:
        await desk.calls()
        asked = [desk.post("transfer", {"agent": desk.ext(1), "note": "n"}) for _ in range(3)]
        assert {said["doing"] for said in await asyncio.gather(*asked)} == {"gone"}
        second = await desk.picks_up()
        await until(lambda: hears(desk.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        await desk.until_state(0, "WRAP_UP", "READY")
        assert await desk.state(1) == "ENGAGED"
        assert len(await desk.timeline("CallTransferred")) == 1
        assert desk.phones[1].incoming.empty()


async def test_a_transfer_nobody_answers_brings_the_caller_back_to_the_head_with_their_wait(
    world: OutsideWorld,
) -> None:
    async with opened(world, 2) as desk:
        await desk.calls()
        await desk.post("transfer", {"agent": desk.ext(1), "note": "keep this"})
        (await desk.phones[1].next_call()).reject(486)
        again = await desk.picks_up(0, FIRST_HZ)
        await until(lambda: hears(desk.caller, FIRST_HZ) and hears(again, CALLER_HZ))
        waits = await desk.timeline("CallWaiting", count=2)
        assert waits[0]["data"]["enqueued_at"] == waits[1]["data"]["enqueued_at"]
        assert waits[1]["data"]["note"] == "keep this"


async def test_a_blind_transfer_to_a_queue_keeps_the_context_and_the_whisper_is_heard_by_the_agent_alone(
    world: OutsideWorld,
) -> None:
    async with opened(world, 2) as desk:
        await desk.calls()
        assert (await desk.post("transfer", {"queue": "service", "note": "order 7"}))["doing"] == "gone"
        second = await desk.phones[1].next_call()
        second.answer()
        known = listen.read_wav(f"{PromptLibrary().find('whisper-queue-service', 'en')}.wav")
        await listen.hear(second, known, timeout_s=5)
        says(second, SECOND_HZ)
        await until(lambda: hears(desk.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        before = desk.caller.media.heard()
        assert listen.find(before, known[:16000]).likeness < 0.5, "the caller had music until they were joined"
        waits = await desk.timeline("ItemQueued", "CallWaiting", count=2)
        told = [event["data"] for event in waits if event["kind"] == "CallWaiting"]
        assert told[1]["queue"] == "service" and told[1]["note"] == "order 7"
        assert told[0]["enqueued_at"] == told[1]["enqueued_at"]


async def test_hold_is_music_and_mute_is_silence_by_rest(world: OutsideWorld) -> None:
    async with opened(world, 1) as desk:
        await desk.calls()
        assert (await desk.post("control", {"action": "hold"}))["doing"] == "held"
        await until(lambda: has_music(desk.caller))
        assert (await desk.post("control", {"action": "hold"}))["doing"] == "held"
        assert "routing:not-now" in await desk.refused("control", {"action": "swap"})
        assert (await desk.post("control", {"action": "resume"}))["doing"] == "talking"
        await until(lambda: hears(desk.caller, FIRST_HZ) and hears(desk.first, CALLER_HZ))
        assert (await desk.post("control", {"action": "mute"}))["muted"]
        await until(lambda: hears_not(desk.caller, FIRST_HZ) and hears(desk.first, CALLER_HZ))
        assert not (await desk.post("control", {"action": "unmute"}))["muted"]
        await until(lambda: hears(desk.caller, FIRST_HZ))


async def test_a_parked_caller_is_fetched_by_another_agent(world: OutsideWorld) -> None:
    async with opened(world, 2) as desk:
        await desk.calls()
        await desk.post("control", {"action": "park", "note": "at the door"})
        await until(lambda: has_music(desk.caller))
        parked = (await world.get("parked"))["items"]
        assert [(it["interaction_id"], it["by"], it["note"]) for it in parked] == [
            (desk.ix, desk.ext(0), "at the door")
        ]
        await desk.post("fetch", by=1)
        second = await desk.picks_up()
        await until(lambda: hears(desk.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        assert (await world.get("parked"))["items"] == []
        await desk.until_state(1, "ENGAGED")


async def test_an_agent_who_dies_in_the_middle_of_a_consult_leaves_the_caller_to_whoever_was_asked(
    world: OutsideWorld,
) -> None:
    async with opened(world, 2) as desk:
        await desk.calls()
        await desk.post("consult", {"agent": desk.ext(1)})
        second = await desk.picks_up()
        await until(lambda: hears(desk.first, SECOND_HZ) and has_music(desk.caller))
        desk.first.hang_up()
        await until(lambda: hears(desk.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        await desk.until_state(0, "WRAP_UP", "READY")
        assert await desk.state(1) == "ENGAGED"
        assert (await desk.timeline("CallTransferred"))[0]["data"]["consult"] is True


async def test_when_the_caller_hangs_up_in_the_middle_of_a_consult_both_agents_are_free_again(
    world: OutsideWorld,
) -> None:
    async with opened(world, 2) as desk:
        await desk.calls()
        await desk.post("consult", {"agent": desk.ext(1)})
        second = await desk.picks_up()
        await until(lambda: hears(desk.first, SECOND_HZ) and has_music(desk.caller))
        desk.caller.hang_up()
        assert await second.until("ended", timeout_s=3) == await desk.first.until("ended", timeout_s=3) == "ended"
        await desk.until_state(0, "WRAP_UP", "READY")
        await desk.until_state(1, "READY")


async def test_a_consult_may_be_swapped_taken_back_and_made_a_conference(world: OutsideWorld) -> None:
    async with opened(world, 2) as desk:
        await desk.calls()
        await desk.post("consult", {"queue": "express"})
        second = await desk.picks_up()
        await until(lambda: hears(desk.first, SECOND_HZ) and hears(second, FIRST_HZ))
        assert (await desk.post("control", {"action": "swap"}))["doing"] == "swapped"
        await until(lambda: hears(desk.caller, FIRST_HZ) and has_music(second))
        assert (await desk.post("control", {"action": "conference"}))["doing"] == "conference"
        await until(lambda: hears(desk.caller, FIRST_HZ, SECOND_HZ) and hears(second, CALLER_HZ, FIRST_HZ))
        assert (await desk.post("control", {"action": "abort"}))["doing"] == "talking"
        await until(lambda: hears(desk.caller, FIRST_HZ) and hears_not(desk.caller, SECOND_HZ))
        await desk.until_state(1, "WRAP_UP", "READY")
        await desk.post("control", {"action": "hold"})
        await until(lambda: has_music(desk.caller))


async def test_a_supervisor_listens_whispers_barges_in_and_takes_over(world: OutsideWorld) -> None:
    async with opened(world, 2) as desk:
        await desk.calls()
        await world.post(f"agents/{desk.ext(1)}/state", {"state": "NOT_READY", "reason": "supervising"})
        assert "http:role-needed" in await desk.refused("supervise", {"mode": "monitor"}, by=1)
        await desk.post("supervise", {"mode": "monitor", "extension": desk.ext(1)}, by=None)
        spy = await desk.picks_up(1, THIRD_HZ)
        await until(lambda: hears(spy, CALLER_HZ, FIRST_HZ))
        await desk.timeline("SupervisorJoined")
        assert hears_not(desk.caller, THIRD_HZ) and hears_not(desk.first, THIRD_HZ)
        await desk.post("supervise", {"mode": "whisper", "extension": desk.ext(1)}, by=None)
        await until(lambda: hears(desk.first, THIRD_HZ) and hears(spy, CALLER_HZ))
        assert hears_not(desk.caller, THIRD_HZ)
        await desk.post("supervise", {"mode": "barge", "extension": desk.ext(1)}, by=None)
        await until(lambda: hears(desk.first, THIRD_HZ) and hears(desk.caller, THIRD_HZ))
        await desk.post("supervise", {"mode": "leave", "extension": desk.ext(1)}, by=None)
        await spy.until("ended")
        await world.get_until(
            "agents", lambda page: not next(a for a in page["items"] if a["extension"] == desk.ext(1))["in_use"]
        )
        await desk.post("take-over", {"extension": desk.ext(1)}, by=None)
        mine = await desk.picks_up(1, SECOND_HZ)
        await until(lambda: hears(desk.caller, SECOND_HZ) and hears(mine, CALLER_HZ))
        await desk.first.until("ended")
        await desk.until_state(0, "WRAP_UP", "READY")
        assert await desk.state(1) == "ENGAGED"
        mine.hang_up()
        await desk.until_state(1, "NOT_READY")


async def test_who_is_not_free_is_refused_with_one_clear_error_and_nothing_changes(world: OutsideWorld) -> None:
    async with opened(world, 3) as desk:
        await desk.calls()
        await world.post(f"agents/{desk.ext(1)}/state", {"state": "NOT_READY", "reason": "lunch"})
        for what in ("transfer", "consult"):
            assert "routing:agent-not-free" in await desk.refused(what, {"agent": desk.ext(1)})
            assert "routing:agent-not-free" in await desk.refused(what, {"agent": desk.ext(0)})
            assert "routing:number-refused" in await desk.refused(what, {"number": "+4915112345678"})
            assert "core:queue-not-found" in await desk.refused(what, {"queue": "nowhere"})
        assert "routing:not-your-call" in await desk.refused("control", {"action": "hold"}, by=2)
        assert hears(desk.caller, FIRST_HZ) and hears(desk.first, CALLER_HZ)


async def test_a_caller_is_given_to_somebody_outside_and_sent_back_into_the_menu(world: OutsideWorld) -> None:
    async with opened(world, 1) as desk:
        outside = await world.caller()
        await outside.register()
        await desk.calls()
        await desk.post("transfer", {"number": "139 0000 1111"})
        third = await outside.next_call()
        third.answer()
        says(third, SECOND_HZ)
        await until(lambda: hears(desk.caller, SECOND_HZ) and hears(third, CALLER_HZ))
        told = await desk.timeline("CallTransferred", "PartyJoined")
        assert {event["data"].get("to") or event["data"].get("role") for event in told} == {"13900001111", "third"}
        third.hang_up()
        await desk.caller.until("ended")
        await desk.timeline("CallEnded")
        await outside.register(0)
        await desk.until_state(0, "READY")
        await desk.calls()
        await desk.post("transfer", {"entry": "menu"})
        known = listen.read_wav(f"{PromptLibrary().find('menu-main', 'en')}.wav")
        await listen.hear(desk.caller, known, timeout_s=15, after_s=len(desk.caller.media.heard()) / 8000)


async def test_a_caller_on_hold_is_still_their_agents_after_a_kill_and_can_be_talked_to(world: OutsideWorld) -> None:
    async with opened(world, 1) as desk:
        await desk.calls()
        await desk.post("control", {"action": "hold"})
        await until(lambda: has_music(desk.caller))
        await desk.timeline("CallHeld")
        await world.kill()
        await world.start()
        await desk.until_state(0, "ENGAGED")
        assert has_music(desk.caller)
        assert (await desk.post("control", {"action": "resume"}))["doing"] == "talking"
        await until(lambda: hears(desk.caller, FIRST_HZ) and hears(desk.first, CALLER_HZ))
        desk.first.hang_up()
        await desk.caller.until("ended")


async def test_a_consult_that_outlives_our_processes_is_completed_by_the_phone(world: OutsideWorld) -> None:
    async with opened(world, 2) as desk:
        await desk.calls()
        await desk.post("consult", {"agent": desk.ext(1)})
        second = await desk.picks_up()
        await until(lambda: hears(desk.first, SECOND_HZ) and hears(second, FIRST_HZ) and has_music(desk.caller))
        await world.kill()
        await until(lambda: hears(desk.first, SECOND_HZ) and hears(second, FIRST_HZ))
        await world.start()
        await desk.until_state(0, "ENGAGED")
        assert await desk.state(1) == "ENGAGED"
        desk.first.hang_up()
        await until(lambda: hears(desk.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        await desk.until_state(0, "WRAP_UP", "READY")
        assert await desk.state(1) == "ENGAGED"


async def test_and_after_all_of_it_the_switchs_own_book_says_the_same_as_ours(world: OutsideWorld) -> None:
    status, differences, _ = await reconcile(world)
    assert (status, differences) == (0, [])
