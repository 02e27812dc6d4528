"""B1: an agent's BYE → the next INVITE at that agent's phone, with callers always waiting and random talk times.

Three ways take turns on one Asterisk with the same phones: ours with every rule of routing in force, app_queue at its best
settings, and an AMI client of a few lines that does nothing else (the cost of the wire). Promise: at most 0.03 of app_queue's
median and 0.05 of its p99, at most three times the bare client's p99 (or 25 ms), and never two offers at one phone.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path

import numpy as np

from app.softphone import Call, Softphone
from app.world.outside import OutsideWorld
from bench.figures import Figure, at, figure, spread
from bench.switch import PEER_SECRET, BareAmi, Switch

AGENTS, WAITING, ROUNDS = 20, 40, 3
WAYS = ("ours", "app_queue", "bare")
ROUND_CALLS = {"ours": 700, "app_queue": 110, "bare": 110}
# Every rule of routing is in force: classes, rings, values, memory, promises.
RULES = """
max_overtakes: 20
classes:
  standard: {base_points: 0, ageing_points_per_min: 1}
  gold: {base_points: 5, ageing_points_per_min: 1}
queues:
  service: {skills: {service: 1}}
  express:
    skills: {express: 2}
    choice: {idle_points_per_min: 0.01, fit_points_per_level: 0.001, occupancy_points_per_percent: -0.0001}
    class_of_tier: {gold: gold}
    wrap_up_s: 0
    value_points: [{from_minor: 20000, points: 1}]
    rings: [{after_s: 5, lower: {express: 1}, points: 1}, {after_s: 15, points: 1}, {after_s: 30, drop: [express]}]
    last_agent_days: 7
    last_agent_points: 0.1
    owner_first_s: 5
    promise_points: 2
    max_waiting: 500
    max_wait_s: 900
"""
DIALPLAN = """[from-trunk](+)
exten => 8801,1,Answer()
 same => n,Queue(bench)
 same => n,Hangup()
exten => 8802,1,Answer()
 same => n,UserEvent(BenchWaiting)
 same => n,MusicOnHold(default)
[bench-bridge]
exten => s,1,Bridge(${BENCH_CALLER})
 same => n,Hangup()
"""
QUEUE = """[bench]
strategy=rrmemory
timeout=15
retry=1
wrapuptime=0
ringinuse=no
joinempty=yes
"""
MANAGER = f"""[bench]
secret = {PEER_SECRET}
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.1/255.255.255.255
read = call,user
write = originate,call
"""


class Desk:
    """One agent's phone that answers, talks for a random time, says BYE, and notes how long the next INVITE took."""

    def __init__(self, phone: Softphone, chance: random.Random) -> None:
        self.phone, self.chance = phone, chance
        self.freed_at = 0.0
        self.gaps_ms: list[float] = []
        self.doubled = 0

    async def work(self) -> None:
        while True:
            call = await self.phone.next_call(timeout_s=3600)
            if self.freed_at:
                self.gaps_ms.append((call.at["invite"] - self.freed_at) * 1000)
            self.freed_at = 0.0
            self.doubled += len(self.phone.calls) > 1
            call.answer()
            await asyncio.sleep(self.chance.uniform(0.4, 1.6))
            if call.state == "talking":
                call.hang_up()
                self.freed_at = self.phone.loop.time()
            await call.until("ended")


