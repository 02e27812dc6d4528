"""Faults of our own processes: killed, frozen, blocked, restarted, paused past their lease (1–5, 7, 8, 31, 32)."""

from __future__ import annotations

import asyncio
import signal

from app.drills.field import FUSE, Field, gaps
from app.drills.model import Drill, require

ONE_MOMENT = "fallback-one-moment"


async def _menu_callers_come_back(field: Field) -> str:
    """1: killed with callers in the menu."""
    standing = await field.standing(talking=0, waiting=0, menu=3)
    await field.random_instant(2.0)
    heard = [field.heard_s(call) for call in standing.menu]
    field.kill("controller")
    told = [
        await field.hears(call, ONE_MOMENT, within_s=5.0, after_s=at)
        for call, at in zip(standing.menu, heard, strict=True)
    ]
    back = [
        await field.hears(call, "menu-main", within_s=10.0, after_s=at)
        for call, at in zip(standing.menu, heard, strict=True)
    ]
    connected = sum(call.state == "talking" for call in standing.menu)
    require(connected == len(standing.menu), f"{connected} of {len(standing.menu)} callers are still connected")
    return f"«one moment» after {max(told):.1f} s, menu again {max(back):.1f} s later, {connected}/{len(standing.menu)} connected"


async def _nobody_is_silent_when_frozen(field: Field) -> str:
    """2: frozen, with callers in a menu, callers who wait, and new ones arriving."""
    standing = await field.standing(talking=1, waiting=2, menu=2)
    await field.random_instant(2.0)
    begun = field.now()
    in_menu = [field.heard_s(call) for call in standing.menu]
    async with field.frozen(field.pid("controller")):
        fresh = await field.dial("menu")
        told = [
            await field.hears(call, ONE_MOMENT, within_s=5.0, after_s=at)
            for call, at in zip(standing.menu, in_menu, strict=True)
        ]
        await field.hears(fresh, "menu-main", within_s=10.0)
        worst = max(field.now() - begun, *told) if told else 0.0
        require(all(call.state == "talking" for call in standing.all()), "somebody was cut off")
        silence = max(call.media.longest_gap_s(since=begun) for call in standing.waiting)
        require(silence < 0.5 * FUSE, f"waiting callers heard nothing for {silence:.2f} s")
    return f"menus told within {max(told):.1f} s, a new caller in a menu after {worst:.1f} s, music gap {silence * 1000:.0f} ms"


async def _waiting_order_kept(field: Field) -> str:
    """3: killed, callers waiting."""
    standing = await field.standing(talking=1, waiting=3, menu=0)
    order = await field.waiting_order()
    await field.random_instant(1.0)
    begun = field.now()
    field.kill("controller")
    standing.talking[0][0].hang_up()
    _, first = await field.served(timeout_s=2.0 * FUSE)
    took = field.now() - begun
    require(first == order[0], "somebody was served out of turn")
    silence = max(call.media.longest_gap_s(since=begun) for call in standing.waiting[1:])
    require(silence < 0.5 * FUSE, f"music stood still for {silence:.2f} s")
    rest = await field.waiting_order()
    require(rest == order[1:], "the order of those who wait has changed")
    return f"next offer {took:.2f} s after the kill, order kept, music gap {silence * 1000:.0f} ms"


async def _ringing_survives(field: Field) -> str:
    """4: killed while an agent's phone rings."""
    await field.ready(0)
    caller = await field.dial("queue")
    rung = await field.ring()
    await field.random_instant(0.8)
    field.kill("controller")
    await field.random_instant(0.8)
    rung.answer()
    state = await rung.until("talking", timeout_s=10)
    if state == "ended":  # cancelled in that very moment: it is made again
        rung, _ = await field.served(timeout_s=10)
    await caller.media.more(10)
    await rung.media.more(10)
    page = await field.until_api(
        "agents", lambda page: page["items"][0]["state"] == "ENGAGED", "the board knows who talks"
    )
    require(page["items"][0]["extension"] == rung.phone.user, "another agent is said to talk")
    return "the offer was completed" if state == "talking" else "the offer was cancelled and made again"


