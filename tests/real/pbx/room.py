"""A laboratory with people in it: agents' phones, a trunk that callers come from, and our side when a test wants it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.softphone import Call, Softphone
from app.world.plan import WorldPlan
from core.events.pbx import CallWaiting
from pbx import ami_actions
from pbx.agi_server import Handler
from pbx.ami_events import ChannelSeen, seen_in_status
from pbx.resync import TICKET
from tests.real.pbx.lab import SwitchParts, asterisk, phone, settled, trunk

NUMBERS = itertools.count(13800000000)


@dataclass
class Room:
    """`agents[n]` is the phone of the plan's n-th agent; there are more agents in the plan than phones."""

    plan: WorldPlan
    agents: list[Softphone]
    caller: Softphone
    parts: SwitchParts = field(init=False)

    @asynccontextmanager
    async def serving(
        self, handler: Handler | None = None, *, known: dict | None = None, leaves: bool = False
    ) -> AsyncIterator[SwitchParts]:
        """Our side, as one process would be. Afterwards nobody is on the line; `leaves`: it dies and the calls go on."""
        self.parts = SwitchParts(self.plan, known=known)
        async with self.parts.running(self.plan, handler):
            await settled(self.parts)
            try:
                yield self.parts
            finally:
                if not leaves:
                    await self.empty()

    @asynccontextmanager
    async def outside(self) -> AsyncIterator[Softphone]:
        """The trunk's other end: whoever dials out is heard there. One at a time has the place, and gives it back for sure, so
        that nobody after them rings a phone that is gone."""
        async with await trunk(self.plan) as it:
            await it.register()
            try:
                yield it
            finally:
                await it.register(0)

    @property
    def pid(self) -> int:
        return int((self.plan.folders.asterisk_run / "asterisk.pid").read_text())

    async def waits(self, name: str = "", number: str = "") -> tuple[Call, CallWaiting]:
        """A caller in the queue, from a number that nobody else has."""
        number = number or str(next(NUMBERS))
        call = await self.caller.call(self.plan.dids.queue, from_user=number, from_name=name)
        item = await self.parts.heard.until("CallWaiting", lambda event: getattr(event, "ani", "") == number)
        assert isinstance(item, CallWaiting)
        assert await call.until("talking") == "talking"
        return call, item

    async def offer(
        self, item: CallWaiting, offer_id: str = "o1", *, to: int = 0, ring_s: float = 10, epoch: int = 1
    ) -> str:
        return await self.parts.control.offer(
            offer_id=offer_id, interaction_id=item.interaction_id, caller_channel=item.channel,
            extension=self.plan.agents[to].extension, ring_s=ring_s, epoch=epoch, caller_number=item.ani,
        )  # fmt: skip

    async def talk(self, item: CallWaiting, offer_id: str = "o1", *, to: int = 0) -> tuple[str, Call]:
        """The agent answers, and both stand in one bridge."""
        leg = await self.offer(item, offer_id, to=to)
        offered = await self.agents[to].next_call()
        offered.answer()
        await self.parts.heard.until("CallConnected", lambda event: getattr(event, "leg_id", "") == leg)
        return leg, offered

    async def channels(self) -> list[ChannelSeen]:
        """Who is on the line, as Asterisk itself says."""
        now = self.parts.board._clock.now()
        listed = await self.parts.link.ask_list(*ami_actions.list_channels(TICKET), take=lambda blocks: blocks)
        seen = [channel for block in listed if (channel := seen_in_status(block, now)) is not None]
        return [channel for channel in seen if not channel.channel.startswith("Local/s@ac-watchdog")]

    async def ticket(self, item: CallWaiting) -> Mapping[str, str]:
        """The variables on the caller's channel; empty when it is gone."""
        return next((seen.variables for seen in await self.channels() if seen.uniqueid == item.interaction_id), {})

    async def until_stage(self, item: CallWaiting, stage: str, *, timeout_s: float = 15.0) -> Mapping[str, str]:
        async with asyncio.timeout(timeout_s):
            while (said := await self.ticket(item)).get("AC_STAGE") != stage:
                await asyncio.sleep(0.05)
        return said

    async def empty(self, timeout_s: float = 10.0) -> None:
        """Everybody of ours hangs up; returns when Asterisk has nobody on the line."""
        for each in (self.caller, *self.agents):
            for call in list(each.calls.values()):
                call.hang_up()
        async with asyncio.timeout(timeout_s):
            while await self.channels():
                await asyncio.sleep(0.02)
        for each in self.agents:
            while not each.incoming.empty():  # rang, and was cancelled before anybody looked
                await each.next_call()


@asynccontextmanager
async def open_room(home: Path, settings: Mapping[str, object]) -> AsyncIterator[Room]:
    async with AsyncExitStack() as stack:
        plan = await stack.enter_async_context(asterisk(home, **settings))
        agents = [await stack.enter_async_context(await phone(plan, number)) for number in range(2)]
        yield Room(plan, agents, await stack.enter_async_context(await trunk(plan)))
