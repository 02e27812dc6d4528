"""Faults of what we depend on: Redis (9–11), the database (12–14), disks (15), the shop (21), speech (26, 27)."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import aiohttp

from app.drills.field import FUSE, Field
from app.drills.model import Drill, Missed, require
from app.drills.shop import SHOP
from app.softphone import Call
from core.bus.redis_bus import link

SLOWER_S = 0.25  # a dependency that is away may cost the caller's path so much
LAG_S = 0.1


async def _offer_s(field: Field, caller: Call | None = None) -> float:
    """A caller comes (or `caller` hangs up) → the free agent's phone rings: the path that must not notice."""
    begun = field.now()
    if caller is not None:
        caller.hang_up()
    else:
        await field.dial("queue")
    offered = await field.ring()
    took = field.now() - begun
    offered.answer()
    if await offered.until("talking", timeout_s=10) != "talking":
        raise Missed("an offer was answered into dead air")
    await offered.media.more(5)
    offered.hang_up()
    await offered.until("ended", timeout_s=10)
    return took


async def _usual_s(field: Field) -> float:
    """The same path with everything well: the middle of three."""
    await field.ready(0)
    return sorted([await _offer_s(field) for _ in range(3)])[1]


async def _lag_s(field: Field) -> float:
    """The worst lateness of the owner's loop so far, from its own figures: the smallest bound that holds all."""
    text = await field.world.figures()
    counts = [
        (float(line.split('le="')[1].split('"')[0]), float(line.rpartition(" ")[2]))
        for line in text.splitlines()
        if line.startswith("aftercall_loop_lag_seconds_bucket") and "+Inf" not in line
    ]
    total = max(count for _, count in counts)
    return min(bound for bound, count in counts if count >= total)


# --- Redis


async def _redis_killed(field: Field) -> str:
    """9: killed, and back empty."""
    standing = await field.standing(talking=1, waiting=2, menu=0)
    order = await field.waiting_order()
    await field.random_instant(1.0)
    pid = field.kill("redis")
    begun = field.now()
    standing.talking[0][0].hang_up()
    _, first = await field.served()
    took = field.now() - begun
    require(first == order[0], "somebody was served out of turn")
    await field.until(lambda: field.pid("redis") not in (0, pid), "Redis is started again", timeout_s=10)
    well = await field.alarm("redis", raised=False, within_s=10.0)
    return f"next offer {took:.2f} s after the kill, order kept, all well {well:.1f} s later"


async def _under(field: Field, what: str, most_s: float) -> str:
    """The path of calls while a dependency is away, against the path when all is well."""
    usual = min(await _usual_s(field), 1.0)
    before = await _lag_s(field)
    raised = await field.alarm(what, raised=True)
    slow = [await _offer_s(field) for _ in range(3)]
    begun = field.now()
    call = await field.dial("menu")
    await field.hears(call, "menu-main", within_s=5.0)
    heard = field.now() - begun
    lag = await _lag_s(field)
    worst = max(slow)
    require(worst <= usual + SLOWER_S * FUSE, f"an offer took {worst:.2f} s, usually {usual:.2f} s")
    require(lag <= max(LAG_S * FUSE, before), f"the loop was {lag:g} s late")
    require(field.now() - begun < most_s, "the menu was late")
    return (
        f"alarm after {raised:.1f} s, offers {worst * 1000:.0f} ms (usually {usual * 1000:.0f}), "
        f"menu heard after {heard:.1f} s"
    )


async def _redis_frozen(field: Field) -> str:
    """10: stands still (compressed to as long as the calls of the drill take)."""
    await field.ready(0)
    async with field.frozen(field.pid("redis")):
        words = await _under(field, "redis", 20)
    cleared = await field.alarm("redis", raised=False)
    return f"{words}; cleared {cleared:.1f} s after"