async def _talk_outlives(field: Field) -> str:
    """5: killed during a talk; hung up while nobody of ours is there."""
    standing = await field.standing(talking=1, waiting=0, menu=0)
    await field.random_instant(1.0)
    begun = field.now()
    field.kill("controller")
    await standing.talking[0][0].media.more(10)
    gap = gaps(standing.talking, begun)
    standing.talking[0][0].hang_up()
    await field.until_api(
        "calls?limit=200",
        lambda page: page["items"] and page["items"][0]["state"] == "ended" and page["items"][0]["has_recording"],
        "the call has its end and its recording", timeout_s=30,
    )  # fmt: skip
    story = await field.world.get(f"calls/{(await field.world.get('calls'))['items'][0]['id']}")
    kinds = {event["kind"] for event in story["timeline"]}
    require("SegmentEnded" in kinds, "the agent's part of the call has no end")
    return f"gap {gap * 1000:.0f} ms, segment and recording complete"


async def _rolling_restart(field: Field) -> str:
    """7: both controllers are restarted in turn under calls that keep coming."""
    standing = await field.standing(talking=1, waiting=1, menu=1)
    stop = asyncio.Event()
    failed: list[str] = []
    made = 0

    async def keep_calling() -> None:
        nonlocal made
        while not stop.is_set():
            call = await field.dial("echo" if made % 2 else "menu", accepted=False)
            made += 1
            if await call.until("talking", timeout_s=10) != "talking":
                failed.append(str(call.status))
            else:
                await call.media.more(5)
                call.hang_up()
            await asyncio.sleep(0.2)

    before = {field.pid("controller"), field.pid("standby")}
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_calling())
        begun = field.now()
        field.kill("launcher", signal.SIGUSR1)
        await field.until(
            lambda: not before & {field.told()["pids"].get("controller", 0), field.told()["pids"].get("standby", 0)}
            and sorted([field.slot_state(1), field.slot_state(2)]) == ["owner", "standby"],
            "both controllers are new", timeout_s=90,
        )  # fmt: skip
        took = field.now() - begun
        stop.set()
    require(not failed, f"{len(failed)} of {made} calls failed ({', '.join(failed[:3])})")
    require(all(call.state == "talking" for call in (*standing.talking[0], *standing.waiting)), "somebody was cut off")
    return f"both new after {took:.0f} s, {made} calls meanwhile, none failed"


async def _stale_owner(field: Field) -> str:
    """8: paused past its lease; the other takes over; it wakes."""
    standing = await field.standing(talking=1, waiting=2, menu=0)
    order = await field.waiting_order()
    await field.random_instant(1.0)
    asleep = field.pid("controller")
    begun = field.now()
    async with field.frozen(asleep):
        standing.talking[0][0].hang_up()
        _, served = await field.served(timeout_s=5.0 * FUSE)
        took = field.now() - begun
    require(served == order[0], "somebody was served out of turn")
    rang = len(field.incoming)
    await field.until(lambda: field.pid("controller") != asleep, "the new owner is known", timeout_s=15)
    await field.until(lambda: field.told()["pids"].get("standby") != asleep, "the stale one has ended", timeout_s=30)
    require(len(field.incoming) == rang, "the stale owner rang a phone")
    return f"next offer {took:.1f} s after the pause, none by the stale owner"


DRILLS = (
    Drill(1, "killed, callers in the menu", "«one moment» ≤ 5 s, back in a menu, ≥ 99 % connected after 10 s",
          _menu_callers_come_back, times=30, short=True),
    Drill(2, "frozen, callers everywhere", "nobody silent > 5 s; those who wait keep music and place",
          _nobody_is_silent_when_frozen, times=30, short=True),
    Drill(3, "killed, callers waiting", "next offer ≤ 2 s, order kept, music continuous",
          _waiting_order_kept, times=30, short=True),
    Drill(4, "killed while a phone rings", "completed, or cancelled and made again; never dead air", _ringing_survives, times=30),
    Drill(5, "killed during a talk, hang-up while down", "undisturbed; record and recording complete", _talk_outlives, times=30),
    Drill(7, "rolling restart under calls", "drain ≤ 30 s, no failed call", _rolling_restart,
          settings={"SUPERVISOR__DRAIN_S": "5"}),
    Drill(8, "owner paused past its lease", "the other takes over ≤ 5 s; the stale one offers nothing", _stale_owner, times=30,
          settings={"SUPERVISOR__BEAT_S": "60"}),
)  # fmt: skip
