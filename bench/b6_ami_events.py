"""B6: AMI events per second, from the socket to our state of calls, beside panoramisk that parses them and drops them.

The same recorded traffic over a loopback socket, in turns, from a server in a process of its own. Ours frames, reads and
applies every event and tells what it means; the peer does neither of the latter two. Per second of processor time, which
is all that either spends, so that a busy machine does not decide. Promise: at least 0.6 of the peer's rate.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from panoramisk import Manager

from bench.ami_traffic import OVER
from bench.figures import Figure, figure, spread
from core.clock import SystemClock
from core.events import DomainEvent
from pbx.ami import AmiAddress, AmiLink
from pbx.ami_events import AmiEvent, Told
from pbx.switchboard import Switchboard

CALLS, ROUNDS = 1500, 12
EXTENSIONS = ("101", "102", "103")


class Counted:
    """What the switchboard tells, counted by kind."""

    def __init__(self) -> None:
        self.kinds: dict[str, int] = {}

    def emit(self, event: DomainEvent) -> None:
        self.kinds[event.kind] = self.kinds.get(event.kind, 0) + 1


async def ours(port: int) -> float:
    """Processor seconds from asking for the stream to its last event. Raises AssertionError when the state is not what was
    told."""
    told = Counted()
    board = Switchboard(
        node="n1", trunk="trunk", entries={"4008002000": "queue"}, extensions=EXTENSIONS, events=told, clock=SystemClock()
    )  # fmt: skip
    over, up = asyncio.Event(), asyncio.Event()

    def on_event(event: AmiEvent) -> None:
        board.on_event(event)
        if isinstance(event, Told) and event.name == OVER:
            over.set()

    async def on_up() -> None:
        up.set()

    link = AmiLink(
        lambda: AmiAddress("127.0.0.1", port, "u", "s"), on_event=on_event, on_up=on_up, on_down=lambda _why: None
    )
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        running = group.create_task(link.run())
        await up.wait()
        begun = time.process_time()
        await link.send("BenchGo")
        await over.wait()
        took = time.process_time() - begun
        running.cancel()
    assert told.kinds["CallArrived"] == told.kinds["CallEnded"] == CALLS, told.kinds
    assert not board.calls()
    return took


async def peer(port: int) -> float:
    """The same for panoramisk: every event becomes its Message; nobody listens but for the last one."""
    over, up = asyncio.Event(), asyncio.Event()
    manager = Manager(
        host="127.0.0.1", port=port, username="u", secret="s", on_login=lambda *_: up.set(),
        on_disconnect=lambda *_: None, loop=asyncio.get_running_loop(), reconnect_timeout=3600,
    )  # fmt: skip

    def heard(_manager: Manager, message: dict[str, str]) -> None:
        if message["UserEvent"] == OVER:
            over.set()

    manager.register_event("UserEvent", heard)
    async with asyncio.timeout(60):
        await manager.connect()
        await up.wait()
        begun = time.process_time()
        manager.send_action({"Action": "BenchGo"})
        await over.wait()
        took = time.process_time() - begun
    manager.close()
    return took


@asynccontextmanager
async def server(calls: int) -> AsyncIterator[tuple[int, int]]:
    """The traffic's port and how many events it has."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.ami_traffic", str(calls)), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    try:
        port, events, _size = map(int, (await process.stdout.readline()).split())
        yield port, events
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _run() -> list[Figure]:
    rates: dict[str, list[float]] = {"ours": [], "peer": []}
    async with server(CALLS) as (port, events):
        for turn in range(ROUNDS + 1):
            mine, theirs = events / await ours(port), events / await peer(port)
            if turn:  # the first one warms up
                rates["ours"].append(mine)
                rates["peer"].append(theirs)
    mine, theirs = (statistics.median(rates[way]) for way in ("ours", "peer"))
    return [
        figure("B6", "ami_events_per_s", mine, theirs, target="ratio >= 0.6", ok=mine >= 0.6 * theirs,
               n=events * ROUNDS, spread=spread(rates["ours"]), peer_spread=spread(rates["peer"])),
    ]  # fmt: skip


def run() -> list[Figure]:
    """The figures of B6."""
    return asyncio.run(_run())
