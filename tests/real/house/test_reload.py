"""An operator who reloads the dialplan while callers wait does nobody harm."""

from __future__ import annotations

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
