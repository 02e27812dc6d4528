"""Calls on a real Asterisk: offered, connected without us, given up, ended, and heard of after a lost link."""

from __future__ import annotations

import asyncio

import pytest

from app.softphone import listen
from app.world import switch
from core.events import pbx as facts
from pbx import ami, doctor
from pbx.ami_events import seen_in_status
from tests.real.pbx.room import Room

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def hears(call: object, hertz: float) -> bool:
    """Whether the tone is in the last half second."""
    sound = call.media.heard()[-4000:]  # type: ignore[attr-defined]
    return listen.tone_level(sound, hertz) > 0.5


async def test_an_offer_is_connected_by_asterisk_alone_when_our_process_dies_while_the_phone_rings(room: Room) -> None:
    async with room.serving(leaves=True) as parts:
        call, item = await room.waits()
        leg = await room.offer(item)
        offered = await room.agents[0].next_call()
        await parts.heard.until("LegRinging")
    offered.answer()
    offered.media.play(listen.tone(440, 1.5))
    call.media.play(listen.tone(880, 1.5))
    await asyncio.gather(offered.media.said(), call.media.said())
    assert await hears(call, 440) and await hears(offered, 880)
    async with room.serving() as parts:  # and the process after it finds them talking
        (known,) = parts.board.calls()
        assert known.id == item.interaction_id and known.talking is not None and known.talking.leg_id == leg
        call.hang_up()
        ended = await parts.heard.until("CallEnded")
        assert isinstance(ended, facts.CallEnded) and ended.reason == "caller_hangup"
        await parts.heard.until("LegEnded")


async def test_the_callers_music_does_not_stop_until_the_agent_answers_and_the_first_word_is_heard(room: Room) -> None:
    async with room.serving() as parts:
        call, item = await room.waits()
        since = asyncio.get_running_loop().time()
        leg = await room.offer(item)
        offered = await room.agents[0].next_call()
        assert offered.header("x-aftercall-interaction") == item.interaction_id
        await asyncio.sleep(0.3)
        assert call.media.longest_gap_s(since=since) < 0.2
        offered.answer()
        offered.media.play(listen.tone(440, 1.0))
        connected = await parts.heard.until("CallConnected")
        assert getattr(connected, "leg_id", "") == leg
        await offered.media.said()
        assert await hears(call, 440)
        offered.hang_up()
        ended = await parts.heard.until("CallEnded")
        assert isinstance(ended, facts.CallEnded) and ended.reason == "agent_hangup" and 0.5 < ended.talk_s < 10


@pytest.mark.parametrize(
    ("status", "causes"), [(486, {17}), (603, {21}), (480, {19, 20}), (404, {1, 3}), (500, {41, 38, 127})],
)  # fmt: skip
async def test_why_an_offer_came_to_nothing_is_the_cause_of_its_own_leg(
    room: Room, status: int, causes: set[int]
) -> None:
    async with room.serving() as parts:
        _, item = await room.waits()
        await room.offer(item)
        (await room.agents[0].next_call()).reject(status)
        ended = await parts.heard.until("LegEnded")
        assert isinstance(ended, facts.LegEnded) and not ended.answered
        assert ended.cause in causes
        assert (await room.ticket(item))["AC_STAGE"] == "wait", "the caller was left alone"


async def test_a_phone_that_is_not_picked_up_stops_ringing_in_time_and_one_that_is_not_there_fails_at_once(
    room: Room,
) -> None:
    async with room.serving() as parts:
        _, item = await room.waits()
        begun = asyncio.get_running_loop().time()
        await room.offer(item, "o1", ring_s=1)
        await room.offer(item, "o2", to=2, ring_s=10)
        gone = await parts.heard.until("LegEnded", lambda event: getattr(event, "offer_id", "") == "o2")
        assert (
            isinstance(gone, facts.LegEnded) and gone.cause in (3, 20) and asyncio.get_running_loop().time() - begun < 1
        )
        missed = await parts.heard.until("LegEnded", lambda event: getattr(event, "offer_id", "") == "o1")
        assert isinstance(missed, facts.LegEnded) and missed.cause == 19
        assert 0.9 < asyncio.get_running_loop().time() - begun < 3


async def test_a_cancelled_offer_stops_ringing_at_once_also_when_it_is_cancelled_in_the_same_moment(room: Room) -> None:
    async with room.serving() as parts:
        _, item = await room.waits()
        leg = await room.offer(item, "o1")
        rung = await room.agents[0].next_call()
        await parts.control.cancel_offer(leg)
        assert await rung.until("ended", timeout_s=3) == "ended" and rung.status == 487
        ended = await parts.heard.until("LegEnded")
        assert isinstance(ended, facts.LegEnded) and (ended.cause, ended.answered) == (26, False)
        await parts.control.cancel_offer(await room.offer(item, "o2"))
        await parts.heard.until("LegEnded", lambda event: getattr(event, "offer_id", "") == "o2")
        await parts.control.cancel_offer("n1-0.0-o9")  # of a leg that never was: nothing happens
        assert (await room.ticket(item))["AC_STAGE"] == "wait"


async def test_an_offer_of_an_owner_that_has_been_replaced_is_not_connected(room: Room) -> None:
    async with room.serving() as parts:
        call, item = await room.waits()
        await room.offer(item, epoch=1)
        rung = await room.agents[0].next_call()
        await parts.control.set_global("ACD_EPOCH", "2")
        rung.answer()
        assert await rung.until("ended", timeout_s=3) == "ended"
        await parts.heard.until("LegEnded")
        assert (await room.ticket(item))["AC_STAGE"] == "wait" and call.state == "talking"
        assert "CallConnected" not in parts.heard.kinds()


