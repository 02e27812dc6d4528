"""The field a drill is held on: a rehearsal world seen from outside, its phones, and calls in every state.

What the oracles judge by is kept here as packets told it: who was accepted, who talked to whom and when. Knows no fault.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from app.drills.model import Missed
from app.softphone import Call, Softphone
from app.softphone.listen import hear, read_wav
from app.world.outside import OutsideWorld
from core.prompts.library import PromptLibrary

QUIET_S = 40.0
FUSE = 3.0  # a promise of time is missed only beyond three times itself: the machines are shared


@dataclass
class Standing:
    """Live calls before the fault: pairs who talk, callers who wait (in order), callers in the menu."""

    talking: list[tuple[Call, Call]] = field(default_factory=list)
    waiting: list[Call] = field(default_factory=list)
    menu: list[Call] = field(default_factory=list)

    def all(self) -> list[Call]:
        return [*(caller for caller, _ in self.talking), *self.waiting, *self.menu]


class Field:
    """`async with field_in(world)`; one per world, used by one drill at a time."""

    def __init__(self, world: OutsideWorld, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.loop = asyncio.get_running_loop()
        self.agents: list[Softphone] = []
        self.established: list[tuple[Call, Call]] = []  # who talked when the fault came
        self.incoming: list[Call] = []  # every INVITE at an agent's phone
        self.outgoing: dict[str, Call] = {}  # every call to us, by the caller's number
        self._line: Softphone
        self._rings: asyncio.Queue[Call] = asyncio.Queue()
        self._number = 0
        self._said_ready: set[int] = set()
        self._prompts = PromptLibrary()
        self._lags: list[tuple[float, float]] = []
        self._lag_watch: asyncio.Future[None] | None = None

    async def open(self, agents: int = 3) -> None:
        self._lag_watch = asyncio.get_running_loop().create_task(self._watch_lag())
        self._line = await self.world.caller()
        async with asyncio.TaskGroup() as group:  # pools grow to their size before anybody measures
            for _ in range(24):
                group.create_task(self.world.get("calls"))
        for number in range(agents):
            phone = await self.world.agent(number, ready=False)
            phone.incoming = self._rings  # whoever rings: one place to wait at
            self.agents.append(phone)

    async def close(self) -> None:
        """The phones are the world's, which closes them."""
        if self._lag_watch is not None:
            self._lag_watch.cancel()

    async def _watch_lag(self) -> None:
        while True:
            due = self.now() + 0.01
            await asyncio.sleep(0.01)
            if (lag := self.now() - due) > 0.01:
                self._lags.append((self.now(), lag))

    def own_lag_s(self, since: float) -> float:
        """How late this very process was at worst: packets seem to be late by as much."""
        return max((lag for at, lag in self._lags if at >= since), default=0.0)

    # --- the world

    def now(self) -> float:
        return self.loop.time()

    def told(self) -> dict[str, Any]:
        """`world.json` as it is now."""
        facts: dict[str, Any] = json.loads((self.world.home / "run" / "world.json").read_text(encoding="utf-8"))
        return facts

    def pid(self, role: str) -> int:
        return int(self.told()["pids"][role])

    def kill(self, role: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Sends the signal to a process of this world. Returns its pid."""
        pid = self.pid(role)
        os.kill(pid, number)
        return pid

    @asynccontextmanager
    async def frozen(self, pid: int) -> AsyncIterator[None]:
        """The process stands still inside the block."""
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                return  # somebody killed it for its silence

    def slot_state(self, slot: int) -> str:
        try:
            told = json.loads((self.world.home / "run" / f"controller-{slot}.ready").read_text(encoding="utf-8"))
            os.kill(int(told["pid"]), 0)
            return str(told["state"])
        except (OSError, ValueError, KeyError):
            return ""

    async def both_controllers(self) -> None:
        """Until one owns and the other stands by."""
        await self.until(
            lambda: sorted([self.slot_state(1), self.slot_state(2)]) == ["owner", "standby"],
            "an owner and a standby", timeout_s=45,
        )  # fmt: skip

    async def until(self, fits: Callable[[], bool], what: str, *, timeout_s: float = 10.0) -> float:
        """Waits until it fits; returns the seconds it took. Raises Missed."""
        begun = self.now()
        while not fits():
            if self.now() - begun > timeout_s:
                raise Missed(f"{what}: not within {timeout_s:g} s")
            await asyncio.sleep(0.05)
        return self.now() - begun

    async def until_api(self, path: str, fits: Callable[[Any], bool], what: str, *, timeout_s: float = 15.0) -> Any:
        try:
            return await self.world.get_until(path, fits, timeout_s=timeout_s)
        except TimeoutError as error:
            raise Missed(f"{what}: not within {timeout_s:g} s; {str(error)[:300]}") from error

    async def health(self) -> dict[str, str]:
        """Part → state, as `GET /health` says it; {} while nobody answers."""
        try:
            report = await self.world.get("health")
            return {part["name"]: part["state"] for part in report["parts"]}
        except (RuntimeError, aiohttp.ClientError, TimeoutError):
            return {}

    async def alarm(self, part: str, *, raised: bool, within_s: float = 15.0) -> float:
        """Until the health of `part` is (no longer) ok; returns the seconds. Raises Missed."""
        begun = self.now()
        while self.now() - begun < within_s:
            state = (await self.health()).get(part)
            if state is not None and (state != "ok") == raised:
                return self.now() - begun
            await asyncio.sleep(0.25)
        raise Missed(f"the alarm '{part}' was not {'raised' if raised else 'cleared'} within {within_s:g} s")

    # --- phones

    async def dial(self, did: str, *, accepted: bool = True) -> Call:
        """A customer dials `menu`, `queue` or `echo`; returns when the call is accepted."""
        self._number += 1
        ani = f"1387{self._number:07d}"
        call = await self._line.call(self.told()["dids"][did], from_user=ani)
        self.outgoing[ani] = call
        if accepted and await call.until("talking", timeout_s=15) != "talking":
            raise Missed(f"a call to {did} was refused ({call.status})")
        return call

    async def ready(self, number: int) -> None:
        await self.world.ready(number)
        self._said_ready.add(number)

    async def ring(self, *, timeout_s: float = 15.0) -> Call:
        """The next INVITE at any agent's phone. Raises Missed."""
        try:
            async with asyncio.timeout(timeout_s):
                call = await self._rings.get()
        except TimeoutError as error:
            raise Missed(f"no phone rang within {timeout_s:g} s; {await self._who_might()}") from error
        self.incoming.append(call)
        await call.phone.prepare()
        return call

    async def _who_might(self) -> str:
        """Agents and waiting callers as the product sees them, for whoever wonders why nothing rang."""
        try:
            agents, queues = await self.world.get("agents"), await self.world.get("queues")
        except (RuntimeError, aiohttp.ClientError, TimeoutError) as error:
            return f"the product does not say why ({type(error).__name__})"
        states = ", ".join(f"{a['extension']} {a['state']} {a.get('reason', '')}".strip() for a in agents["items"][:3])
        return f"{states}; {sum(len(q['waiting']) for q in queues['items'])} wait"

    async def served(self, *, timeout_s: float = 15.0) -> tuple[Call, str]:
        """The next offer, answered and talking. Returns the agent's leg and the interaction it carries."""
        offered = await self.ring(timeout_s=timeout_s)
        offered.answer()
        if await offered.until("talking", timeout_s=10) != "talking":
            raise Missed("an offer was answered into dead air")
        return offered, offered.header("x-aftercall-interaction")

    async def standing(self, *, talking: int = 1, waiting: int = 2, menu: int = 1) -> Standing:
        """Calls of every kind, up and known to the board."""
        it = Standing()
        for number in range(talking):
            await self.ready(number)
            caller = await self.dial("queue")
            offered, _ = await self.served()
            it.talking.append((caller, offered))
        self.established = list(it.talking)
        for _ in range(waiting):
            it.waiting.append(await self.dial("queue"))
        for _ in range(menu):
            it.menu.append(await self.dial("menu"))
        await self.until_api(
            "queues", lambda page: sum(len(q["waiting"]) for q in page["items"]) == waiting, "the board knows who waits"
        )
        for call in it.all():
            await call.media.more(10)
        return it

    async def waiting_order(self) -> list[str]:
        """Interaction ids of those who wait, first first, as the product tells it."""
        page = await self.world.get("queues")
        return [item["interaction_id"] for queue in page["items"] for item in queue["waiting"]]

    async def hears(self, call: Call, prompt: str, *, within_s: float, after_s: float = 0.0) -> float:
        """Until the caller hears the prompt; returns the seconds from now. Raises Missed."""
        begun = self.now()
        known = read_wav(f"{self._prompts.find(prompt, 'en')}.wav")
        try:
            await hear(call, known, after_s=after_s, timeout_s=within_s * FUSE)
        except TimeoutError as error:
            raise Missed(f"the caller did not hear '{prompt}' within {within_s * FUSE:g} s") from error
        return self.now() - begun

    def heard_s(self, call: Call) -> float:
        """How much sound the caller has got so far, in seconds."""
        return len(call.media.heard()) / 8000

    async def random_instant(self, most_s: float = 1.0) -> None:
        """Some moment: where in what is going on the fault strikes is left to chance."""
        await asyncio.sleep(self.chance.uniform(0.0, most_s))

    async def clear(self) -> None:
        """Everybody hangs up, agents step back; returns when the house is quiet. Raises Missed."""
        for number in sorted(self._said_ready):
            agent = self.told()["agents"][number]
            await self._step_back(agent)
        self._said_ready.clear()
        for call in [*self.outgoing.values(), *self.incoming]:
            if call.state != "ended":
                call.hang_up()
        while not self._rings.empty():
            self.incoming.append(self._rings.get_nowait())
        for late in self.incoming:
            if late.state in ("trying", "ringing"):
                late.reject()
        await self.both_controllers()
        await self.until_api(
            "calls?limit=200", lambda page: all(c["state"] == "ended" for c in page["items"]), "every call has ended",
            timeout_s=QUIET_S,
        )  # fmt: skip

    async def _step_back(self, agent: dict[str, Any]) -> None:
        body = {"state": "NOT_READY", "reason": "break"}
        begun = self.now()
        while True:
            try:
                await self.world.post(f"agents/{agent['extension']}/state", body, token=agent["token"])
                return
            except (RuntimeError, aiohttp.ClientError, TimeoutError):
                if self.now() - begun > QUIET_S:
                    raise Missed("the product does not answer over HTTP") from None
                await asyncio.sleep(0.2)

    def forget_ready(self) -> None:
        """The agents have stepped back by themselves."""
        self._said_ready.clear()

    def forget(self, call: Call) -> None:
        """This call to us is not judged any more: there are too many of them."""
        self.outgoing = {ani: one for ani, one in self.outgoing.items() if one is not call}

    def forget_calls(self) -> None:
        """What the next drill's oracles judge begins now."""
        self.outgoing.clear()
        self.incoming.clear()
        self.established = []


async def field_in(world: OutsideWorld, seed: int, *, agents: int = 3) -> Field:
    """The field on a world that is up. Its phones are the world's, which closes them."""
    field_ = Field(world, random.Random(seed))  # noqa: S311 (instants of faults, no secret)
    await field_.open(agents)
    return field_


def gaps(pairs: Sequence[tuple[Call, Call]], since: float) -> float:
    """The longest silence in seconds that anybody who talks has met since then."""
    return max((call.media.longest_gap_s(since=since) for pair in pairs for call in pair), default=0.0)
