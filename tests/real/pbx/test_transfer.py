"""What is done to a talking caller, on a real Asterisk: who hears whom is told by the sound, never by a flag."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app.softphone import Call, listen
from core.events import pbx as facts
from core.events.pbx import CallWaiting
from pbx.switchboard import KnownCall
from pbx.transfer import (
    CallOrder,
    ChangeMode,
    EndLeg,
    HoldCaller,
    JoinAll,
    JoinCaller,
    LeaveFor,
    LeaveRoom,
    MuteLeg,
    ParkCaller,
    RingLeg,
    SendCaller,
    Supervise,
    SwapBack,
    SwapLegs,
)  # fmt: skip
from tests.real.pbx.lab import phone
from tests.real.pbx.room import Room

pytestmark = pytest.mark.asyncio(loop_scope="package")

CALLER_HZ, FIRST_HZ, SECOND_HZ, THIRD_HZ = 1310.0, 1570.0, 1810.0, 2110.0  # none of them in the music
A_MINUTE = 60.0


def recent(call: Call) -> listen.Pcm:
    """What was heard in the last 0.4 s; nothing when no packet came of late."""
    silent_s = call.phone.loop.time() - call.media.arrivals[-1] if call.media.arrivals else A_MINUTE
    return call.media.heard()[-3200:] if silent_s < 0.2 else listen.tone(0, 0)


def level(call: Call, hertz: float) -> float:
    """How loud the tone is in the last 0.4 s, next to what the softphones send."""
    sound = recent(call)
    if len(sound) < 3200:
        return 0.0
    loudness = float((sound.astype("float64") ** 2).mean()) / (8000.0**2 / 2)
    return listen.tone_level(sound, hertz) * loudness


def hears(call: Call, *hertz: float) -> bool:
    return all(level(call, each) > 0.1 for each in hertz)


def hears_not(call: Call, *hertz: float) -> bool:
    return all(level(call, each) < 0.01 for each in hertz)


async def until(true: Callable[[], object], *, timeout_s: float = 6.0) -> None:
    """Returns when it is true. Looked at every packet's time."""
    async with asyncio.timeout(timeout_s):
        while not true():
            await asyncio.sleep(0.02)


def says(call: Call, hertz: float) -> None:
    call.media.play(listen.tone(hertz, A_MINUTE))


class Stage:
    """A caller who talks to the first agent, each with a tone of their own."""

    def __init__(self, room: Room, caller: Call, item: CallWaiting, leg: str, first: Call) -> None:
        self.room, self.caller, self.item, self.leg, self.first = room, caller, item, leg, first
        self.control = room.parts.control

    async def do(self, order: CallOrder) -> None:
        await self.control.carry_out(order)

    async def ring(self, name: str = "o2", **more: object) -> str:
        leg = f"{self.item.interaction_id}-{name}"
        target = str(more.pop("target", self.room.plan.agents[1].extension))
        await self.do(RingLeg(
            interaction_id=self.item.interaction_id, leg_id=leg, caller=self.item.channel, target=target, ring_s=10,
            epoch=1, caller_number=self.item.ani, **more,
        ))  # type: ignore[arg-type] # fmt: skip
        return leg

    async def consult(self, name: str = "o2") -> str:
        heir = f"{self.item.interaction_id}-{name}"
        await self.do(HoldCaller(caller=self.item.channel, leg_id=self.leg, heir=heir, hears="ringing"))
        return await self.ring(name, with_leg=self.leg)

    async def picks_up(self, agent: int = 1, hertz: float = SECOND_HZ) -> Call:
        call = await self.room.agents[agent].next_call()
        call.answer()
        says(call, hertz)
        return call

    async def asked(self) -> tuple[str, Call]:
        """The first agent talks to the second, the caller hears music."""
        leg = await self.consult()
        second = await self.picks_up()
        await until(lambda: hears(self.first, SECOND_HZ) and hears(second, FIRST_HZ))
        return leg, second


async def talking(room: Room) -> Stage:
    for agent in room.agents:
        await agent.prepare()
    caller, item = await room.waits()
    leg, first = await room.talk(item)
    says(caller, CALLER_HZ)
    says(first, FIRST_HZ)
    await until(lambda: hears(caller, FIRST_HZ) and hears(first, CALLER_HZ))
    return Stage(room, caller, item, leg, first)


