"""Our books and the switch's say the same after whatever happened to calls; what is falsified afterwards is found."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from app.softphone import Call, Softphone
from app.world.outside import OutsideWorld
from tests.real.house.test_takeover import both_up

Json = dict[str, Any]


async def reconcile(world: OutsideWorld, *options: str) -> tuple[int | None, list[Json], Json]:
    """Exit status, differences, summary; up to this moment, since the calls are seen to have ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", "reconcile", "--home", str(world.home), "--until", "0m", "--json", *options),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    lines = [json.loads(line) for line in said.decode().splitlines()]
    return process.returncode, lines[:-1], lines[-1]


async def talk(world: OutsideWorld, agent: Softphone, ani: str) -> tuple[Call, Call]:
    call = await (await world.caller()).call(world.facts["dids"]["queue"], from_user=ani)
    offered = await agent.next_call()
    offered.answer()
    assert await offered.until("talking") == "talking"
    await offered.media.more(25)
    return call, offered


async def over(world: OutsideWorld, count: int) -> None:
    """Until the line is free again: there is one."""
    await world.get_until("calls", lambda page: len(ended(page)) == count)


async def five_calls(world: OutsideWorld) -> None:
    """Abandoned in the menu, abandoned in the queue, refused because the lines are busy, talked, and one in mid talk when
    the owner of the queues is killed."""
    dids, caller, agent = world.facts["dids"], await world.caller(), await world.agent(0, ready=False)
    in_menu = await caller.call(dids["menu"], from_user="13800000001")
    assert await in_menu.until("talking") == "talking"
    in_menu.hang_up()
    await over(world, 1)
    queued = await caller.call(dids["queue"], from_user="13800000002")
    assert await queued.until("talking") == "talking"
    refused = await (await world.caller()).call(dids["queue"], from_user="13800000003")
    assert await refused.until("ended") == "ended" and refused.status == 503  # and was told so in words
    queued.hang_up()
    await over(world, 3)
    await world.ready(0)
    _, offered = await talk(world, agent, "13800000004")
    offered.hang_up()
    await over(world, 4)
    await world.get_until("agents", lambda page: page["items"][0]["state"] == "READY")
    call, _ = await talk(world, agent, "13800000005")
    os.kill(world.facts["pids"]["controller"], signal.SIGKILL)
    call.hang_up()


def ended(page: Json) -> dict[str, str]:
    return {call["ani"][-1]: call["reason"] for call in page["items"] if call["state"] == "ended"}


def alter(home: Path, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(home / "db" / "aftercall.sqlite", timeout=10)) as db, db:
        assert db.execute(statement, values).rowcount == 1


async def test_after_five_calls_and_a_killed_owner_nothing_differs_and_what_is_falsified_is_found(
    tmp_path: Path,
) -> None:
    settings = {"SPEECH__ENABLED": "false", "ASTERISK__MAX_CALLS": "1"}
    async with asyncio.timeout(240), OutsideWorld(tmp_path / "home", settings=settings) as world:
        await both_up(world)
        await five_calls(world)
        # The new owner has told "unseen" for the last one, and a few seconds later what the switch knows of it.
        caller_ends = dict.fromkeys("125", "caller_hangup")
        wanted = {**caller_ends, "3": "system", "4": "agent_hangup"}
        page = await world.get_until("calls", lambda page: ended(page) == wanted, timeout_s=30)
        page = await world.get_until("calls", lambda page: sum(c["has_recording"] for c in page["items"]) == 2)
        status, differences, told = await reconcile(world)
        assert differences == []
        assert (status, told["calls"], told["recordings"], told["unreadable_lines"]) == (0, 5, 2, 0)

        calls = {call["ani"][-1]: call["id"] for call in page["items"]}
        (first, second) = sorted(world.home.glob("recordings/2*/*/*/*.wav"))
        first.unlink()
        sound = bytearray(second.read_bytes())
        sound[1000] ^= 1
        second.write_bytes(sound)
        alter(world.home, "UPDATE interaction SET end_reason = 'unseen' WHERE id = ?", calls["1"])
        alter(world.home, "UPDATE interaction SET ended_at = datetime(ended_at, '-5 seconds') WHERE id = ?", calls["4"])
        alter(world.home, "UPDATE segment SET ended_at = NULL WHERE interaction_id = ?", calls["5"])
        book = world.home / "asterisk" / "log" / "cel-custom" / "Master.csv"
        last = book.read_text().splitlines()[-1].split(",")[1]
        with book.open("a") as file:
            file.write(f'"CHAN_START",{last},"n1-999.9","n1-999.9","PJSIP/trunk-000000ff","","666","4008001000"\n')
        status, differences, told = await reconcile(world, "--repair")
        found = {(it["kind"], it["interaction_id"], it["mended"]) for it in differences if not it["ids"].get("path")}
        assert found == {
            ("reason_unseen", calls["1"], True), ("end_differs", calls["4"], True),
            ("talk_without_segment", calls["5"], False), ("call_unknown_to_us", "n1-999.9", False),
        }  # fmt: skip
        sounds = {it["kind"]: Path(it["ids"]["path"]).name for it in differences if it["ids"].get("path")}
        assert sounds == {"recording_without_file": first.name, "hash_differs": second.name}
        assert all(it["cause"] for it in differences)
        assert (status, told["differences"], told["mended"]) == (1, 4, 2)
        story = await world.get(f"calls/{calls['1']}")
        assert story["reason"] == "caller_hangup"
        kinds = [event["kind"] for event in story["timeline"]]
        assert (kinds.count("CallEnded"), kinds.count("CallEndCorrected"), kinds.count("StateRepaired")) == (1, 1, 1)
