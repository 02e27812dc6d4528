"""A house whose roles live apart: five kinds of process, joined by Redis, seen from outside.

One world for all of it (its start is what costs); each test leaves it without calls and with nobody READY.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from app.demo.story import Story
from app.softphone import Call, Softphone, listen
from app.world import switch
from app.world.outside import OutsideWorld
from app.world.plan import read_plan
from core.prompts.library import PromptLibrary
from recordings.models import SpeechModel
from tests.real.house.test_takeover import until

pytestmark = pytest.mark.asyncio(loop_scope="module")
SETTINGS = {
    "SPLIT__PROCESSES": '["telephony", "acd", "web", "worker", "transcriber"]',
    "ASTERISK__GRACE_S": "12",  # for those who wait, when nobody decides about them
    "SUPERVISOR__BEAT_S": "60",  # nobody kills for silence here: a frozen process stays as it is
    "SUPERVISOR__FIRST_BEAT_S": "120",
    "SUPERVISOR__BEAT_STARTING_S": "60",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def split(tmp_path_factory: pytest.TempPathFactory, english_model: SpeechModel) -> AsyncIterator[OutsideWorld]:
    async with OutsideWorld(tmp_path_factory.mktemp("split") / "home", settings=SETTINGS) as world:
        yield world


def pids(world: OutsideWorld) -> dict[str, int]:
    """Who runs now."""
    told: dict[str, int] = json.loads((world.home / "run" / "world.json").read_text())["pids"]
    return told


async def both(world: OutsideWorld, role: str) -> None:
    await until(lambda: {role, f"{role}-standby"} <= pids(world).keys(), timeout_s=60)
    states = [world.home / "run" / f"{role}-{slot}.ready" for slot in (1, 2)]
    await until(
        lambda: (
            sorted(json.loads(file.read_text())["state"] for file in states if file.exists()) == ["owner", "standby"]
        ),
        timeout_s=60,
    )


async def waiting(world: OutsideWorld) -> list[tuple[str, str]]:
    """Who waits, in order, and since when."""
    page = await world.get("queues")
    items = [item for queue in page["items"] for item in queue["waiting"]]
    return [(item["interaction_id"], item["enqueued_at"]) for item in items]


@asynccontextmanager
async def callers(world: OutsideWorld, number: int) -> AsyncIterator[list[Call]]:
    """So many callers who wait, one after the other."""
    calls: list[Call] = []
    phone = await world.caller()
    try:
        for n in range(number):
            call = await phone.call(world.facts["dids"]["queue"], from_user=f"1380000003{n}")
            await call.until("talking")
            calls.append(call)
            await world.get_until(
                "queues", lambda page, n=n: sum(len(q["waiting"]) for q in page["items"]) == n + 1, timeout_s=15
            )
        yield calls
    finally:
        for call in calls:
            if call.state != "ended":
                call.hang_up()


async def away(world: OutsideWorld, number: int) -> None:
    agent = world.facts["agents"][number]
    body = {"state": "NOT_READY", "reason": "break"}
    await world.post(f"agents/{agent['extension']}/state", body, token=agent["token"])


def routing_lost(world: OutsideWorld) -> int:
    """How often the telephony part has found that nobody decides about those who wait."""
    return sum(log.read_text().count('"routing_lost"') for log in (world.home / "log").glob("telephony-*.log"))


def live(phone: Softphone) -> list[Call]:
    return [call for call in phone.calls.values() if call.state != "ended"]


async def test_a_call_goes_from_dialling_to_transcript_through_five_processes(split: OutsideWorld) -> None:
    world = split
    report = await world.get("health")
    told = {part["name"]: part["words"] for part in report["parts"]}
    for role in ("telephony", "acd", "worker", "transcriber"):
        assert "serves, alive since" in told[role], told
    assert len({world.facts["pids"][role] for role in ("telephony", "acd", "web", "worker", "transcriber")}) == 5
    story: dict[str, Any] = await Story(world, lambda _line: None, PromptLibrary()).tell()
    kinds = [event["kind"] for event in story["call"]["timeline"]]
    for kind in ("FlowStarted", "CallerIdentified", "ItemQueued", "OfferMade", "CardPushed", "CallConnected", "SegmentEnded",
                 "CallEnded", "RecordingStored", "TranscriptReady"):  # fmt: skip
        assert kinds.count(kind) == 1, kinds
    assert story["card_pushed_ms_before_ring"] > 0
    assert {turn["side"] for turn in story["transcript"]["turns"]} == {"caller", "agent"}
    await away(world, 0)


async def test_when_the_acd_is_killed_its_standby_makes_the_next_offer_in_the_same_order(split: OutsideWorld) -> None:
    world = split
    await both(world, "acd")
    async with callers(world, 2) as calls:
        before = await waiting(world)
        agent = await world.agent(1, ready=False)
        killed_at = asyncio.get_running_loop().time()
        os.kill(pids(world)["acd"], signal.SIGKILL)
        await world.get_until("agents", lambda page: bool(page["items"]), timeout_s=20)
        await world.ready(1)
        offered = await agent.next_call(timeout_s=20)
        assert asyncio.get_running_loop().time() - killed_at < 15  # three times the promise
        assert offered.header("x-aftercall-interaction") == before[0][0]
        offered.answer()
        await offered.until("talking")
        assert (await waiting(world)) == before[1:]
        assert all(call.media.longest_gap_s(since=killed_at) < 0.5 for call in calls)
        await away(world, 1)
        offered.hang_up()


async def test_when_the_telephony_part_is_killed_people_talk_on_and_the_next_offer_is_made(split: OutsideWorld) -> None:
    world = split
    await both(world, "telephony")
    async with callers(world, 1) as calls:
        agent = await world.agent(4)
        offered = await agent.next_call()
        offered.answer()
        await offered.until("talking")
        await world.get_until(
            f"calls/{offered.header('x-aftercall-interaction')}",
            lambda call: "OfferAccepted" in [event["kind"] for event in call["timeline"]],
        )
        second = await (await world.caller()).call(world.facts["dids"]["queue"], from_user="13800000051")
        await second.until("talking")
        await world.get_until("queues", lambda page: sum(len(q["waiting"]) for q in page["items"]) == 1)
        killed_at = asyncio.get_running_loop().time()
        os.kill(pids(world)["telephony"], signal.SIGKILL)
        offered.media.play(listen.tone(440, 0.5))
        await offered.media.said()
        await calls[0].media.more(10)
        assert listen.tone_level(calls[0].media.heard()[-4000:], 440) > 0.5
        offered.hang_up()  # nobody of ours hears of it, but for the list of what is there
        again = await agent.next_call(timeout_s=25)
        assert all(call.media.longest_gap_s(since=killed_at) < 0.5 for call in (*calls, second))
        again.answer()
        assert await again.until("talking") == "talking"
        await world.get_until(  # the phone talks before the switch has joined the two
            f"calls/{again.header('x-aftercall-interaction')}",
            lambda call: "CallConnected" in [event["kind"] for event in call["timeline"]],
        )
        await away(world, 4)
        again.hang_up()
        assert await second.until("ended") == "ended"


async def test_a_redis_that_is_frozen_costs_nobody_their_place_and_makes_no_second_offer(split: OutsideWorld) -> None:
    world = split
    menu = listen.read_wav(f"{PromptLibrary().find('menu-main', 'en')}.wav")
    async with callers(world, 2) as calls:
        before = await waiting(world)
        agent = await world.agent(2, ready=False)
        redis = pids(world)["redis"]
        lost = routing_lost(world)
        frozen_at = asyncio.get_running_loop().time()
        os.kill(redis, signal.SIGSTOP)
        try:
            # Nobody decides about those who wait now, and the switch gets to know it; menus go on meanwhile.
            await until(lambda: routing_lost(world) > lost, timeout_s=10)
            in_menu = await (await world.caller()).call(world.facts["dids"]["menu"], from_user="13800000039")
            await listen.hear(in_menu, menu, timeout_s=10)
            in_menu.hang_up()
            with pytest.raises(RuntimeError, match="503"):
                await world.get("agents")
            await asyncio.sleep(max(0.0, 10 - (asyncio.get_running_loop().time() - frozen_at)))  # as long as promised
        finally:
            os.kill(redis, signal.SIGCONT)
        await world.get_until("agents", lambda page: bool(page["items"]), timeout_s=15)
        assert await waiting(world) == before
        assert all(call.state == "talking" and call.media.longest_gap_s(since=frozen_at) < 0.5 for call in calls)
        await world.ready(2)
        offered = await agent.next_call(timeout_s=15)
        assert offered.header("x-aftercall-interaction") == before[0][0]
        await offered.media.more(25) if offered.state == "talking" else await asyncio.sleep(0.5)
        assert live(agent) == [offered]
        offered.answer()
        await offered.until("talking")
        assert await waiting(world) == before[1:]
        await away(world, 2)
        offered.hang_up()


async def test_after_the_grace_who_waits_goes_to_the_static_queue_and_comes_back_with_place_and_wait(
    split: OutsideWorld,
) -> None:
    world = split
    await both(world, "acd")
    plan = read_plan(world.home)

    async def in_static_queue() -> int:
        said = await switch.ask(plan, "core show channels concise") or ""
        return sum("!ac-fallback!" in line for line in said.splitlines())

    async with callers(world, 2) as calls:
        before = await waiting(world)
        frozen = [pids(world)["acd"], pids(world)["acd-standby"]]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(40):
                while await in_static_queue() < 2:
                    await asyncio.sleep(0.2)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        async with asyncio.timeout(20):
            while await in_static_queue() or await _waiting_if_any(world) != before:
                await asyncio.sleep(0.2)
        assert all(call.state == "talking" for call in calls)


async def _waiting_if_any(world: OutsideWorld) -> list[tuple[str, str]]:
    try:
        return await waiting(world)
    except RuntimeError:  # nobody answers yet
        return []


async def test_an_acd_that_was_paused_past_its_lease_makes_no_offer_beside_the_other_s(split: OutsideWorld) -> None:
    world = split
    await both(world, "acd")
    async with callers(world, 1):
        agent = await world.agent(3)
        offered = await agent.next_call()
        offered.answer()
        await offered.until("talking")
        ix = offered.header("x-aftercall-interaction")
        await world.get_until(  # written down, so that whoever takes over knows who said READY
            f"calls/{ix}", lambda call: "OfferAccepted" in [event["kind"] for event in call["timeline"]]
        )
        paused = pids(world)["acd"]
        os.kill(paused, signal.SIGSTOP)
        try:
            second = await (await world.caller()).call(world.facts["dids"]["queue"], from_user="13800000041")
            await second.until("talking", timeout_s=15)
            await until(lambda: pids(world)["acd"] not in (paused, 0), timeout_s=20)
            offered.hang_up()  # heard by both: by the one that owns now, and by the one that wakes up
            again = await agent.next_call(timeout_s=20)
        finally:
            os.kill(paused, signal.SIGCONT)
        logs = [world.home / "log" / f"acd-{slot}.log" for slot in (1, 2)]
        await until(lambda: any('"controller_stopped"' in file.read_text() for file in logs), timeout_s=20)
        assert live(agent) == [again]
        again.answer()
        assert await again.until("talking") == "talking"
        second.hang_up()
