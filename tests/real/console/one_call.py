"""One real call as the console shows it: an agent and a supervisor at their pages, two phones, a customer's order.

Asserts nothing of what it measures; the tests do. What cannot go on raises TimeoutError, of the page or of the phone.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, expect

from app.demo.story import Story
from app.softphone import Call, Softphone
from app.world.outside import OutsideWorld
from core.prompts.library import PromptLibrary
from tests.real.console.browser import Window, new_context

NOTE = "The carrier is asked today; call back tomorrow."


@dataclass
class OneCall:
    """`agent` and `boss` stay open after `tell`. Milliseconds are the wall clock's, seconds are spans."""

    world: OutsideWorld
    browser: Browser
    facts: dict[str, Any] = field(default_factory=dict)
    agent: Window = field(init=False)
    boss: Window = field(init=False)
    offer_id: str = ""
    call_id: str = ""
    card_ms: float = 0.0
    shown_ms: float = 0.0
    rang_ms: float = 0.0
    reload_s: float = 0.0
    seen_by_boss: list[str] = field(default_factory=list)
    desk_picture: bytes = b""
    phone: Softphone = field(init=False)

    async def __aenter__(self) -> OneCall:
        self.agent, self.boss = [
            await Window.open(await new_context(self.browser), self.world.facts["http"]) for _ in range(2)
        ]
        return self

    async def __aexit__(self, *error: object) -> None:
        for window in (self.agent, self.boss):
            await window.page.context.close()

    async def tell(self) -> None:
        world = self.world
        person = world.facts["agents"][0]
        await self.agent.log_in(person["user"], person["password"])
        await self.boss.log_in(world.facts["admin"]["user"], world.facts["admin"]["password"])
        await self.boss.go("/wallboard")
        self.phone = await world.agent(0, ready=False)
        await self.agent.page.get_by_test_id("state-ready").click()
        await self.boss_sees("READY")
        story = Story(world, lambda _line: None, PromptLibrary())
        call = await story.dial()
        await story.menu(call)
        story.press(call, "0", shown="0")
        offered = await self.phone.next_call(timeout_s=20)
        self.rang_ms = (offered.at["invite"] - asyncio.get_running_loop().time() + time.time()) * 1000
        card = self.agent.page.get_by_test_id("card")
        await expect(card.get_by_test_id("card-order-no")).to_have_text(story.order["order_no"])
        self.offer_id = await card.get_attribute("data-offer-id") or ""
        seen = await self.agent.seen()
        self.card_ms, self.shown_ms = seen["frames"][self.offer_id], seen["shown"][self.offer_id]
        async with asyncio.TaskGroup() as group:
            group.create_task(story.talk(call, offered))
            await self.boss_sees("ENGAGED")
            await self._reload(story.order["order_no"])
        await self._end(call)

    async def boss_sees(self, state: str) -> None:
        extension = self.world.facts["agents"][0]["extension"]
        row = self.boss.page.locator(f"[data-testid=agent-row][data-extension='{extension}'][data-state={state}]")
        await expect(row).to_be_visible()
        self.seen_by_boss.append(state)

    async def _reload(self, order_no: str) -> None:
        """The agent's page is loaded anew while they talk."""
        page = self.agent.page
        begun = time.monotonic()
        await page.reload(wait_until="commit")
        await expect(page.get_by_test_id("card-order-no")).to_have_text(order_no)
        await expect(page.get_by_test_id("current-call")).to_have_attribute("data-state", "talking")
        await expect(page.get_by_test_id("agent-state")).to_have_attribute("data-state", "ENGAGED")
        self.reload_s = time.monotonic() - begun

    async def _end(self, call: Call) -> None:
        page = self.agent.page
        self.call_id = await self.boss.page.get_by_test_id("call-row").first.get_attribute("data-call") or ""
        self.desk_picture = await page.screenshot(animations="disabled")
        call.hang_up()
        await page.get_by_test_id("wrap-up").wait_for()
        await self.boss_sees("WRAP_UP")
        await page.get_by_test_id("disposition-delivery").check(force=True)
        await page.get_by_test_id("wrap-up-note").fill(NOTE)
        await page.get_by_test_id("wrap-up-finish").click()
        await self.boss_sees("READY")
        self.facts = await self.world.get_until(f"calls/{self.call_id}", _is_told, timeout_s=60)


def _is_told(call: dict[str, Any]) -> bool:
    """The recording is stored and the transcript is there, or will not be."""
    return bool(call["transcript"]) and call["transcript"]["state"] != "waiting"
