"""What callers notice when our own processes die or freeze: nothing, or at most "one moment"."""

import asyncio
import os
import signal

from app.softphone import listen
from app.world.outside import OutsideWorld
from core.prompts.library import PromptLibrary


async def test_talking_people_keep_talking_through_a_kill_and_the_record_is_whole(quiet_world: OutsideWorld) -> None:
    world = quiet_world
    agent = await world.agent(0)
    caller = await world.caller()
    call = await caller.call(world.facts["dids"]["queue"], from_user="13800000001")
    offered = await agent.next_call()
    offered.answer()
    await call.until("talking")
    await call.media.more(25)
    killed_at = asyncio.get_running_loop().time()
    await world.kill()
    offered.media.play(listen.tone(440, 1.0))
    await offered.media.said()
    await call.media.more(10)
    assert listen.tone_level(call.media.heard()[-6400:], 440) > 0.5
    await world.start()
    page = await world.get_until("agents", lambda page: page["items"][0]["state"] == "ENGAGED")
    assert page["items"][0]["extension"] == "101"
    assert call.state == offered.state == "talking"
    assert call.media.longest_gap_s(since=killed_at) < 0.2
    call.hang_up()
    await offered.until("ended")
    stories = await world.get_until(
        "calls",
        lambda page: page["items"] and page["items"][0]["has_recording"] and page["items"][0]["state"] == "ended",
        timeout_s=20,
    )
    story = await world.get(f"calls/{stories['items'][0]['id']}")
    assert story["reason"] == "caller_hangup"
    assert abs(story["recording"]["seconds"] - story["talk_s"]) < 1.0


async def test_waiting_callers_keep_their_place_and_music_through_a_kill(quiet_world: OutsideWorld) -> None:
    world = quiet_world
    calls = []
    for number in range(3):
        caller = await world.caller()
        call = await caller.call(world.facts["dids"]["queue"], from_user=f"1380000001{number}")
        await call.until("talking")
        calls.append(call)
    before = await world.get_until("queues", lambda page: sum(len(q["waiting"]) for q in page["items"]) == 3)
    order = [item["interaction_id"] for queue in before["items"] for item in queue["waiting"]]
    killed_at = asyncio.get_running_loop().time()
    await world.kill()
    await world.start()
    restarted_at = asyncio.get_running_loop().time()
    after = await world.get_until("queues", lambda page: sum(len(q["waiting"]) for q in page["items"]) == 3)
    items = [item for queue in after["items"] for item in queue["waiting"]]
    assert [item["interaction_id"] for item in items] == order
    assert {i["interaction_id"]: i["enqueued_at"] for i in items} == {
        item["interaction_id"]: item["enqueued_at"] for queue in before["items"] for item in queue["waiting"]
    }
    agent = await world.agent(0)
    offered = await agent.next_call(timeout_s=15)
    assert asyncio.get_running_loop().time() - restarted_at <= 5.0
    assert offered.header("x-aftercall-interaction") == order[0]
    assert all(call.media.longest_gap_s(since=killed_at) < 0.5 for call in calls)


async def test_with_a_frozen_controller_nobody_in_a_menu_is_silent_for_long(quiet_world: OutsideWorld) -> None:
    world = quiet_world
    known = listen.read_wav(f"{PromptLibrary().find('fallback-one-moment', 'en')}.wav")
    caller = await world.caller()
    in_menu = await caller.call(world.facts["dids"]["menu"], from_user="13800000021")
    await in_menu.until("talking")
    await in_menu.media.more(30)
    os.kill(world.facts["pids"]["controller"], signal.SIGSTOP)
    frozen_at = asyncio.get_running_loop().time()
    fresh = await caller.call(world.facts["dids"]["menu"], from_user="13800000022")
    await fresh.until("talking", timeout_s=10)
    async with asyncio.TaskGroup() as group:
        group.create_task(listen.hear(in_menu, known, timeout_s=10))
        group.create_task(listen.hear(fresh, known, timeout_s=10))
    assert asyncio.get_running_loop().time() - frozen_at < 10
    # The launcher kills what is frozen and starts it anew: both callers come back into a menu.
    main = listen.read_wav(f"{PromptLibrary().find('menu-main', 'en')}.wav")
    heard_s = len(in_menu.media.heard()) / 8000
    await listen.hear(in_menu, main, after_s=heard_s, timeout_s=25)
    assert in_menu.state == fresh.state == "talking"
