"""The dialplan guards callers against us: a process that is silent, dead or gone costs them a moment, never their place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.softphone import Call, listen
from core.prompts.library import PromptLibrary
from pbx import ami_actions, heartbeat, resync
from pbx.agi_server import AgiSession
from tests.real.pbx.conftest import held
from tests.real.pbx.lab import settled
from tests.real.pbx.room import Room, open_room

pytestmark = pytest.mark.asyncio(loop_scope="module")
ONE_MOMENT = listen.read_wav(f"{PromptLibrary().find('fallback-one-moment', 'en')}.wav")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    """With short patience: the grace of waiting callers is five seconds."""
    settings = {"asterisk": {"grace_s": 5, "lost_wait_s": 1, "fallback_wait_s": 60}}
    async for it in held(open_room(tmp_path_factory.mktemp("lab"), settings)):
        yield it


class Menus:
    """Holds every caller who comes, as a menu does that waits for a key."""

    def __init__(self) -> None:
        self.sessions: list[AgiSession] = []

    async def __call__(self, session: AgiSession) -> None:
        self.sessions.append(session)
        await session.wait_for_digit(60)

    async def has(self, count: int) -> None:
        async with asyncio.timeout(15):
            while len(self.sessions) < count:
                await asyncio.sleep(0.02)


async def into_menu(room: Room) -> Call:
    call = await room.caller.call(room.plan.dids.menu, from_user="13900000001")
    assert await call.until("talking") == "talking"
    return call


async def silent() -> None:
    """In the place of a beat: as of a loop that is frozen."""


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_without_a_heartbeat_menus_are_left_talks_go_on_and_waiting_callers_keep_their_place(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    menus = Menus()
    monkeypatch.setattr(resync, "EVERY_S", 1000.0)  # we are frozen in this story: nothing of ours comes round
    async with room.serving(menus) as parts:
        talking, talked_item = await room.waits()
        _, agent = await room.talk(talked_item)
        waiting, item = await room.waits()
        before = await room.ticket(item)
        in_menu = await into_menu(room)
        await menus.has(1)

        beats = parts.heartbeat._beat
        monkeypatch.setattr(parts.heartbeat, "_beat", silent)
        silent_since = now()
        await listen.hear(in_menu, ONE_MOMENT, timeout_s=15)
        assert now() - silent_since < 15, "pass line 5 s"
        late = await into_menu(room)  # whoever comes now is not even asked to wait for us
        await listen.hear(late, ONE_MOMENT, timeout_s=10)
        assert (await room.ticket(item))["AC_STAGE"] in ("wait", "fallback")
        assert menus.sessions[0].interaction_id and len(menus.sessions) == 1

        await room.until_stage(item, "fallback", timeout_s=15)
        assert now() - silent_since > 3.5, "not before the grace"
        static = await room.agents[1].next_call()
        assert talking.state == agent.state == "talking"
        assert talking.media.longest_gap_s(since=silent_since) < 0.3
        assert (await room.ticket(talked_item))["AC_STAGE"] == "talk"

        monkeypatch.setattr(parts.heartbeat, "_beat", beats)
        await settled(parts)
        await parts.resync.now()
        back = await room.until_stage(item, "wait")
        assert (back["AC_AT"], back["AC_QUEUE"], back["AC_VISIT"]) == (before["AC_AT"], before["AC_QUEUE"], "2")
        assert parts.resync.reclaimed >= 1 and waiting.state == "talking"
        again = await parts.heard.until(
            "CallWaiting", lambda e: e.interaction_id == item.interaction_id and e.at > item.at
        )
        assert again.enqueued_at == item.enqueued_at  # type: ignore[attr-defined]
        assert await static.until("ended", timeout_s=5) == "ended"
        assert talking.state == agent.state == "talking"


async def test_a_caller_whose_menu_died_under_them_hears_one_moment_and_comes_into_the_next_ones(room: Room) -> None:
    first, second = Menus(), Menus()
    async with room.serving(first, leaves=True):
        call = await into_menu(room)
        await first.has(1)
    died_at = now()
    async with room.serving(second):
        await listen.hear(call, ONE_MOMENT, timeout_s=15)
        await second.has(1)
        assert now() - died_at < 20
        assert second.sessions[0].interaction_id == first.sessions[0].interaction_id and call.state == "talking"


async def test_a_process_that_comes_back_brings_back_who_was_lost_at_once_and_they_stay(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with room.serving(leaves=True) as parts:
        call, item = await room.waits()
        monkeypatch.setattr(parts.heartbeat, "_beat", silent)
        await asyncio.sleep(heartbeat.BEAT_S * 2)  # until the watchdog has seen the last one
        await parts.control.set_global("AC_QUIET", "1000")  # as after a long time
        await room.until_stage(item, "fallback")
    async with room.serving() as parts:
        came_back = now()
        waiting = await parts.heard.until("CallWaiting", timeout_s=5)
        assert waiting.enqueued_at == item.enqueued_at and call.state == "talking"  # type: ignore[attr-defined]
        await room.offer(item)
        offered = await room.agents[0].next_call(timeout_s=5)
        while not offered.header("x-aftercall-offer"):  # the static queue had rung, too
            offered = await room.agents[0].next_call(timeout_s=5)
        offered.answer()
        await parts.heard.until("CallConnected", timeout_s=5)
        assert now() - came_back < 6 and parts.resync.reclaimed == 1


async def test_a_phone_that_rings_for_a_process_that_is_gone_is_stopped_and_the_caller_waits_on(room: Room) -> None:
    async with room.serving(leaves=True) as parts:
        call, item = await room.waits()
        leg = await room.offer(item, ring_s=60)
        rung = await room.agents[0].next_call()
        await parts.heard.until("LegRinging")
    async with room.serving() as parts:
        assert await rung.until("ended", timeout_s=5) == "ended" and rung.status == 487
        repaired = await parts.heard.until(
            "StateRepaired", lambda event: getattr(event, "what", "") == "offer_orphaned"
        )
        assert repaired.interaction_id == item.interaction_id and leg.startswith(repaired.interaction_id)
        waiting = await parts.heard.until("CallWaiting")
        assert waiting.enqueued_at == item.enqueued_at and call.state == "talking"  # type: ignore[attr-defined]
        ended = await parts.heard.until("LegEnded")
        assert ended.cause == 26  # type: ignore[attr-defined]


async def test_a_watchdog_that_is_gone_is_started_again_and_there_is_one(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "LOOK_EVERY", 3)
    async with room.serving() as parts:
        await parts.control.hang_up((await watchdogs(room))[0])
        async with asyncio.timeout(15):
            while not parts.heartbeat.watchdog_restarts:
                await asyncio.sleep(0.05)
            seen = await parts.control.get_global("AC_WD")
            while await parts.control.get_global("AC_WD") == seen:
                await asyncio.sleep(0.05)
        monkeypatch.undo()
        assert len(await watchdogs(room)) == 2, "the two ends of one channel"
        await settled(parts)
        assert parts.heartbeat.watchdog_restarts == 1


async def watchdogs(room: Room) -> list[str]:
    listed = await room.parts.link.ask_list(*ami_actions.list_channels([]), take=lambda blocks: blocks)
    return [str(block["channel"]) for block in listed if "ac-watchdog" in str(block["channel"])]
