"""Rules of routing on a real switch with phones from outside: rings widen, callers are moved, and go where each reason says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.softphone import Call
from app.world.outside import OutsideWorld

RULES = """
max_overtakes: 20
skills: [service, express, rare]
queues:
  service: {{skills: {{service: 1}}, wrap_up_s: 0}}
  rare: {{skills: {{rare: 3}}, wrap_up_s: 0}}
  express:
    wrap_up_s: 0
    {express}
"""
SETTINGS = {"SPEECH__ENABLED": "false", "OUTBOUND__ALLOW": '["+4930"]'}
WIDENS_S = (2.0, 4.0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[OutsideWorld]:
    async with OutsideWorld(tmp_path / "home", settings=SETTINGS) as it:
        yield it


async def publish(world: OutsideWorld, express: str) -> None:
    current = await world.get("policies/current")
    body = {"text": RULES.format(express=express), "revision": current["version"], "note": "a test"}
    await world.post("policies", body)


async def dial(world: OutsideWorld) -> Call:
    caller = await world.caller()
    call = await caller.call(world.facts["dids"]["queue"], from_user="13800138000")
    assert await call.until("talking", timeout_s=10) == "talking"
    return call


async def story(world: OutsideWorld, kind: str) -> Any:
    """What the newest call's first event of this kind says, once it is told."""

    def told(page: Any) -> bool:
        return bool(page["items"])

    page = await world.get_until("calls", told)
    call = await world.get_until(
        f"calls/{page['items'][0]['id']}", lambda it: any(event["kind"] == kind for event in it["timeline"])
    )
    return next(event["data"] for event in call["timeline"] if event["kind"] == kind)


async def test_rings_widen_at_their_times_until_somebody_may_take_the_caller(world: OutsideWorld) -> None:
    lower = ", ".join(f"{{after_s: {at}, lower: {{express: 2}}}}" for at in WIDENS_S)
    await publish(world, f"skills: {{express: 5}}\n    rings: [{lower}]")
    agent = await world.agent(0)  # of level 3 or less in `express`
    call = await dial(world)
    ring = await asyncio.wait_for(agent.incoming.get(), 3 * WIDENS_S[-1])
    waited = ring.at["invite"] - call.at["talking"]
    widened = await story(world, "ItemWidened")
    level = (await world.get("agents"))["items"][0]["skills"]["express"]
    due = next(at for at, least in zip((0.0, *WIDENS_S), (5, 3, 1), strict=True) if level >= least)
    assert due <= waited + 0.1 and waited <= due + 3.0, f"level {level}: rang after {waited:.2f} s"
    assert widened["ring"] >= 1
    ring.answer()
    assert await ring.until("talking") == "talking"
    call.hang_up()


async def test_a_supervisor_moves_a_waiting_caller_who_keeps_the_wait_and_hears_no_gap(world: OutsideWorld) -> None:
    await publish(world, "skills: {express: 1}")
    await world.agent(0, ready=False)
    call = await dial(world)
    page = await world.get_until("queues", lambda it: any(queue["waiting"] for queue in it["items"]))
    (item,) = (one for queue in page["items"] for one in queue["waiting"])
    moved = await world.post(f"items/{item['interaction_id']}/move", {"queue": "rare"})
    assert moved["queue"] == "rare" and {one["reason"]["reason"] for one in moved["agents"]} <= {"skill", "level"}
    begun = call.media._loop.time()
    await world.ready(0)
    await call.media.more(50)
    assert (await world.get("agents"))["items"][0]["available"], "who lacks the skill is not given the caller"
    again = await world.post(f"items/{item['interaction_id']}/move", {"queue": "express"})
    assert again["state"] in ("waiting", "offered", "talking")
    told = await story(world, "OfferMade")
    assert told["queue"] == "express" and call.media.longest_gap_s(since=begun) < 0.5
    call.hang_up()


async def test_who_waits_too_long_is_connected_to_the_number_that_the_queue_names(world: OutsideWorld) -> None:
    await publish(world, "max_wait_s: 2\n    overflow: {timeout: number +4930123456}")
    outside = await world.caller()  # the trunk account's own phone: what the switch dials out comes here
    await outside.register()
    call = await dial(world)
    ring = await asyncio.wait_for(outside.incoming.get(), 15)
    ring.answer()
    assert await ring.until("talking") == "talking"
    told = await story(world, "ItemOverflowed")
    assert (told["reason"], told["to"]) == ("timeout", "number:+4930123456")
    ring.media.play(np.full(8000, 9000, dtype="int16"))
    await call.media.more(50)
    ring.hang_up()
    assert await call.until("ended", timeout_s=10) == "ended"