async def _redis_refuses(field: Field) -> str:
    """11: full, read-only, and a wrong type where our keys are."""
    await field.ready(0)
    client: Any = link(field.told()["redis"])
    said = []
    try:
        for name, bad, good in (
            ("full", ("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", str(64 << 20))),
            ("read-only", ("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        ):
            await client.execute_command(*bad)
            try:
                words = await _under(field, "redis", 20)
            finally:
                await client.execute_command(*good)
            await field.alarm("redis", raised=False)
            said.append(f"{name}: {words}")
        keys = [key.decode() for key in await client.keys("*")]
        for key in keys:
            await client.delete(key)
            await client.lpush(key, "not what it was")
        await _offer_s(field)
        immortal = [key for key in keys if await client.ttl(key) == -1 and not key.startswith("aftercall:stream:")]
        for key in keys:
            await client.delete(key)
        require(not [key for key in immortal if await client.exists(key)], f"keys without an end: {immortal[:3]}")
    finally:
        await client.aclose()
    return "; ".join(said)


# --- the database


@asynccontextmanager
async def _locked(field: Field) -> AsyncIterator[None]:
    """Another writer holds the SQLite database inside the block."""
    file = field.told()["database"].removeprefix("sqlite:///")
    with closing(sqlite3.connect(file, isolation_level=None, timeout=5)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


async def _api_answers(field: Field, path: str, most_s: float) -> int:
    """The status of a request that needs the database; it must come in time, whatever it is."""
    begun = field.now()
    url, token = f"{field.told()['http']}/api/{path}", field.told()["admin"]["token"]
    timeout = aiohttp.ClientTimeout(total=most_s * FUSE)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, headers={"Authorization": f"Bearer {token}"}) as answer,
        ):
            body = await answer.text()
    except TimeoutError:
        raise Missed(f"GET {path} hung for {field.now() - begun:.1f} s") from None
    require("database is locked" not in body, "the database's own words reached a caller")
    return answer.status


async def _facts_arrive(field: Field, served: int) -> None:
    """Everything that happened meanwhile stands in the database, once."""

    def told(page: dict[str, list[dict[str, str]]]) -> bool:
        anis = [call["ani"][-11:] for call in page["items"] if call["ani"][-11:] in field.outgoing]
        return len(anis) == len(set(anis)) >= served

    await field.until_api("calls?limit=200", told, "the facts of the outage are in the database", timeout_s=30)


async def _database_frozen(field: Field) -> str:
    """12: SQLite's other writer holds it for 12 s: nothing can be written."""
    await field.ready(0)
    usual = min(await _usual_s(field), 1.0)
    async with _locked(field):
        begun = field.now()
        slow = [await _offer_s(field) for _ in range(4)]
        status = await _api_answers(field, "calls", 5.0)
        raised = await field.alarm("database", raised=True)
        await asyncio.sleep(max(0.0, 12 - (field.now() - begun)))
        slow.append(await _offer_s(field))
    require(max(slow) <= usual + SLOWER_S * FUSE, f"an offer took {max(slow):.2f} s, usually {usual:.2f} s")
    cleared = await field.alarm("database", raised=False, within_s=20)
    await _facts_arrive(field, 8)
    return (
        f"offers {max(slow) * 1000:.0f} ms (usually {usual * 1000:.0f}), API {status}, alarm after {raised:.1f} s, "
        f"cleared {cleared:.1f} s after, all facts there once"
    )


async def _sqlite_locked(field: Field) -> str:
    """14: locked by another writer for 10 s; no caller and no agent hears of it."""
    standing = await field.standing(talking=1, waiting=1, menu=1)
    statuses = []
    async with _locked(field):
        begun = field.now()
        standing.talking[0][0].hang_up()
        await field.served()
        while field.now() - begun < 10:
            statuses.append(await _api_answers(field, "agents", 5.0))
            await asyncio.sleep(0.5)
    await _facts_arrive(field, 3)
    logs = (field.world.home / "log" / "controller-1.log").read_text(encoding="utf-8", errors="replace")
    return f"{len(statuses)} requests meanwhile ({', '.join(map(str, sorted(set(statuses))))}), {len(logs) // 1024} KiB of log"


async def _pool_used_up(field: Field) -> str:
    """13: reports use up the pool: 60 at once, again and again, while callers are matched."""
    await field.ready(0)
    usual = [await _offer_s(field) for _ in range(5)]
    stop = asyncio.Event()
    asked = 0

    async def report() -> None:
        nonlocal asked
        while not stop.is_set():
            await _api_answers(field, "calls?limit=200", 10.0)
            asked += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(60):
            group.create_task(report())
        slow = [await _offer_s(field) for _ in range(8)]
        stop.set()
    middle, before = sorted(slow)[len(slow) // 2], sorted(usual)[len(usual) // 2]
    require(max(slow) <= max(1.2 * max(usual), max(usual) + SLOWER_S) * FUSE, f"offers took up to {max(slow):.2f} s")
    return f"offers {middle * 1000:.0f} ms under {asked} reports, {before * 1000:.0f} ms without"


# --- disks


async def _disk_full(field: Field) -> str:
    """15: the disk of recordings, database and logs is full to the last byte."""
    await field.ready(0)
    filler = field.world.home / "filler"
    await _fill(filler)
    try:
        raised = await field.alarm("disk", raised=True)
        caller = await field.dial("queue")
        offered, _ = await field.served()
        await caller.media.more(25)
        require(caller.state == offered.state == "talking", "a call did not go on")
        menu = await field.dial("menu")
        await field.hears(menu, "menu-main", within_s=5.0)
        caller.hang_up()
    finally:
        filler.unlink()
    cleared = await field.alarm("disk", raised=False, within_s=60)
    await field.until_api(
        "calls?limit=200",
        lambda page: sum(c["state"] == "ended" for c in page["items"]) >= 1,
        "the end is told",
        timeout_s=60,
    )
    caller = await field.dial("queue")
    await field.served()
    await caller.media.more(50)
    caller.hang_up()
    await field.until_api(
        "calls?limit=200", lambda page: page["items"][0]["has_recording"], "recording goes on again", timeout_s=30
    )
    return f"alarm after {raised:.1f} s, calls went on, cleared {cleared:.1f} s after there was room, recording again"


async def _fill(file: os.PathLike[str]) -> None:
    def fill() -> None:
        with open(file, "wb", buffering=0) as out:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        out.write(b"\0" * size)
                except OSError:
                    continue

    await asyncio.to_thread(fill)


# --- speech


async def _transcriber_killed(field: Field) -> str:
    """26: the speech process dies over a recording; the next try does it, and those behind move."""
    await field.ready(0)
    caller = await field.dial("queue")
    await field.served()
    await caller.media.more(200)
    caller.hang_up()
    killed = 0

    def speech() -> list[int]:
        return [pid for pid in _children(field.pid("controller")) if b"transcriber_child" in _command(pid)]

    begun = field.now()
    while killed < 2 and field.now() - begun < 60:
        for pid in speech():
            os.kill(pid, signal.SIGKILL)
            killed += 1
        await asyncio.sleep(0.1)
    require(killed > 0, "no speech process was seen")
    story = await field.until_api(
        "calls?limit=1", lambda page: page["items"][0]["has_recording"], "the recording is there", timeout_s=20
    )
    call_id = story["items"][0]["id"]
    told = await field.until_api(
        f"calls/{call_id}", lambda s: (s.get("transcript") or {}).get("state") in ("ready", "failed", "quarantined"),
        "the transcript is there, or set aside with a reason", timeout_s=150,
    )  # fmt: skip
    return f"killed {killed} times, then {told['transcript']['state']}"


async def _model_missing(field: Field) -> str:
    """27: there is no model where the settings say: said at once, calls unaffected."""
    state = (await field.health()).get("speech", "")
    await field.ready(0)
    caller = await field.dial("queue")
    await field.served()
    await caller.media.more(50)
    caller.hang_up()
    page = await field.until_api(
        "calls?limit=1", lambda page: page["items"][0]["has_recording"], "the recording is there", timeout_s=20
    )
    story = await field.world.get(f"calls/{page['items'][0]['id']}")
    reason = (story.get("transcript") or {}).get("reason", "")
    require(bool(reason), "nothing says why there is no transcript")
    return f"speech is {state}; the call says: {reason}"


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            direct = [int(word) for word in file.read().split()]
    except OSError:
        return found
    for child in direct:
        found += [child, *_children(child)]
    return found


def _command(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


DRILLS = (
    Drill(9, "Redis killed, back empty", "matching goes on; all well ≤ 10 s", _redis_killed),
    Drill(10, "Redis frozen", "caller path + ≤ 250 ms, loop late < 100 ms, alarm", _redis_frozen, short=True),
    Drill(11, "Redis full, read-only, wrong types", "as frozen; every key has an end", _redis_refuses),
    Drill(12, "database cannot be written", "calls go on; facts replayed once; API answers", _database_frozen, short=True),
    Drill(13, "reports use up the pool", "matching not slower", _pool_used_up),
    Drill(14, "SQLite locked by another writer 10 s", "no «database is locked» reaches anybody", _sqlite_locked),
    Drill(15, "disk full", "calls go on, no recording, alarm; recovers", _disk_full, alone=True, settings={"DRILL__DISK": "48m"}),
    *SHOP,
    Drill(26, "transcriber killed", "≤ 3 tries, then set aside; no half transcript", _transcriber_killed, times=1,
          settings={"SPEECH__ENABLED": "true"}),
    Drill(27, "speech model missing", "said at start; calls unaffected", _model_missing,
          settings={"SPEECH__ENABLED": "true", "SPEECH__MODEL_EN": "/nowhere/model"}),
)  # fmt: skip
