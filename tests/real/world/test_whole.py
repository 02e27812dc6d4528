"""`aftercall run` as an operator meets it: the real controller too, seen only through `world.json`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from app.softphone.listen import tone, tone_level
from app.world.outside import OutsideWorld
from app.world.process import ProcessId

NOT_OURS = ("asterisk", "redis", "transcriber")


def pss_mb(pid: int) -> float:
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(row for row in rows if row.startswith("Pss:")).split()[1]) / 1024


async def command(*arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", *arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_warm_it_is_ready_in_five_seconds_small_healthy_and_gone_in_ten(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with OutsideWorld(home) as world:
        await world.stop()
        await world.start()
        assert world.ready_s <= 15  # three times the promise
        known = [process for pid in world.facts["pids"].values() if (process := ProcessId.of(pid)) is not None]
        ours = {role: pss_mb(pid) for role, pid in world.facts["pids"].items() if role not in NOT_OURS}
        assert sum(ours.values()) <= 300, ours
        status, said = await command("doctor", "--home", str(home))
        assert status == 0, said
        status, said = await command("call", "--home", str(home))
        assert status == 0, said
        assert json.loads(said)["heard_s"] > 0.5
        assert await world.stop() <= 10
        assert [process for process in known if process.alive()] == []


async def test_a_call_goes_on_while_everything_of_ours_is_killed_and_started_again(tmp_path: Path) -> None:
    async with OutsideWorld(tmp_path / "home") as world:
        asterisk = world.facts["pids"]["asterisk"]
        phone = await world.caller()
        call = await phone.call(world.facts["dids"]["echo"], from_user="+8613800138000")
        assert await call.until("talking", "ended") == "talking"
        await world.kill()
        call.media.play(tone(440, 1.5))
        await call.media.said()
        await world.start()
        assert world.facts["pids"]["asterisk"] == asterisk
        assert call.state == "talking"
        assert tone_level(call.media.heard(), 440) > 0.1
        assert call.media.longest_gap_s() <= 0.06
        call.hang_up()
