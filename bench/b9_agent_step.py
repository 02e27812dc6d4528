"""B9: an agent's step from state to state, journalled, beside redis-py that makes the same step in one round trip.

Ours: the owner's verb in memory, its check, its event to the journal's file (synced to the disk before the clock stops)
and to whoever listens. Peer: one Lua script on a real Redis over loopback, which checks the state, writes it and adds what
is told to a stream. `reserve_and_release`: a caller comes, is given to an agent, hangs up, the agent is free again; beside
two such scripts that tell the same eight facts. Promise: at least 0.9 of the peer's rate.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import redis

from bench.figures import Figure, figure, spread
from bench.redis_server import redis_server
from core.clock import SystemClock
from core.events import pbx
from core.events.routing import OfferMade
from core.events.stream import EventStream
from core.ids import new_id
from core.journal.journal import Journal
from routing.acd import Acd
from routing.model import AgentRecord, WorkItem
from routing.policy.model import Policy, QueuePolicy

AGENTS, ROUNDS, STEPS, CALLS = 20, 15, 3000, 1000
STEP = """local key = 'agent:' .. ARGV[1]
if redis.call('HGET', key, 'state') == ARGV[2] then return 0 end
redis.call('HSET', key, 'state', ARGV[2], 'since', ARGV[3])
for i = 4, #ARGV do redis.call('XADD', 'events', 'MAXLEN', '~', '100000', '*', 'record', ARGV[i]) end
return 1"""


class Phones:
    """Takes every order to ring; rings nobody."""

    def __init__(self) -> None:
        self.offered = 0

    async def offer(
        self, *, offer_id: str, interaction_id: str, caller_channel: str, extension: str, ring_s: float, epoch: int,
        caller_number: str = "", caller_name: str = "", headers: Mapping[str, str] | None = None,
        whisper: Sequence[str] = (),
    ) -> str:  # fmt: skip
        self.offered += 1
        return f"{interaction_id}-{offer_id}"

    async def cancel_offer(self, leg_id: str) -> None:
        return None


class NoCard:
    async def push(self, offer: OfferMade, item: WorkItem) -> None:
        return None


class Ours:
    """The owner of routing on a journal, nothing else."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.journal = Journal(folder / "journal.sqlite", "bench")
        self.stream = EventStream(self.journal)
        self.phones = Phones()
        self.acd = Acd(
            telephony=self.phones, screen_pop=NoCard(), stream=self.stream, clock=self.clock,
            ids=lambda: new_id().replace("-", "")[-12:], policy=Policy({"service": QueuePolicy("service")}),
            agents=[AgentRecord(str(101 + number), f"Agent {number}") for number in range(AGENTS)],
        )  # fmt: skip
        self._calls = 0

    async def _synced(self) -> None:
        while self.journal.synced < self.journal.last_seq:
            await asyncio.sleep(0.0005)

    async def steps(self) -> float:
        """Steps per second of agents who say READY and NOT_READY in turn."""
        begun, first = time.perf_counter(), self.journal.last_seq
        for number in range(STEPS):
            state = "NOT_READY" if number // AGENTS % 2 else "READY"
            self.acd.set_state(str(101 + number % AGENTS), state, "break", actor="user:bench")
        await self._synced()
        took = time.perf_counter() - begun
        assert self.journal.last_seq - first == STEPS
        return STEPS / took

    async def calls(self) -> float:
        """Callers per second who are given to an agent and hang up before the phone is answered."""
        offered = self.phones.offered
        begun = time.perf_counter()
        for _ in range(CALLS):
            self._calls += 1
            ix, now = f"n1-1.{self._calls}", self.clock.now()
            self.stream.emit(pbx.CallWaiting(interaction_id=ix, at=now, channel="c", queue="service", enqueued_at=now))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.stream.emit(pbx.CallEnded(interaction_id=ix, at=self.clock.now(), reason="caller_hangup"))
            await asyncio.sleep(0)
        await self._synced()
        took = time.perf_counter() - begun
        assert self.phones.offered - offered == CALLS
        return CALLS / took


class Peer:
    """redis-py and one script."""

    def __init__(self, client: redis.Redis) -> None:
        self._clock = SystemClock()
        self._step = client.register_script(STEP)

    def _to(self, extension: str, state: str, *told: dict[str, Any]) -> None:
        """One step, and all that is told of it, in one round trip."""
        at = self._clock.now().isoformat(timespec="milliseconds")
        change = {"kind": "AgentStateChanged", "at": at, "extension": extension, "state": state, "actor": "user:bench"}
        records = [json.dumps({"at": at, **record}) for record in (change, *told)]
        assert self._step(args=[extension, state, at, *records]) == 1

    def steps(self) -> float:
        begun = time.perf_counter()
        for number in range(STEPS):
            self._to(str(101 + number % AGENTS), "NOT_READY" if number // AGENTS % 2 else "READY")
        return STEPS / (time.perf_counter() - begun)

    def calls(self) -> float:
        """The same facts as ours, told in the two steps that they are about."""
        begun = time.perf_counter()
        for number in range(CALLS):
            extension = str(101 + number % AGENTS)
            item = {"interaction_id": f"n1-1.{number}", "queue": "service"}
            offer = {**item, "offer_id": str(number), "extension": extension}
            self._to(extension, "RESERVED", {"kind": "CallWaiting", **item, "channel": "c"}, {"kind": "ItemQueued", **item},
                     {"kind": "OfferMade", **offer})  # fmt: skip
            self._to(extension, "READY", {"kind": "CallEnded", **item, "reason": "caller_hangup"},
                     {"kind": "OfferCancelled", **offer}, {"kind": "ItemAbandoned", **item})  # fmt: skip
        return CALLS / (time.perf_counter() - begun)


async def _run() -> list[Figure]:
    rates: dict[str, list[float]] = {"steps": [], "peer steps": [], "calls": [], "peer calls": []}
    with tempfile.TemporaryDirectory(prefix="aftercall-b9-") as name, redis_server(Path(name)) as client:
        ours, peer = Ours(Path(name)), Peer(client)
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(ours.acd.run())
                await asyncio.sleep(0)
                ours.stream.emit(pbx.SwitchLinkChanged(at=ours.clock.now(), node="n1", up=True))
                for number in range(AGENTS):
                    ours.stream.emit(
                        pbx.AgentDeviceChanged(at=ours.clock.now(), extension=str(101 + number), reachable=True)
                    )
                await asyncio.sleep(0)
                for _ in range(ROUNDS):
                    rates["steps"].append(await ours.steps())
                    rates["peer steps"].append(peer.steps())
                for number in range(AGENTS):
                    ours.acd.set_state(str(101 + number), "READY", actor="user:bench")
                for _ in range(ROUNDS):
                    rates["calls"].append(await ours.calls())
                    rates["peer calls"].append(peer.calls())
                running.cancel()
        finally:
            ours.journal.close()
    return [
        _figure("agent_steps_per_s", rates["steps"], rates["peer steps"], STEPS * ROUNDS),
        _figure("reserve_and_release_per_s", rates["calls"], rates["peer calls"], CALLS * ROUNDS),
    ]


def _figure(metric: str, ours: list[float], peer: list[float], n: int) -> Figure:
    mine, theirs = statistics.median(ours), statistics.median(peer)
    return figure("B9", metric, mine, theirs, target="ratio >= 0.9", ok=mine >= 0.9 * theirs, n=n,
                  spread=spread(ours), peer_spread=spread(peer))  # fmt: skip


def run() -> list[Figure]:
    """The figures of B9."""
    return asyncio.run(_run())
