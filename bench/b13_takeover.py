"""B13: the controller is killed, or frozen, with 30 callers waiting and 10 talking → the next correct offer.

The peer, app_queue, holds its callers in Asterisk's own process, so what compares is that process started anew (`core restart
now`): how long until the next caller is offered, and who was lost meanwhile. Killed and frozen take turns.
Promise: killed ≤ 2 s, frozen ≤ 5 s, nobody who talks is lost, nobody is served out of turn.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from app.drills.field import Field, field_in
from app.drills.model import Missed
from app.softphone import Call
from app.world.outside import OutsideWorld
from bench.figures import Figure, at, figure, spread
from bench.switch import Switch

TALKING, WAITING, REPEATS, PEER_REPEATS = 10, 30, 30, 3
KILLED_S, FROZEN_S = 2.0, 5.0
DIALPLAN = """[from-trunk](+)
exten => 8801,1,Answer()
 same => n,Queue(bench)
 same => n,Hangup()
"""
QUEUE = "[bench]\nstrategy=rrmemory\ntimeout=15\nretry=1\nwrapuptime=0\nringinuse=no\njoinempty=yes\n"


@dataclass
class Tally:
    """Seconds to the next offer, and what went wrong on the way."""

    took_s: dict[str, list[float]] = field(default_factory=lambda: {"killed": [], "frozen": []})
    lost: int = 0
    out_of_turn: int = 0


async def _fill(it: Field) -> tuple[list[tuple[Call, Call]], list[Call]]:
    talks = []
    for number in range(TALKING):
        await it.ready(number)
        caller = await it.dial("queue")
        offered, _ = await it.served()
        talks.append((caller, offered))
    waiting = [await it.dial("queue") for _ in range(WAITING)]
    await it.until_api("queues", lambda page: sum(len(q["waiting"]) for q in page["items"]) == WAITING, "all wait")
    return talks, waiting


async def _turn(it: Field, way: str, talks: list[tuple[Call, Call]], tally: Tally) -> None:
    """One fault: somebody's talk ends in the same moment, and the agent who is free again is the one to be offered."""
    await it.both_controllers()
    order = await it.waiting_order()
    pid = it.pid("controller")
    caller, _ = talks.pop(0)
    begun = it.now()
    os.kill(pid, signal.SIGKILL if way == "killed" else signal.SIGSTOP)
    caller.hang_up()
    offered, interaction = await it.served(timeout_s=30)
    tally.took_s[way].append(offered.at["invite"] - begun)
    tally.out_of_turn += interaction != order[0]
    tally.lost += sum(call.state != "talking" for pair in talks for call in pair)
    served = next(
        (c for c in it.outgoing.values() if c.state == "talking" and not any(c in pair for pair in talks)), caller
    )
    talks.append((served, offered))
    await it.dial("queue")


async def _ours(folder: Path, tally: Tally) -> None:
    settings = {"SAMPLE__AGENTS": str(TALKING), "SPEECH__ENABLED": "false", "SAMPLE__ORDERS": "200"}
    async with OutsideWorld(folder, settings=settings) as world:
        it = await field_in(world, 13, agents=TALKING)
        await it.both_controllers()
        talks, _ = await _fill(it)
        for _ in range(REPEATS):
            for way in ("killed", "frozen"):
                await _turn(it, way, talks, tally)


async def _peer(folder: Path) -> tuple[list[float], int]:
    """app_queue over a restart of its process: seconds to the next offer, and how many who talked were cut off."""
    took: list[float] = []
    lost = 0
    settings = {"SAMPLE__AGENTS": str(TALKING), "SPEECH__ENABLED": "false", "SUPERVISOR__STANDBY": "false"}
    async with OutsideWorld(folder, settings=settings) as world:
        members = "".join(f"member => PJSIP/{agent['extension']}\n" for agent in world.facts["agents"])
        await Switch(world).add(extensions=DIALPLAN, queues=QUEUE + members)
        phones = [await world.agent(number, ready=False) for number in range(TALKING)]
        rings: asyncio.Queue[Call] = asyncio.Queue()
        for phone in phones:
            phone.incoming = rings
            phone.auto_answer = True
        loop = asyncio.get_running_loop()
        for turn in range(PEER_REPEATS):
            line = await world.caller()
            calls = [await line.call("8801", from_user=f"1391{turn}{n:06d}") for n in range(TALKING + WAITING)]
            talking = []
            for _ in range(TALKING):
                call = await asyncio.wait_for(rings.get(), 30)
                await call.phone.prepare()
                talking.append(call)
            begun = loop.time()
            await Switch(world).cli("core restart now")
            for phone in phones:
                phone.auto_answer = False
            await asyncio.gather(
                *(call.until("ended", timeout_s=60) for call in [*calls, *talking]), return_exceptions=True
            )
            lost += sum(call.state == "ended" for call in talking)
            while rings.empty():
                again = await line.call("8801", from_user=f"1392{turn}000000")
                try:
                    await again.until("talking", timeout_s=1)
                    ring = await asyncio.wait_for(rings.get(), 2)
                    took.append(ring.at["invite"] - begun)
                    ring.reject()
                    again.hang_up()
                    break
                except TimeoutError:
                    again.vanish()
            for phone in phones:
                phone.auto_answer = True
            await line.close()
    return took, lost


async def _run() -> list[Figure]:
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="aftercall-b13-", ignore_cleanup_errors=True) as folder:
        await _ours(Path(folder) / "ours", tally)
        took, lost = await _peer(Path(folder) / "peer")
    peer = at(took, 50) if took else None
    killed, frozen = tally.took_s["killed"], tally.took_s["frozen"]
    return [
        figure("B13", "killed_to_next_offer_max_s", max(killed), peer, target=f"<= {KILLED_S:g} s", ok=max(killed) <= KILLED_S,
               n=len(killed), spread=spread(killed)),
        figure("B13", "frozen_to_next_offer_max_s", max(frozen), peer, target=f"<= {FROZEN_S:g} s", ok=max(frozen) <= FROZEN_S,
               n=len(frozen), spread=spread(frozen)),
        figure("B13", "talking_calls_lost", tally.lost, lost, target="= 0", ok=tally.lost == 0,
               n=TALKING * (len(killed) + len(frozen)), peer_n=TALKING * PEER_REPEATS),
        figure("B13", "served_out_of_turn", tally.out_of_turn, None, target="= 0", ok=tally.out_of_turn == 0,
               n=len(killed) + len(frozen)),
    ]  # fmt: skip


def run() -> list[Figure]:
    """The figures of B13. Raises Missed when the world falls into disorder."""
    try:
        return asyncio.run(_run())
    except Missed as error:
        raise SystemExit(f"B13: {error}") from error
