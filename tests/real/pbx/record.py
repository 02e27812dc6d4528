"""`python -m tests.real.pbx.record`: real calls on a real Asterisk, written down event by event for the unit tests.

Each story is a call as a caller and an agent lived it; what Asterisk told of it becomes `tests/unit/pbx/traces/NAME.json`.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from app.softphone import Call, Softphone
from app.world.plan import WorldPlan
from core.events.pbx import CallWaiting
from pbx.ami_wire import Block
from tests.real.pbx.lab import SwitchParts, asterisk, phone, settled, trunk

TRACES = Path(__file__).parents[2] / "unit" / "pbx" / "traces"
Story = Callable[["Stage"], Awaitable[None]]


class Stage:
    """One caller in the queue, one agent's phone."""

    def __init__(self, parts: SwitchParts, plan: WorldPlan, agent: Softphone, caller: Softphone) -> None:
        self.parts, self.plan, self.agent, self.caller = parts, plan, agent, caller
        self.call: Call
        self.item: CallWaiting

    async def wait(self) -> None:
        self.parts.heard.events.clear()
        self.call = await self.caller.call(self.plan.dids.queue, from_user="13800138000", from_name="李娜")
        item = await self.parts.heard.until("CallWaiting")
        assert isinstance(item, CallWaiting)
        self.item = item

    async def offer(self, offer_id: str, *, to: int = 0, ring_s: float = 10) -> Call | None:
        await self.parts.control.offer(
            offer_id=offer_id, interaction_id=self.item.interaction_id, caller_channel=self.item.channel,
            extension=self.plan.agents[to].extension, ring_s=ring_s, epoch=1, caller_number=self.item.ani,
        )  # fmt: skip
        return await self.agent.next_call() if to == 0 else None

    async def talk(self, offer_id: str = "o1") -> Call:
        offered = await self.offer(offer_id)
        assert offered is not None
        offered.answer()
        await self.parts.heard.until("CallConnected")
        await self.call.media.more(10)
        return offered

    async def over(self) -> None:
        await self.parts.heard.until("CallEnded")


async def agent_hangs_up(stage: Stage) -> None:
    await stage.wait()
    (await stage.talk()).hang_up()
    await stage.over()


async def caller_hangs_up(stage: Stage) -> None:
    await stage.wait()
    await stage.talk()
    stage.call.hang_up()
    await stage.over()


async def declined_then_answered(stage: Stage) -> None:
    await stage.wait()
    offered = await stage.offer("o1")
    assert offered is not None
    offered.reject(486)
    await stage.parts.heard.until("LegEnded")
    (await stage.talk("o2")).hang_up()
    await stage.over()


async def not_answered(stage: Stage) -> None:
    await stage.wait()
    await stage.offer("o1", ring_s=1)
    await stage.parts.heard.until("LegEnded")
    stage.call.hang_up()
    await stage.over()


async def phone_not_there(stage: Stage) -> None:
    await stage.wait()
    await stage.offer("o1", to=2)
    await stage.parts.heard.until("LegEnded")
    stage.call.hang_up()
    await stage.over()


async def abandoned_while_ringing(stage: Stage) -> None:
    await stage.wait()
    await stage.offer("o1")
    stage.call.hang_up()
    await stage.over()
    await stage.parts.control.cancel_offer(f"{stage.item.interaction_id}-o1")
    await stage.parts.heard.until("LegEnded")


async def held_and_resumed(stage: Stage) -> None:
    await stage.wait()
    offered = await stage.talk()
    offered.hold()
    await stage.parts.heard.until("CallHeld")
    offered.hold(False)
    await stage.parts.heard.until("CallResumed")
    stage.call.hang_up()
    await stage.over()


STORIES: tuple[Story, ...] = (
    agent_hangs_up, caller_hangs_up, declined_then_answered, not_answered, phone_not_there, abandoned_while_ringing,
    held_and_resumed,
)  # fmt: skip


async def main() -> None:
    TRACES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        async with asterisk(Path(home)) as plan:
            parts = SwitchParts(plan)
            blocks: list[Block] = []
            sort = parts.link._sort
            parts.link._sort = lambda block: (blocks.append(block), sort(block))[1]  # type: ignore[method-assign]
            async with parts.running(plan), await phone(plan, 0) as agent, await trunk(plan) as caller:
                await settled(parts)
                for story in STORIES:
                    blocks.clear()
                    await story(Stage(parts, plan, agent, caller))
                    await agent_free(parts)
                    events = [block for block in blocks if "event" in block and "eventlist" not in block]
                    text = json.dumps(events, ensure_ascii=False, indent=0, sort_keys=True)
                    (TRACES / f"{story.__name__}.json").write_text(text + "\n", encoding="utf-8")
                    print(story.__name__, len(events), "events")


async def agent_free(parts: SwitchParts) -> None:
    """Until Asterisk has nobody on the line."""
    async with asyncio.timeout(5):
        while any(
            leg.ended_at is None for call in parts.board.recent() for leg in call.legs.values() if not leg.failed
        ):
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main())