def has_music(call: Call) -> bool:
    """Something is heard that is nobody's tone."""
    sound = recent(call).astype("float64")
    return bool(len(sound) and (sound**2).mean() > 1e4) and hears_not(call, CALLER_HZ, FIRST_HZ, SECOND_HZ)


async def test_a_caller_on_hold_hears_music_and_nobody_and_is_talked_to_again_afterwards(room: Room) -> None:
    async with room.serving() as parts:
        stage = await talking(room)
        await stage.do(HoldCaller(caller=stage.item.channel, leg_id=stage.leg))
        await until(lambda: has_music(stage.caller) and hears_not(stage.first, CALLER_HZ))
        held = await parts.heard.until("CallHeld")
        assert isinstance(held, facts.CallHeld) and held.extension == room.plan.agents[0].extension
        await stage.do(JoinCaller(caller=stage.item.channel, leg_id=stage.leg))
        await until(lambda: hears(stage.caller, FIRST_HZ) and hears(stage.first, CALLER_HZ))
        await parts.heard.until("CallResumed")
        stage.first.hang_up()
        ended = await parts.heard.until("CallEnded")
        assert isinstance(ended, facts.CallEnded) and ended.reason == "agent_hangup"


async def test_who_is_joined_with_a_caller_they_talk_to_goes_on_talking(room: Room) -> None:
    async with room.serving():
        stage = await talking(room)
        for _ in range(2):
            await stage.do(JoinCaller(caller=stage.item.channel, leg_id=stage.leg))
            await asyncio.sleep(0.5)
            await until(lambda: hears(stage.caller, FIRST_HZ) and hears(stage.first, CALLER_HZ))
        assert stage.caller.state == stage.first.state == "talking"


async def test_a_process_that_finds_a_caller_on_hold_knows_whose_they_are(room: Room) -> None:
    async with room.serving(leaves=True) as parts:
        stage = await talking(room)
        await stage.do(HoldCaller(caller=stage.item.channel, leg_id=stage.leg))
        await parts.heard.until("CallHeld")
        at = (await parts.heard.until("CallConnected")).at
    known = {stage.item.interaction_id: KnownCall(stage.item.at, {stage.leg: at})}
    async with room.serving(known=known) as parts:
        connected = await parts.heard.until("CallConnected")
        assert (getattr(connected, "leg_id", ""), connected.at) == (stage.leg, at)
        held = await parts.heard.until("CallHeld")
        assert isinstance(held, facts.CallHeld) and held.by_order
        stage.control = parts.control
        await stage.do(JoinCaller(caller=stage.item.channel, leg_id=stage.leg))
        await until(lambda: hears(stage.caller, FIRST_HZ) and hears(stage.first, CALLER_HZ))


async def test_an_agent_who_vanishes_while_their_caller_is_on_hold_leaves_them_at_the_head_of_the_queue(
    room: Room,
) -> None:
    async with room.serving() as parts:
        stage = await talking(room)
        await stage.do(HoldCaller(caller=stage.item.channel, leg_id=stage.leg))
        await until(lambda: has_music(stage.caller))
        stage.first.hang_up()
        again = await parts.heard.until("CallWaiting", lambda event: event.at > stage.item.at)
        assert isinstance(again, facts.CallWaiting)
        assert (again.enqueued_at, again.queue) == (stage.item.enqueued_at, stage.item.queue)
        assert stage.caller.state == "talking"


async def test_a_muted_agent_is_not_heard_and_hears(room: Room) -> None:
    async with room.serving():
        stage = await talking(room)
        await stage.do(MuteLeg(leg_id=stage.leg, on=True))
        await until(lambda: hears_not(stage.caller, FIRST_HZ) and hears(stage.first, CALLER_HZ))
        await stage.do(MuteLeg(leg_id=stage.leg, on=False))
        await until(lambda: hears(stage.caller, FIRST_HZ))


