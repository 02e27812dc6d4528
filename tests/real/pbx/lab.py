"""A real Asterisk with the product's own configuration and our switch parts on it, without the rest of the house."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.softphone import Softphone
from app.world import bundle, switch
from app.world.plan import WorldPlan
from app.world.planner import Options, make_plan
from app.world.ports import Claims
from app.world.render import render
from core.clock import SystemClock
from core.events import DomainEvent
from core.settings import Settings
from pbx.agi_server import AgiServer, Handler
from pbx.ami import AmiAddress, AmiLink
from pbx.control import Control
from pbx.heartbeat import Heartbeat
from pbx.resync import Resync
from pbx.switchboard import Switchboard


@dataclass
class Heard:
    """The domain events told so far; `until` waits for one that fits."""

    events: list[DomainEvent] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(self, event: DomainEvent) -> None:
        self.events.append(event)
        self.news.set()

    async def until(
        self, kind: str, fits: Callable[[DomainEvent], bool] = lambda _e: True, *, timeout_s: float = 10.0
    ) -> DomainEvent:
        async with asyncio.timeout(timeout_s):
            while True:
                for event in self.events:
                    if event.kind == kind and fits(event):
                        return event
                self.news.clear()
                await self.news.wait()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


class SwitchParts:
    """Our side: link, switchboard, resync, heartbeat, FastAGI."""

    def __init__(self, plan: WorldPlan, *, known: dict | None = None) -> None:
        self.heard = Heard()
        address = AmiAddress(plan.ami.host, plan.ami.port, plan.ami.controller.user, plan.ami.controller.password)
        self.board = Switchboard(
            node=plan.node, trunk=plan.trunk.user, entries={plan.dids.menu: "menu", plan.dids.queue: "queue"},
            extensions=[a.extension for a in plan.agents], events=self.heard, clock=SystemClock(),
        )  # fmt: skip
        self.up = asyncio.Event()
        self.link = AmiLink(
            lambda: address, on_event=self.board.on_event, on_up=self._on_up, on_down=lambda _r: self.up.clear()
        )
        self.control = Control(self.link)
        self.heartbeat = Heartbeat(self.link, self.control)
        self.heartbeat.epoch = 1  # offers of a lab are those of the first owner
        self.resync = Resync(self.link, self.control, self.board, default_queue="service")
        self.resync.known = known or {}

    async def _on_up(self) -> None:
        # Whatever epoch the test before us left in the switch that all of a module share.
        await self.control.set_global("ACD_EPOCH", str(self.heartbeat.epoch or 1))
        await self.heartbeat.greet()
        await self.resync.now()
        self.up.set()

    @asynccontextmanager
    async def running(self, plan: WorldPlan, handler: Handler | None = None) -> AsyncIterator[SwitchParts]:
        async def silent(_session: object) -> None:
            return None

        async with AgiServer(handler or silent, port=plan.agi.port), asyncio.TaskGroup() as group:
            tasks = [group.create_task(part.run()) for part in (self.link, self.heartbeat, self.resync)]
            async with asyncio.timeout(10):
                await self.up.wait()
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()


@asynccontextmanager
async def asterisk(home: Path, **settings: object) -> AsyncIterator[WorldPlan]:
    """A running Asterisk with a plan of its own; ended afterwards."""
    chosen = Settings(**settings)  # type: ignore[arg-type]
    claims = Claims()
    plan = make_plan(home, chosen, Options(), bundle.ensure("asterisk"), claims, instance="lab")
    for folder in plan.folders.all():
        folder.mkdir(parents=True, exist_ok=True)
    render(plan, chosen)
    spec = switch.spec(plan, ())
    with spec.log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *spec.command, stdout=log, stderr=log, env={**os.environ, **spec.environment}, cwd=spec.folder
        )
    try:
        await switch.fully_booted(plan)
        yield plan
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        claims.close()


async def phone(plan: WorldPlan, number: int) -> Softphone:
    """The registered phone of the n-th agent."""
    agent = plan.agents[number]
    it = await Softphone.open((plan.sip.host, plan.sip.port), agent.extension, agent.sip_password)
    await it.register()
    return it


async def trunk(plan: WorldPlan) -> Softphone:
    return await Softphone.open((plan.sip.host, plan.sip.port), plan.trunk.user, plan.trunk.password)


async def settled(parts: SwitchParts) -> None:
    """Until the dialplan's watchdog has seen our heartbeat."""
    async with asyncio.timeout(5):
        for name in ("AC_QUIET", "AC_QUIET_1"):
            while await parts.control.get_global(name) != "0":
                await asyncio.sleep(0.02)