async def test_of_two_agents_who_answer_one_caller_at_once_one_gets_the_call_and_the_other_is_let_go(
    room: Room,
) -> None:
    async with room.serving() as parts:
        call, item = await room.waits()
        await room.offer(item, "o1", to=0)
        await room.offer(item, "o2", to=1)
        rung = [await agent.next_call() for agent in room.agents]
        for each in rung:
            each.answer()
        await parts.heard.until("CallConnected")
        await parts.heard.until("LegEnded")
        assert sorted(each.state for each in rung) == ["ended", "talking"] and call.state == "talking"
        assert parts.heard.kinds().count("CallConnected") == 1


async def test_several_skills_and_a_problem_in_words_arrive_whole_by_event_and_by_list(room: Room) -> None:
    wanted = {"AC_SKILLS": "en:2,vip:1,zh:3", "AC_PROBLEM": 'late, "very" late (twice), AcQueue: other', "AC_PRIO": "4"}
    async with room.serving(leaves=True) as parts:
        _, item = await room.waits()
        await parts.control.set_variables(item.channel, wanted)
        await parts.control.move(item.channel, "ac-wait")
        again = await parts.heard.until("CallWaiting", lambda event: getattr(event, "priority", 0) == 4)
        assert isinstance(again, facts.CallWaiting)
        assert again.skills == {"en": 2, "vip": 1, "zh": 3} and again.problem == wanted["AC_PROBLEM"]
        assert again.queue == item.queue and again.enqueued_at == item.enqueued_at
    async with room.serving() as parts:
        listed = await parts.heard.until("CallWaiting")
        assert isinstance(listed, facts.CallWaiting)
        assert (listed.skills, listed.problem, listed.enqueued_at) == (again.skills, again.problem, item.enqueued_at)


# --- links


async def kick(room: Room) -> None:
    """Asterisk throws our session out."""
    said = await switch.ask(room.plan, "manager show connected") or ""
    ours = next(line for line in said.splitlines() if room.plan.ami.controller.user in line)
    descriptor = ours.split()[4]
    await switch.ask(room.plan, f"manager kick session {descriptor}")


async def test_after_a_dropped_link_we_know_what_happened_meanwhile(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ami, "BACKOFF_S", (0.8, 0.8))
    async with room.serving() as parts:
        stays, stays_item = await room.waits()
        leaves, leaves_item = await room.waits()
        leg = await room.offer(stays_item)
        rung = await room.agents[0].next_call()
        await parts.heard.until("LegRinging")
        await kick(room)
        async with asyncio.timeout(5):
            while parts.link.up:
                await asyncio.sleep(0.01)
        with pytest.raises(ami.LinkDown):
            await parts.control.hang_up(leg)
        parts.heard.events.clear()
        leaves.hang_up()
        rung.answer()
        comes = await room.caller.call(room.plan.dids.queue, from_user="13911112222")
        await comes.until("talking")
        assert parts.heard.events == [], "nobody told us"
        async with asyncio.timeout(10):
            await parts.up.wait()
        ended = await parts.heard.until("CallEnded")
        assert (ended.interaction_id, getattr(ended, "reason", "")) == (leaves_item.interaction_id, "vanished")
        connected = await parts.heard.until("CallConnected")
        assert getattr(connected, "leg_id", "") == leg
        new = await parts.heard.until("CallWaiting")
        assert getattr(new, "ani", "") == "13911112222"
        believed = {call.id: call.talking is not None for call in parts.board.calls()}
        assert believed == {stays_item.interaction_id: True, new.interaction_id: False}
        assert not parts.link.restarted and "node_lost" not in str(parts.heard.events)
        assert stays.state == rung.state == "talking"
        assert await parts.resync.now() == 0, "nothing is left to mend"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pyst2 is of 2019
async def test_the_second_opinion_agrees_and_says_so_when_it_does_not(room: Room) -> None:
    async with room.serving() as parts:
        _, item = await room.waits()
        ami_plan, agents = room.plan.ami, [agent.extension for agent in room.plan.agents]

        async def ask(believed: set[str], secret: str = "") -> list[doctor.Finding]:
            return await asyncio.to_thread(
                doctor.ask, ami_plan.host, ami_plan.port, ami_plan.doctor.user, secret or ami_plan.doctor.password,
                believed_calls=believed, trunk=room.plan.trunk.user, agents=agents,
            )  # fmt: skip

        assert [finding.ok for finding in await ask({call.id for call in parts.board.calls()})] == [True] * 3
        wrong = next(finding for finding in await ask({"n1-0.0"}) if not finding.ok)
        assert item.interaction_id in wrong.what and "n1-0.0" in wrong.what and wrong.fix
        (refused,) = await ask(set(), "not-the-password")
        assert not refused.ok and "not-the-password" not in refused.what


async def test_what_asterisk_lists_can_be_read_whole(room: Room) -> None:
    async with room.serving() as parts:
        call, item = await room.waits("Li Na")
        _, offered = await room.talk(item)
        seen = {channel.uniqueid: channel for channel in await room.channels()}
        caller, agent = seen[item.interaction_id], seen[f"{item.interaction_id}-o1"]
        assert caller.up and agent.up and caller.bridge_id == agent.bridge_id != ""
        assert (caller.number, caller.name, caller.variables["AC_STAGE"]) == (item.ani, "Li Na", "talk")
        assert caller.variables["AC_IX"] == item.interaction_id and agent.variables["AC_OFFER"] == "o1"
        echo = await room.caller.call(room.plan.dids.echo)
        await echo.until("talking")
        listed = await parts.link.ask_list("Status", take=lambda blocks: blocks)
        assert all(seen_in_status(block, parts.board._clock.now()) is not None for block in listed)
        assert await parts.resync.now() == 0, "also of a call that has no ticket"
        offered.hang_up()
