"""The owner of routing with a cardboard switch, a card that can fail, and every event that was told, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.events import DomainEvent
from core.events.routing import OfferMade
from core.events.stream import EventStream
from core.ids import CountingIds
from routing.acd import Acd
from routing.agent import Agent
from routing.model import AgentRecord, WorkItem
from routing.policy.model import Policy, QueuePolicy
from tests.unit.routing.switch import Switch
from tests.virtual import LoopClock

AGENTS = ("101", "102", "103")
RING_S, WRAP_UP_S = 15.0, 20.0


@dataclass
class Told:
    """A journal that keeps what is told, and at which second of the loop."""

    events: list[DomainEvent] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def emit(self, event: DomainEvent) -> None:
        self.events.append(event)
        self.seconds.append(asyncio.get_running_loop().time())

    def kinds(self, *, of: str = "") -> list[str]:
        return [event.kind for event in self.events if not of or event.interaction_id == of]

    def all(self, kind: str, **like: Any) -> list[Any]:
        return [e for e in self.events if e.kind == kind and all(getattr(e, k) == v for k, v in like.items())]

    def last(self, kind: str, **like: Any) -> Any:
        return self.all(kind, **like)[-1]


class Screen:
    """`mode`: shown, hangs, raises."""

    def __init__(self) -> None:
        self.mode = "shown"
        self.pushed: list[tuple[OfferMade, WorkItem]] = []

    async def push(self, offer: OfferMade, item: WorkItem) -> None:
        if self.mode == "hangs":
            await asyncio.Event().wait()
        if self.mode == "raises":
            raise RuntimeError("no card")
        self.pushed.append((offer, item))


def record(extension: str, **skills: int) -> AgentRecord:
    return AgentRecord(extension, f"Agent {extension}", skills or {"service": 3})


def queue(name: str = "service", **rules: Any) -> QueuePolicy:
    chosen = {"skills": {name: 1}, "ring_s": RING_S, "wrap_up_s": WRAP_UP_S, **rules}
    return QueuePolicy(name, **chosen)


class House:
    """`ready` agents; `acd`, `switch`, `screen`, `told`. `start` and `stop` the owner as a process would be."""

    def __init__(
        self,
        agents: Iterable[AgentRecord],
        queues: Iterable[QueuePolicy],
        *,
        lists: bool = True,
        is_open: Callable[[str, datetime], bool] = lambda _name, _at: True,
    ) -> None:
        self.told = Told()
        self.is_open = is_open
        self.stream = EventStream(self.told)
        self.clock = LoopClock(asyncio.get_running_loop())
        self.records, self.queues = list(agents), {policy.name: policy for policy in queues}
        self.switch = Switch(self.stream, self.clock, [agent.extension for agent in self.records], lists=lists)
        self.screen = Screen()
        self.ids = CountingIds("o")
        self.acd = self.new_owner()
        self._run: asyncio.Task[None] | None = None

    def new_owner(self) -> Acd:
        return Acd(
            telephony=self.switch, screen_pop=self.screen, stream=self.stream, clock=self.clock, ids=self.ids,
            policy=Policy(self.queues), agents=self.records, is_open=self.is_open,
        )  # fmt: skip

    def start(self) -> None:
        self.start_on(asyncio.get_running_loop())

    def start_on(self, loop: asyncio.AbstractEventLoop) -> None:
        self._run = loop.create_task(self.acd.run())

    async def stop(self) -> None:
        """As a kill would: nothing is said."""
        if self._run is not None:
            self._run.cancel()
            await asyncio.gather(self._run, return_exceptions=True)
            self._run = None
        self.acd._inbox.close()

    async def end(self) -> None:
        self.switch.close()
        if self._run is not None and self._run.done():
            self._run.result()  # the owner never dies of anything
        await self.stop()

    def agent(self, extension: str) -> Agent:
        return self.acd.book.agents[extension]

    def state(self, extension: str) -> str:
        agent = self.agent(extension)
        return f"{agent.state}({agent.reason})" if agent.reason else str(agent.state)

    def say(self, extension: str, state: str, reason: str = "") -> None:
        self.acd.set_state(extension, state, reason, actor="user:test")

    def ready(self, *extensions: str) -> None:
        for extension in extensions:
            self.say(extension, "READY")

    async def live(self, seconds: float = 0.05) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def house(
    *ready: str, agents: Iterable[AgentRecord] = (), queues: Iterable[QueuePolicy] = (), link: bool = True,
    lists: bool = True, is_open: Callable[[str, datetime], bool] = lambda _name, _at: True,
) -> AsyncIterator[House]:  # fmt: skip
    """A running owner; the agents named in `ready` say so, one after another."""
    it = House(
        agents or [record(extension) for extension in AGENTS], list(queues) or [queue()], lists=lists, is_open=is_open
    )
    it.start()
    try:
        if link:
            it.switch.connect()
        await it.live()
        for extension in ready:
            it.ready(extension)
            await it.live(1)
        yield it
    finally:
        await it.end()
