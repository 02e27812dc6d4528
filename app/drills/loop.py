"""Our own process cannot go on: its loop is held by a handler, its file descriptors are used up (31, 32)."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from app.drills.field import FUSE, Field, gaps
from app.drills.link import logged
from app.drills.model import Drill, require

ONE_MOMENT = "fallback-one-moment"
FEW = 256


async def _blocked(field: Field, seconds: float) -> tuple[float, float]:
    """The owner's loop is held, with callers everywhere. Returns the worst gap in a talk and in the music, in seconds."""
    standing = await field.standing(talking=1, waiting=1, menu=1)
    await field.random_instant(1.0)
    told, begun = logged(field, "loop_blocked"), field.now()
    heard = field.heard_s(standing.menu[0])
    with contextlib.suppress(aiohttp.ClientError, RuntimeError, TimeoutError):  # nobody may be there to answer
        async with asyncio.timeout(seconds + 1.0):
            await field.world.post("rehearsal/block", {"seconds": seconds})
    await field.until(lambda: logged(field, "loop_blocked") > told, "the stack is logged", timeout_s=5)
    require(logged(field, "rehearsal_http.py") > 0, "the logged stack does not show the handler that held the loop")
    if seconds > 4:
        await field.hears(standing.menu[0], ONE_MOMENT, within_s=5.0, after_s=heard)
    await field.both_controllers()
    standing.talking[0][0].hang_up()
    _, served = await field.served(timeout_s=15)
    require(all(call.state == "talking" for call in (*standing.waiting, *standing.menu)), "somebody was cut off")
    del served
    music = standing.waiting[0].media.longest_gap_s(since=begun)
    require(music < 0.5 * FUSE, f"music stood still for {music:.2f} s")
    return gaps(field.established, begun), music


async def _two_seconds(field: Field) -> str:
    """31a."""
    talk, music = await _blocked(field, 2.0)
    return f"stack logged; gap in the talk {talk * 1000:.0f} ms, in the music {music * 1000:.0f} ms; next caller served"


async def _five_seconds(field: Field) -> str:
    """31b: long enough to be killed for it."""
    before = field.pid("controller")
    talk, music = await _blocked(field, 5.0)
    require(field.told()["pids"].get("controller") != before, "a loop that was held for 5 s was left alone")
    return f"stack logged, the controller was replaced; gap in the talk {talk * 1000:.0f} ms, in the music {music * 1000:.0f} ms"


async def _few_descriptors(field: Field) -> str:
    """32: a limit of 256, and as many connections as one can get."""
    standing = await field.standing(talking=1, waiting=1, menu=0)
    pid = field.pid("controller")
    before = _limit_of(pid)
    await _limit(pid, FEW, before[1])
    begun = field.now()
    refused = 0
    try:
        held: list[asyncio.StreamWriter] = []
        while refused < 20 and len(held) < 2 * FEW:
            async with asyncio.timeout(10):
                held.append(await _hold(field))
            await asyncio.sleep(0.01)
            if len(held) > FEW / 2:
                try:
                    await field.world.get("agents")
                except RuntimeError as error:
                    refused += "503" in str(error)
        await field.alarm("descriptors", raised=True)
        alarm = field.now() - begun
        require(refused >= 20, "new work was not refused clearly")
        # In the crowd a caller comes into a menu (of the other controller), and the talk goes on.
        fresh = await field.dial("menu")
        await field.hears(fresh, "menu-main", within_s=6.0)
        require(all(call.state == "talking" for call in standing.all()), "somebody was cut off")
        for writer in held:
            writer.close()
    finally:
        await _limit(pid, *before)
    require(field.pid("controller") == pid, "the controller did not live through it")
    await field.alarm("descriptors", raised=False, within_s=20.0)
    standing.talking[0][0].hang_up()
    await field.served()
    return (
        f"alarm after {alarm:.1f} s, at {len(held)} connections {refused} × 503; a new caller went to a "
        f"menu; the process lives"
    )


def _limit_of(pid: int) -> tuple[int, int]:
    rows = Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines()
    soft, hard = next(row for row in rows if row.startswith("Max open files")).split()[3:5]
    return int(soft), int(hard)


async def _limit(pid: int, soft: int, hard: int) -> None:
    """Sets the limit of open files, as the process's own user: nobody else may."""
    try:
        owner = os.stat(f"/proc/{pid}")
    except FileNotFoundError:
        return
    as_user = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    process = await asyncio.create_subprocess_exec("prlimit", f"--pid={pid}", f"--nofile={soft}:{hard}", **as_user)  # type: ignore[arg-type]
    await process.wait()
    require(_limit_of(pid)[0] == soft, "the limit of open files could not be set")


async def _hold(field: Field) -> asyncio.StreamWriter:
    """A connection that has asked once and stays, as browsers' do."""
    address = urlsplit(field.told()["http"])
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(f"GET /health HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode("ascii"))
    await reader.readline()
    return writer


DRILLS = (
    Drill(31, "loop held for 2 s", "the stack is logged; talks and music undisturbed", _two_seconds, short=True),
    Drill(31, "loop held for 5 s", "as frozen: «one moment», replaced, the stack is logged", _five_seconds),
    Drill(32, "256 file descriptors", "alarm at 80 %, new work refused clearly, no crash", _few_descriptors),
)  # fmt: skip
