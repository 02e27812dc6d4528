"""Faults of the link to the switch and of the menus' door: half open, flapping, flooding, peers that break off (18–20)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import sys
from collections import Counter
from pathlib import Path

from app.drills.between import between
from app.drills.field import FUSE, Field
from app.drills.model import Drill, require
from app.world.plan import Endpoint, read_plan

FLOOD_PER_S, FLOOD_S = 5000, 10.0
FLAP_EVERY_S, FLAP_S = 3.0, 60.0
DEAD_S, UNREAD_S = 5.0, 0.1
SEEDS = 10_000
ROOT = Path(__file__).resolve().parents[2]
ONCE = ("CallArrived", "OfferMade", "OfferAccepted", "CallConnected", "SegmentEnded", "CallEnded")


def logged(field: Field, words: str) -> int:
    """How often the controllers of this world have logged it."""
    logs = (field.world.home / "log").glob("controller-*.log")
    return sum(file.read_text(encoding="utf-8", errors="replace").count(words) for file in logs)


async def _served_once(field: Field, *, timeout_s: float = 20.0) -> float:
    """A new call is served, and each thing that happened to it is told once. Returns the seconds until it talked."""
    begun = field.now()
    caller = await field.dial("queue")
    offered, interaction_id = await field.served(timeout_s=timeout_s)
    took = field.now() - begun
    await caller.media.more(10)
    caller.hang_up()
    await offered.until("ended")
    story = await field.until_api(
        f"calls/{interaction_id}",
        lambda it: any(e["kind"] == "SegmentEnded" for e in it["timeline"]),
        "the call's record",
    )
    kinds = Counter(event["kind"] for event in story["timeline"])
    doubled = [kind for kind in ONCE if kinds[kind] != 1]
    require(not doubled, f"told not exactly once: {', '.join(f'{kind} {kinds[kind]}×' for kind in doubled)}")
    return took


async def _half_open(field: Field) -> str:
    """18a: the connection stands, and nothing comes through."""
    async with between(field) as proxy:
        standing = await field.standing(talking=1, waiting=2, menu=0)
        order = await field.waiting_order()
        lost, begun = logged(field, "ami_link_down"), field.now()
        with proxy.half_open():
            noticed = await field.until(
                lambda: logged(field, "ami_link_down") >= lost + 2,
                "both controllers call it dead",
                timeout_s=DEAD_S * FUSE,
            )
            alarm = await field.alarm("switch", raised=True, within_s=15.0)
        cleared = await field.alarm("switch", raised=False, within_s=15.0)
        require(all(call.state == "talking" for call in standing.all()), "somebody was cut off")
        require(await field.waiting_order() == order, "the order of those who wait has changed")
        silence = max(call.media.longest_gap_s(since=begun) for call in standing.waiting)
        require(silence < 0.5 * FUSE, f"music stood still for {silence:.2f} s")
        standing.talking[0][0].hang_up()
        _, first = await field.served()
        require(first == order[0], "somebody was served out of turn")
        words = f"called dead after {noticed:.1f} s, alarm {alarm:.1f} s later, resynchronised {cleared:.1f} s after it flowed"
        await field.clear()
    return words


async def _flapping(field: Field) -> str:
    """18b: the connection breaks off every three seconds for a minute (the promise's five, compressed)."""
    async with between(field) as proxy:
        standing = await field.standing(talking=1, waiting=1, menu=0)
        order, before = await field.waiting_order(), proxy.accepted
        begun = field.now()
        while field.now() - begun < FLAP_S:
            proxy.cut()
            await asyncio.sleep(FLAP_EVERY_S)
        await field.alarm("switch", raised=False, within_s=15.0)
        made = proxy.accepted - before
        most = 2 * 3 * (FLAP_S / FLAP_EVERY_S + 2)
        require(made <= most, f"{made} connections in {FLAP_S:g} s: there is no backoff")
        require(all(call.state == "talking" for call in standing.all()), "somebody was cut off")
        require(await field.waiting_order() == order, "whoever waited is not where they were")
        require(len(field.incoming) == 1, "a phone rang though nobody was free")
        standing.talking[0][0].hang_up()
        again, first = await field.served()
        require(first == order[0], "somebody was served out of turn")
        standing.waiting[0].hang_up()
        await again.until("ended")
        await _served_once(field)
        await field.clear()
    return f"{made} connections by two controllers, talk and place kept, every event once afterwards"


async def _flood(field: Field) -> str:
    """18c: 5,000 events a second between the switch's own."""
    async with between(field) as proxy:
        await field.ready(0)
        async with asyncio.TaskGroup() as group:
            flooding = group.create_task(proxy.flood(FLOOD_PER_S, FLOOD_S))
            await asyncio.sleep(1.0)
            took = await _served_once(field)
        told, unread = flooding.result(), proxy.longest_unread_s
        require(told > 0.9 * FLOOD_PER_S * FLOOD_S, f"only {told} events could be told")
        require(unread < UNREAD_S * FUSE, f"events lay unread for {unread * 1000:.0f} ms")
        require(logged(field, "more events than can be handled") == 0, "a controller gave up its link")
        await field.clear()
    return f"{told} events to each in {FLOOD_S:g} s, unread for {unread * 1000:.0f} ms at most, a call served within {took:.1f} s"


async def _permutations(field: Field) -> str:
    """19: recorded calls with events lost, doubled and out of order end in the same belief."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/pbx/test_mangled.py"),
        cwd=ROOT, env={**os.environ, "AFTERCALL_SEEDS": str(SEEDS)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    last = said.decode("utf-8", "replace").strip().splitlines()[-1]
    require(process.returncode == 0, f"a permutation ends otherwise: {last}")
    return f"{SEEDS} permutations, the same state: {last}"


async def _broken_peers(field: Field) -> str:
    """20: at both controllers' doors for menus, callers in menus all the while."""
    standing = await field.standing(talking=0, waiting=0, menu=2)
    plan = read_plan(field.world.home)
    doors = (plan.agi, plan.standby_agi)
    open_files = [_open_files(field.pid(role)) for role in ("controller", "standby")]
    errors = logged(field, '"level": "error"')
    async with asyncio.TaskGroup() as group:
        for door in doors:
            for number in range(40):
                group.create_task(_PEERS[number % len(_PEERS)](door))
    begun = field.now()
    await field.until(
        lambda: all(
            _open_files(field.pid(role)) <= before + 3
            for role, before in zip(("controller", "standby"), open_files, strict=True)
        ), "their sockets are let go of", timeout_s=7.0 * FUSE,
    )  # fmt: skip
    freed = field.now() - begun
    require(logged(field, '"level": "error"') == errors, "what a peer did was logged as our error")
    for call in standing.menu:
        at = field.heard_s(call)
        require(call.state == "talking", "a caller in a menu was cut off")
        await call.media.more(25)
        require(field.heard_s(call) > at, "a caller in a menu hears nothing")
    return (
        f"80 broken peers, sockets free {freed:.1f} s after the last went, menus went on, nothing logged as our error"
    )


_GREETING = (
    b"agi_network: yes\nagi_request: flow\nagi_channel: PJSIP/x-1\nagi_uniqueid: drill-1\nagi_callerid: 13800000000\n\n"
)


async def _connect(door: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(door.host, door.port)


async def _closes_mid_greeting(door: Endpoint) -> None:
    _, writer = await _connect(door)
    writer.write(_GREETING[:37])
    await writer.drain()
    writer.close()


async def _closes_mid_answer(door: Endpoint) -> None:
    reader, writer = await _connect(door)
    writer.write(_GREETING)
    with contextlib.suppress(OSError):
        await reader.readline()
        writer.write(b"200 resu")
        await writer.drain()
        # A reset, as of a process that died.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


async def _stalls(door: Endpoint) -> None:
    """Answers nothing; whoever asks must give up by its own deadline."""
    reader, writer = await _connect(door)
    writer.write(_GREETING)
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(7.0 * FUSE):
            while await reader.read(4096):
                continue
    writer.close()


async def _says_nothing(door: Endpoint) -> None:
    reader, writer = await _connect(door)
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(4.0 * FUSE):
            await reader.read()
    writer.close()


async def _hangs_up_late(door: Endpoint) -> None:
    """Answers each command as of a caller who is gone, and says HANGUP once more when we have returned."""
    reader, writer = await _connect(door)
    writer.write(_GREETING)
    with contextlib.suppress(OSError):
        while await reader.readline():
            writer.write(b"200 result=-1 endpos=0\nHANGUP\n")
        writer.write(b"HANGUP\nHANGUP\n")
        await writer.drain()
    writer.close()


_PEERS = (_closes_mid_greeting, _closes_mid_answer, _stalls, _says_nothing, _hangs_up_late)


def _open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


DRILLS = (
    Drill(18, "link half open", "dead after 5 s, alarm, resynchronised; order and music kept", _half_open),
    Drill(18, "link flapping every 3 s", "backoff, nothing lost, no event told twice", _flapping, times=1),
    Drill(18, "5,000 events a second", "never > 100 ms unread; calls are served", _flood),
    Drill(19, "events lost, doubled, out of order", "the same final state, 10,000 permutations", _permutations, times=1),
    Drill(20, "menu peers break off or stall", "step deadline; socket and task freed; not our error", _broken_peers, short=True),
)  # fmt: skip