class Crowd:
    """Keeps `WAITING` callers in the line at all times; who is served hangs up and another dials."""

    def __init__(self, phone: Softphone, did: str) -> None:
        self.phone, self.did = phone, did
        self.count = 0

    async def _one(self) -> None:
        while True:
            self.count += 1
            call: Call = await self.phone.call(self.did, from_user=f"1390000{self.count % 10000:04d}")
            call.media.sending = False
            call.media.play(_BLIP)
            await call.until("ended", timeout_s=300)

    async def wait_in_line(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(WAITING + AGENTS):
                group.create_task(self._one())


_BLIP = np.zeros(160, dtype=np.int16)  # one packet, so that Answer() sees media


async def bare_loop(ami: BareAmi, extensions: list[str]) -> None:
    """Agent's hang-up → Originate → Bridge, longest waiting first."""
    waiting: list[str] = []
    free = list(extensions)
    number = 0
    while True:
        event = await ami.next()
        kind = event.get("Event")
        if kind == "UserEvent" and event.get("UserEvent") == "BenchWaiting":
            waiting.append(event["Channel"])
        elif kind == "Hangup":
            if event["Channel"] in waiting:
                waiting.remove(event["Channel"])
            if event["Uniqueid"].startswith("bench-"):
                free.append(event["Uniqueid"].split("-")[1])
        while free and waiting:
            extension, caller, number = free.pop(0), waiting.pop(0), number + 1
            ami.send(
                f"Action: Originate\r\nChannel: PJSIP/{extension}\r\nContext: bench-bridge\r\nExten: s\r\n"
                f"Priority: 1\r\nAsync: true\r\nTimeout: 15000\r\nChannelId: bench-{extension}-{number}\r\n"
                f"Variable: BENCH_CALLER={caller}\r\n\r\n"
            )


async def _round(world: OutsideWorld, way: str, desks: list[Desk], target: int) -> list[float]:
    """Runs one way until `target` gaps are measured; everybody is back where they were afterwards."""
    agents = world.facts["agents"][:AGENTS]
    switch = Switch(world)
    for desk in desks:
        desk.freed_at, desk.gaps_ms = 0.0, []
    did = {"ours": world.facts["dids"]["queue"], "app_queue": "8801", "bare": "8802"}[way]
    caller = await world.caller()
    ami = BareAmi()
    try:
        async with asyncio.timeout(180), asyncio.TaskGroup() as group:
            tasks = []
            if way == "bare":
                await ami.open(world.facts["ami"]["host"], world.facts["ami"]["port"], "bench", PEER_SECRET)
                tasks.append(group.create_task(bare_loop(ami, [a["extension"] for a in agents])))
            tasks.append(group.create_task(Crowd(caller, did).wait_in_line()))
            tasks += [group.create_task(desk.work()) for desk in desks]
            if way == "ours":
                for number in range(AGENTS):
                    await world.ready(number)
            elif way == "app_queue":
                for agent in agents:
                    await switch.cli(f"queue add member PJSIP/{agent['extension']} to bench")
            while sum(len(desk.gaps_ms) for desk in desks) < target:
                await asyncio.sleep(0.2)
            for task in tasks:
                task.cancel()
    finally:
        ami.close()
        for agent in agents:
            if way == "ours":
                body = {"state": "NOT_READY", "reason": "break"}
                await world.post(f"agents/{agent['extension']}/state", body, token=agent["token"])
            elif way == "app_queue":
                await switch.cli(f"queue remove member PJSIP/{agent['extension']} from bench")
        phones = [caller, *(desk.phone for desk in desks)]
        async with asyncio.timeout(10):
            while up := [call for phone in phones for call in phone.calls.values()]:
                for call in up:
                    call.hang_up()  # again and again: who was just being answered talks a moment later
                await asyncio.sleep(0.1)
        await switch.quiet()
    return [gap for desk in desks for gap in desk.gaps_ms]


async def _run() -> list[Figure]:
    gaps: dict[str, list[float]] = {way: [] for way in WAYS}
    doubled = 0
    with tempfile.TemporaryDirectory(prefix="aftercall-b1-", ignore_cleanup_errors=True) as folder:
        settings = {"SAMPLE__AGENTS": str(AGENTS), "SPEECH__ENABLED": "false"}
        async with OutsideWorld(Path(folder), settings=settings) as world:
            await Switch(world).add(extensions=DIALPLAN, queues=QUEUE, manager=MANAGER)
            current = await world.get("policies/current")
            await world.post("policies", {"text": RULES, "revision": current["version"], "note": "every rule at once"})
            desks = [Desk(await world.agent(i, ready=False), random.Random(i)) for i in range(AGENTS)]
            for _ in range(ROUNDS):
                for way in WAYS:
                    gaps[way] += await _round(world, way, desks, ROUND_CALLS[way])
                    doubled += sum(desk.doubled for desk in desks) if way == "ours" else 0
    ours, queue, bare = (gaps[way] for way in WAYS)
    n = len(ours)
    p99_limit = max(25.0, 3 * at(bare, 99))
    return [
        figure("B1", "bye_to_invite_p50_ms", at(ours, 50), at(queue, 50), target="ratio <= 0.03",
               ok=at(ours, 50) <= 0.03 * at(queue, 50), n=n, spread=spread(ours), peer_spread=spread(queue)),
        figure("B1", "bye_to_invite_p99_ms", at(ours, 99), at(queue, 99), target="ratio <= 0.05",
               ok=at(ours, 99) <= 0.05 * at(queue, 99), n=n),
        figure("B1", "bye_to_invite_p99_vs_bare_ami_ms", at(ours, 99), at(bare, 99), target=f"<= {p99_limit:.1f} ms",
               ok=at(ours, 99) <= p99_limit, n=n, peer_spread=spread(bare)),
        figure("B1", "double_offers", doubled, None, target="= 0", ok=doubled == 0, n=n),
    ]  # fmt: skip


def run() -> list[Figure]:
    """The figures of B1."""
    return asyncio.run(_run())
