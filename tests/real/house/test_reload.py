"""An operator who reloads the dialplan while callers wait does nobody harm."""

from __future__ import annotations

import asyncio

from app.softphone.listen import tone, tone_level
from app.world import switch
from app.world.outside import OutsideWorld
from app.world.plan import read_plan


async def test_after_a_dialplan_reload_callers_are_still_connected(quiet_world: OutsideWorld) -> None:
    world = quiet_world
    assert "reloaded" in (await switch.ask(read_plan(world.home), "dialplan reload") or "")
    agent = await world.agent(0)
    call = await (await world.caller()).call(world.facts["dids"]["queue"], from_user="13800000001")
    offered = await agent.next_call()
    offered.answer()
    offered.media.play(tone(440, 1.0))
    await call.until("talking")
    await offered.media.said()
    assert offered.state == "talking"
    assert tone_level(call.media.heard()[-4000:], 440) > 0.5
    call.hang_up()


async def test_callers_in_the_menu_are_not_taken_out_of_it_by_a_reload(quiet_world: OutsideWorld) -> None:
    world = quiet_world
    plan = read_plan(world.home)
    async with asyncio.timeout(5):
        while "AC_QUIET=0" not in (await switch.ask(plan, "dialplan show globals") or ""):
            await asyncio.sleep(0.05)
    call = await (await world.caller()).call(world.facts["dids"]["menu"], from_user="13800000002")
    await call.until("talking")
    for _ in range(4):  # each at another moment between the watchdog's looks
        await switch.ask(plan, "dialplan reload")
        await call.media.more(30)
    page = await world.get_until("calls", lambda page: bool(page["items"]))
    story = await world.get(f"calls/{page['items'][0]['id']}")
    assert [event["data"]["flow"] for event in story["timeline"] if event["kind"] == "FlowStarted"] == ["sample"]
    assert "FlowEnded" not in [event["kind"] for event in story["timeline"]]
    call.hang_up()