async def test_in_a_consult_two_agents_hear_each_other_and_the_caller_music_until_it_is_completed(room: Room) -> None:
    async with room.serving() as parts:
        stage = await talking(room)
        leg, second = await stage.asked()
        await until(lambda: has_music(stage.caller) and hears_not(stage.first, CALLER_HZ))
        assert hears_not(second, CALLER_HZ)
        await stage.do(EndLeg(leg_id=stage.leg))
        await until(lambda: hears(stage.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        connected = await parts.heard.until("CallConnected", lambda event: getattr(event, "leg_id", "") == leg)
        assert connected.interaction_id == stage.item.interaction_id and stage.first.state == "ended"
        assert parts.heard.kinds().count("CallWaiting") == 1, "and never waited meanwhile"
        second.hang_up()
        ended = await parts.heard.until("CallEnded")
        assert isinstance(ended, facts.CallEnded) and ended.reason == "agent_hangup"


async def test_a_consult_that_is_taken_back_or_hung_up_by_the_other_returns_the_agent_to_the_caller(room: Room) -> None:
    async with room.serving():
        stage = await talking(room)
        leg, second = await stage.asked()
        await stage.do(EndLeg(leg_id=leg))
        await until(lambda: hears(stage.caller, FIRST_HZ) and hears(stage.first, CALLER_HZ))
        assert second.state == "ended"


async def test_the_agent_may_go_to_and_fro_between_caller_and_colleague(room: Room) -> None:
    async with room.serving():
        stage = await talking(room)
        leg, second = await stage.asked()
        await stage.do(SwapLegs(caller=stage.item.channel, leg_id=stage.leg, other=leg))
        await until(lambda: hears(stage.caller, FIRST_HZ) and hears(stage.first, CALLER_HZ) and has_music(second))
        await stage.do(SwapBack(caller=stage.item.channel, leg_id=stage.leg, other=leg))
        await until(lambda: hears(second, FIRST_HZ) and hears(stage.first, SECOND_HZ) and has_music(stage.caller))
        await stage.do(EndLeg(leg_id=stage.leg))
        await until(lambda: hears(stage.caller, SECOND_HZ) and hears(second, CALLER_HZ))


async def test_three_hear_each_other_and_whoever_leaves_the_other_two_go_on(room: Room) -> None:
    async with room.serving() as parts:
        stage = await talking(room)
        leg, second = await stage.asked()
        await stage.do(JoinAll(caller=stage.item.channel, leg_id=stage.leg, other=leg))
        await until(lambda: hears(stage.caller, FIRST_HZ, SECOND_HZ))
        await until(lambda: hears(second, FIRST_HZ, CALLER_HZ) and hears(stage.first, SECOND_HZ, CALLER_HZ))
        stage.first.hang_up()
        await until(lambda: hears(stage.caller, SECOND_HZ) and hears_not(stage.caller, FIRST_HZ))
        assert hears(second, CALLER_HZ)
        second.hang_up()
        assert await stage.caller.until("ended", timeout_s=3) == "ended", "and nobody is left alone in it"
        await parts.heard.until("CallEnded")


async def test_when_the_third_leaves_a_conference_caller_and_agent_can_talk_alone_again_and_hold(room: Room) -> None:
    async with room.serving():
        stage = await talking(room)
        leg, second = await stage.asked()
        await stage.do(SwapLegs(caller=stage.item.channel, leg_id=stage.leg, other=leg))
        await until(lambda: hears(stage.caller, FIRST_HZ) and has_music(second))
        await stage.do(JoinAll(caller=stage.item.channel, leg_id=stage.leg, other=leg, swapped=True))
        await until(lambda: hears(stage.caller, FIRST_HZ, SECOND_HZ) and hears(stage.first, SECOND_HZ, CALLER_HZ))
        await stage.do(EndLeg(leg_id=leg))
        await stage.do(LeaveRoom(caller=stage.item.channel, leg_id=stage.leg))
        await until(lambda: hears(stage.caller, FIRST_HZ) and hears_not(stage.caller, SECOND_HZ))
        await stage.do(HoldCaller(caller=stage.item.channel, leg_id=stage.leg))
        await until(lambda: has_music(stage.caller))
        await stage.do(JoinCaller(caller=stage.item.channel, leg_id=stage.leg))
        await until(lambda: hears(stage.caller, FIRST_HZ) and hears(stage.first, CALLER_HZ))
        stage.first.hang_up()
        assert await stage.caller.until("ended", timeout_s=3) == "ended"


async def test_when_the_other_phone_is_not_answered_the_agent_is_back_with_the_caller_without_us(room: Room) -> None:
    async with room.serving():
        stage = await talking(room)
        await stage.consult()
        ringing = await room.agents[1].next_call()
        await until(lambda: has_music(stage.caller))
        ringing.reject(486)
        await until(lambda: hears(stage.caller, FIRST_HZ) and hears(stage.first, CALLER_HZ))


async def test_who_was_on_hold_can_be_sent_on(room: Room) -> None:
    async with room.serving() as parts:
        stage = await talking(room)
        await stage.do(HoldCaller(caller=stage.item.channel, leg_id=stage.leg))
        await until(lambda: has_music(stage.caller))
        leg = f"{stage.item.interaction_id}-o2"
        await stage.do(LeaveFor(caller=stage.item.channel, leg_id=stage.leg, heir=leg))
        await stage.ring()
        second = await stage.picks_up()
        await until(lambda: hears(stage.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        assert parts.heard.kinds().count("CallWaiting") == 1


async def test_the_callers_going_ends_a_conference_for_all(room: Room) -> None:
    async with room.serving():
        stage = await talking(room)
        leg, second = await stage.asked()
        await stage.do(JoinAll(caller=stage.item.channel, leg_id=stage.leg, other=leg))
        await until(lambda: hears(stage.caller, FIRST_HZ, SECOND_HZ))
        stage.caller.hang_up()
        assert await second.until("ended", timeout_s=3) == await stage.first.until("ended", timeout_s=3) == "ended"


async def test_an_agent_who_vanishes_while_the_other_phone_rings_leaves_the_caller_to_whoever_answers(
    room: Room,
) -> None:
    async with room.serving() as parts:
        stage = await talking(room)
        leg = await stage.consult()
        ringing = await room.agents[1].next_call()
        await until(lambda: has_music(stage.caller))
        stage.first.hang_up()
        await parts.heard.until("LegEnded", lambda event: getattr(event, "leg_id", "") == stage.leg)
        ringing.answer()
        says(ringing, SECOND_HZ)
        await until(lambda: hears(stage.caller, SECOND_HZ) and hears(ringing, CALLER_HZ))
        await parts.heard.until("CallConnected", lambda event: getattr(event, "leg_id", "") == leg)


async def test_and_when_nobody_answers_the_caller_waits_again_with_the_wait_they_had(room: Room) -> None:
    async with room.serving() as parts:
        stage = await talking(room)
        await stage.consult()
        ringing = await room.agents[1].next_call()
        stage.first.hang_up()
        ringing.reject(486)
        again = await parts.heard.until("CallWaiting", lambda event: event.at > stage.item.at)
        assert isinstance(again, facts.CallWaiting) and again.enqueued_at == stage.item.enqueued_at
        assert stage.caller.state == "talking"


async def test_a_blind_transfer_rings_the_other_phone_while_the_caller_hears_music(room: Room) -> None:
    async with room.serving() as parts:
        stage = await talking(room)
        leg = f"{stage.item.interaction_id}-o2"
        await stage.do(LeaveFor(caller=stage.item.channel, leg_id=stage.leg, heir=leg))
        await stage.ring()
        assert await stage.first.until("ended", timeout_s=3) == "ended"
        ringing = await room.agents[1].next_call()
        await until(lambda: has_music(stage.caller))
        ringing.answer()
        says(ringing, SECOND_HZ)
        await until(lambda: hears(stage.caller, SECOND_HZ) and hears(ringing, CALLER_HZ))
        assert "CallHeld" not in parts.heard.kinds()


async def test_a_blind_transfer_to_a_queue_keeps_what_the_caller_carries(room: Room) -> None:
    async with room.serving() as parts:
        stage = await talking(room)
        told = {"AC_QUEUE": "service", "AC_PROBLEM": "late, twice", "AC_NOTE": 'said "yes", wants a refund'}
        await stage.do(SendCaller(caller=stage.item.channel, leg_id=stage.leg, to="queue", variables=told))
        again = await parts.heard.until("CallWaiting", lambda event: event.at > stage.item.at)
        assert isinstance(again, facts.CallWaiting)
        assert (again.queue, again.problem) == ("service", "late, twice")
        assert again.note == 'said "yes", wants a refund'
        assert again.enqueued_at == stage.item.enqueued_at
        await until(lambda: has_music(stage.caller))


async def test_a_parked_caller_hears_music_is_fetched_by_anybody_and_waits_again_when_nobody_does(room: Room) -> None:
    async with room.serving() as parts:
        stage = await talking(room)
        await stage.do(ParkCaller(caller=stage.item.channel, leg_id=stage.leg, park_s=60))
        assert await stage.first.until("ended", timeout_s=3) == "ended"
        await until(lambda: has_music(stage.caller))
        await room.until_stage(stage.item, "park")
        leg = await stage.ring(only_from="park")
        second = await stage.picks_up()
        await until(lambda: hears(stage.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        await stage.do(ParkCaller(caller=stage.item.channel, leg_id=leg, park_s=1))
        again = await parts.heard.until("CallWaiting", lambda event: event.at > stage.item.at)
        assert isinstance(again, facts.CallWaiting) and again.enqueued_at == stage.item.enqueued_at


async def test_who_answers_too_late_for_a_parked_caller_does_not_tear_them_from_where_they_are(room: Room) -> None:
    async with room.serving():
        stage = await talking(room)
        await stage.ring(only_from="park")
        second = await room.agents[1].next_call()
        second.answer()
        assert await second.until("ended", timeout_s=3) == "ended"
        assert hears(stage.caller, FIRST_HZ)


async def test_whoever_takes_a_call_over_gets_the_caller_when_they_answer_and_not_before(room: Room) -> None:
    async with room.serving():
        stage = await talking(room)
        await stage.ring(only_from="talk")
        second = await room.agents[1].next_call()
        assert hears(stage.caller, FIRST_HZ)
        second.answer()
        says(second, SECOND_HZ)
        await until(lambda: hears(stage.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        assert await stage.first.until("ended", timeout_s=3) == "ended"
        await asyncio.sleep(0.5)
        assert hears(stage.caller, SECOND_HZ) and second.state == "talking"


async def test_a_supervisor_hears_both_whispers_to_the_agent_alone_and_barges_in(room: Room) -> None:
    async with room.serving() as parts, await phone(room.plan, 2) as supervisor:
        stage = await talking(room)
        agents = room.plan.agents
        await stage.do(Supervise(
            interaction_id=stage.item.interaction_id, spy_id="spy-1.1", extension=agents[2].extension,
            agent=agents[0].extension, leg_id=stage.leg, mode="monitor", ring_s=10,
        ))  # fmt: skip
        spy = await supervisor.next_call()
        spy.answer()
        says(spy, THIRD_HZ)
        await until(lambda: hears(spy, CALLER_HZ, FIRST_HZ))
        joined = await parts.heard.until("SupervisorJoined")
        assert isinstance(joined, facts.SupervisorJoined)
        assert (joined.interaction_id, joined.mode) == (stage.item.interaction_id, "monitor")
        assert hears_not(stage.caller, THIRD_HZ) and hears_not(stage.first, THIRD_HZ)
        await stage.do(ChangeMode(spy_id="spy-1.1", mode="whisper"))
        await until(lambda: hears(stage.first, THIRD_HZ, CALLER_HZ) and hears(spy, CALLER_HZ, FIRST_HZ))
        assert hears_not(stage.caller, THIRD_HZ)
        await stage.do(ChangeMode(spy_id="spy-1.1", mode="barge"))
        await until(lambda: hears(stage.first, THIRD_HZ) and hears(stage.caller, THIRD_HZ, FIRST_HZ))
        stage.first.hang_up()
        assert await spy.until("ended", timeout_s=3) == "ended"
        await parts.heard.until("PartyLeft")


async def test_somebody_outside_is_asked_and_given_the_caller_over_the_trunk(room: Room) -> None:
    async with room.serving() as parts, room.outside() as outside:
        stage = await talking(room)
        leg = f"{stage.item.interaction_id}-out1"
        await stage.do(HoldCaller(caller=stage.item.channel, leg_id=stage.leg, heir=leg, hears="ringing"))
        await stage.ring("out1", with_leg=stage.leg, target="13900001111", trunk="trunk")
        third = await outside.next_call()
        third.answer()
        says(third, SECOND_HZ)
        await until(lambda: hears(stage.first, SECOND_HZ) and hears(third, FIRST_HZ) and has_music(stage.caller))
        await stage.do(EndLeg(leg_id=stage.leg))
        await until(lambda: hears(stage.caller, SECOND_HZ) and hears(third, CALLER_HZ))
        joined = await parts.heard.until("PartyJoined")
        assert isinstance(joined, facts.PartyJoined) and joined.role == "third"
        assert await parts.resync.now() == 0, "the list agrees"
        third.hang_up()
        await parts.heard.until("PartyLeft")
        await parts.heard.until("CallEnded")
        assert len([event for event in parts.heard.events if event.kind == "CallArrived"]) == 1
