"""`aftercall soak`: calls of every kind at a steady rate for a while, and then nothing may have grown and nothing may differ.

Talk times are compressed, so that minutes stand for a day. Decides what is called and what is compared; what growth is, the
oracle O10 says, and what a difference is, `aftercall reconcile`. Bounded in rate and time; ends by itself. Exit status 0 when
every call ended well, nothing grew and no difference was found.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.drills import oracles
from app.drills.field import Field, field_in
from app.drills.model import Missed
from app.softphone import Call, Softphone
from app.world.outside import OutsideWorld

AGENTS = 20
WARM_UP_S = 60.0  # caches and pools grow to their size before anybody measures
TALK_S = (0.5, 3.0)
LONGEST_CALL_S = 40.0
MOST_AT_ONCE = 100
SETTINGS = {
    "REHEARSAL": "true", "SPEECH__ENABLED": "false", "SAMPLE__ORDERS": "200", "SAMPLE__AGENTS": str(AGENTS),
    "QUEUES": json.dumps({"service": {"wrap_up_s": 0}, "express": {"wrap_up_s": 0}}),
}  # fmt: skip
# What customers do, and how often of a hundred.
KINDS = {"served": 62, "agent_ends": 12, "menu_then_person": 8, "menu_and_gone": 8, "gives_up": 6, "echo": 4}


class Soak:
    """One soak on a world that is up; `told` is called with a line of progress now and then."""

    def __init__(self, field: Field, chance: random.Random, told: Callable[[str], None]) -> None:
        self._field, self._chance, self._told = field, chance, told
        self.did: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self._at_once = asyncio.Semaphore(MOST_AT_ONCE)

    async def run(self, seconds: float, rate: float) -> None:
        """Calls at random moments, `rate` a second on average; returns when the last has ended."""
        loop = asyncio.get_running_loop()
        began, due, said = loop.time(), loop.time(), 0
        async with asyncio.TaskGroup() as group:
            desks = [group.create_task(self._desk(phone)) for phone in self._field.agents]
            async with asyncio.TaskGroup() as calls:
                while (due := due + self._chance.expovariate(rate)) - began < seconds:
                    await asyncio.sleep(max(0.0, due - loop.time()))
                    await self._at_once.acquire()
                    kind = self._chance.choices(list(KINDS), list(KINDS.values()))[0]
                    calls.create_task(self._call(kind)).add_done_callback(lambda _: self._at_once.release())
                    if loop.time() - began >= 60 * (said + 1):
                        said += 1
                        self._told(f"{said} min: {sum(self.did.values())} calls, {sum(self.wrong.values())} went wrong")
            for desk in desks:
                desk.cancel()

    async def _call(self, kind: str) -> None:
        try:
            async with asyncio.timeout(LONGEST_CALL_S):
                await self._customer(kind)
            self.did[kind] += 1
        except (Missed, TimeoutError) as error:
            self.wrong[f"{kind}: {error or 'not over in time'}"] += 1

    async def _customer(self, kind: str) -> None:
        call = await self._field.dial("echo" if kind == "echo" else "menu" if kind.startswith("menu") else "queue")
        try:
            if kind == "menu_then_person":
                await asyncio.sleep(self._chance.uniform(0.2, 1.0))
                call.media.send_digits("0")
                await call.until("ended", timeout_s=LONGEST_CALL_S)
            elif kind == "agent_ends":
                await call.until("ended", timeout_s=LONGEST_CALL_S)
            elif kind == "served":
                await asyncio.sleep(self._chance.uniform(*TALK_S))
            else:
                await asyncio.sleep(self._chance.uniform(0.1, 1.5))
        finally:
            if call.state != "ended":
                call.hang_up()
            await call.until("ended", timeout_s=5)
            self._field.forget(call)

    async def _desk(self, phone: Softphone) -> None:
        """An agent who answers whatever rings, and hangs up after a while if the customer has not."""
        while True:
            offered: Call = await phone.incoming.get()
            offered.answer()
            try:
                await offered.until("ended", timeout_s=self._chance.uniform(*TALK_S) + 1.0)
            except TimeoutError:
                offered.hang_up()
            await phone.prepare()


async def _soak(minutes: float, rate: float, seed: int, told: Callable[[str], None]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="aftercall-soak-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        async with OutsideWorld(home, settings=SETTINGS) as world:
            field = await field_in(world, seed, agents=AGENTS)
            for number, phone in enumerate(field.agents):
                phone.incoming = asyncio.Queue()  # each agent minds their own phone
                await field.ready(number)
            soak = Soak(field, random.Random(seed), told)  # noqa: S311 (when customers call, no secret)
            await soak.run(WARM_UP_S, rate)
            before = oracles.baseline(field)
            told(f"warm: {before.memory_mb:.0f} MB, {before.files} files; {minutes:g} min at {rate:g} calls/s begin")
            await soak.run(minutes * 60, rate)
            await field.clear()
            grown = await _growth(field, before)
            after = oracles.baseline(field)
            differences = await _reconcile(home)
            await field.close()
    return {
        "minutes": minutes, "calls_per_s": rate, "seed": seed, "calls": sum(soak.did.values()), "did": dict(soak.did),
        "wrong": dict(soak.wrong), "memory_mb": [round(before.memory_mb), round(after.memory_mb)],
        "files": [before.files, after.files], "udp_ports": [before.sockets, after.sockets], "grown": grown,
        "differences": differences,
    }  # fmt: skip


async def _growth(field: Field, before: oracles.Baseline) -> str:
    try:
        await oracles.no_growth(field, before)
        return ""
    except Missed as error:
        return str(error)


async def _reconcile(home: Path) -> list[str]:
    """What `aftercall reconcile` says of this home, once the newest calls have been copied."""
    await asyncio.sleep(31)  # it leaves out the last half minute
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.cli", "reconcile", "--home", str(home), "--json", stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(300):
        out, _ = await process.communicate()
    return out.decode("utf-8", "replace").splitlines()


def run(*, minutes: float, rate: float, seed: int) -> int:
    """Soaks a world made for it and prints one JSON object on the last line."""
    found = asyncio.run(_soak(minutes, rate, seed, lambda line: print(line, flush=True)))  # noqa: T201
    lines = [json.loads(line) for line in found["differences"]]
    found["differences"] = lines
    print(json.dumps(found, ensure_ascii=False))  # noqa: T201
    return 1 if found["wrong"] or found["grown"] or len(lines) != 1 else 0
