"""Two controllers on one home: what callers and agents notice when the one that owns the queues dies, sleeps or is replaced."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

from app.softphone import Call, Softphone
from app.world.outside import OutsideWorld


async def until(fits: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not fits():
            await asyncio.sleep(0.05)


def state(home: Path, slot: int) -> dict:
    try:
        return json.loads((home / "run" / f"controller-{slot}.ready").read_text())
    except (OSError, ValueError):
        return {}


async def both_up(world: OutsideWorld) -> None:
    await until(lambda: state(world.home, 1).get("state") == "owner" and state(world.home, 2).get("state") == "standby")
    world.facts = json.loads((world.home / "run" / "world.json").read_text())


async def one_talks_one_waits(world: OutsideWorld) -> tuple[Softphone, Call, Call]:
    agent, caller = await world.agent(0), await world.caller()
    talking = await caller.call(world.facts["dids"]["queue"], from_user="13800000001")
    offered = await agent.next_call()
    offered.answer()
    await talking.until("talking")
    waiting = await caller.call(world.facts["dids"]["queue"], from_user="13800000002")
    await waiting.until("talking")
    await world.get_until("queues", lambda page: sum(len(q["waiting"]) for q in page["items"]) == 1)
    return agent, talking, waiting


async def test_the_standby_makes_the_next_offer_when_the_owner_is_killed(quiet_world: OutsideWorld) -> None:
    world = quiet_world
    await both_up(world)
    agent, talking, waiting = await one_talks_one_waits(world)
    loop = asyncio.get_running_loop()
    killed_at = loop.time()
    os.kill(world.facts["pids"]["controller"], signal.SIGKILL)
    talking.hang_up()
    offered = await agent.next_call(timeout_s=15)
    assert loop.time() - killed_at < 6  # three times the promise
    offered.answer()
    await offered.until("talking")
    assert waiting.media.longest_gap_s(since=killed_at) < 0.5
    page = await world.get_until("calls", lambda page: any(c["state"] == "ended" for c in page["items"]), timeout_s=15)
    # Hung up in the very moment between the two: ended all the same, and told as what it is.
    assert [call["reason"] for call in page["items"] if call["state"] == "ended"][0] in ("caller_hangup", "unseen")


async def test_an_owner_that_slept_past_its_lease_makes_no_offer_and_ends(tmp_path: Path) -> None:
    settings = {"SPEECH__ENABLED": "false", "SUPERVISOR__BEAT_S": "60"}  # nobody kills it for its silence here
    async with OutsideWorld(tmp_path / "home", settings=settings) as world:
        await both_up(world)
        agent, talking, _waiting = await one_talks_one_waits(world)
        asleep = world.facts["pids"]["controller"]
        os.kill(asleep, signal.SIGSTOP)
        talking.hang_up()
        offered = await agent.next_call(timeout_s=20)  # by the one that took over
        assert offered.header("x-aftercall-epoch") == "2"
        offered.answer()
        assert await offered.until("talking") == "talking"
        os.kill(asleep, signal.SIGCONT)
        log = world.home / "log" / "controller-1.log"
        await until(lambda: '"controller_stopped"' in log.read_text(), timeout_s=10)  # long before the phone rings out
        assert [call for call in agent.calls.values() if call.state != "ended"] == [offered]
        await until(lambda: state(world.home, 1).get("pid") not in (asleep, None), timeout_s=60)


async def test_a_rolling_restart_under_calls_fails_no_call(tmp_path: Path) -> None:
    settings = {"SPEECH__ENABLED": "false", "SUPERVISOR__DRAIN_S": "4"}
    async with OutsideWorld(tmp_path / "home", settings=settings) as world:
        await both_up(world)
        first = {world.facts["pids"]["controller"], world.facts["pids"]["standby"]}
        agent, talking, waiting = await one_talks_one_waits(world)
        in_menu = await (await world.caller()).call(world.facts["dids"]["menu"], from_user="13800000003")
        await in_menu.until("talking")
        os.kill(world.facts["pids"]["launcher"], signal.SIGUSR1)
        new = {0}
        while not (len(new) == 2 and not new & (first | {0})):
            await asyncio.sleep(0.05)
            new = {state(world.home, slot).get("pid", 0) for slot in (1, 2)}
        assert [call.state for call in (talking, waiting, in_menu)] == ["talking"] * 3
        talking.hang_up()
        offered = await agent.next_call(timeout_s=15)
        offered.answer()
        assert await offered.until("talking") == "talking"
