"""Living with the console: keys, two windows, going out, and what it says when a part of the house does not work."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from playwright.async_api import Page, expect

from app.softphone import Call, listen
from app.world.outside import OutsideWorld
from core.prompts.library import PromptLibrary
from tests.real.console.browser import Window
from tests.real.console.conftest import Opens
from tests.real.console.one_call import OneCall

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def a_short_call(told: OneCall, *, wrap_up: bool) -> AsyncIterator[tuple[Call, Call]]:
    """A customer and the agent's ringing phone: by the menu into the queue with wrap-up, or into the one without."""
    facts = told.world.facts
    caller = await told.world.caller()
    call = await caller.call(
        facts["dids"]["menu" if wrap_up else "queue"], from_user=facts["sample"]["orders"][0]["ani"]
    )
    assert await call.until("talking", timeout_s=10) == "talking"
    if wrap_up:
        await listen.hear(call, listen.read_wav(f"{PromptLibrary().find('menu-main', 'en')}.wav"), timeout_s=20)
        call.media.send_digits("0")
    offered = await told.phone.next_call(timeout_s=20)
    yield call, offered
    call.hang_up()
    await offered.until("ended")


async def _state(page: Page, state: str) -> None:
    await expect(page.get_by_test_id("agent-state")).to_have_attribute("data-state", state)


async def test_a_whole_call_goes_by_keys_alone_and_typing_is_not_a_key(told: OneCall) -> None:
    window, page = told.agent, told.agent.page
    await window.go("/calls")
    await page.keyboard.press("1")
    await page.get_by_test_id("wallboard").wait_for()
    await page.keyboard.press("2")
    await _state(page, "READY")
    await page.keyboard.press("n")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await _state(page, "NOT_READY")
    await page.keyboard.press("r")
    await _state(page, "READY")
    async with a_short_call(told, wrap_up=True) as (_, offered):
        await page.get_by_test_id("card").wait_for()
        offered.answer()
        await expect(page.get_by_test_id("card")).to_have_attribute("data-outcome", "accepted")
    left = page.get_by_test_id("wrap-up-left")
    await left.wait_for()
    await page.keyboard.press("e")
    await expect(left).to_have_text("0:29 left")
    await page.keyboard.press("d")
    await page.keyboard.press("ArrowDown")
    await page.get_by_test_id("wrap-up-note").press_sequentially("fresh rn1")  # among them r, n, f, e and 1
    await page.get_by_test_id("wrap-up-note").blur()
    await _state(page, "WRAP_UP")
    await page.keyboard.press("f")
    await _state(page, "READY")
    await expect(page.get_by_test_id("card")).to_have_count(0)
    calls = await told.world.get_until("calls?limit=1", lambda page: page["items"][0]["disposition"])
    assert calls["items"][0]["disposition"] == "refund"


async def test_keys_are_listed_and_can_be_switched_off(told: OneCall, opens: Opens) -> None:
    person = told.world.facts["agents"][1]
    window = await opens(told.world.facts["http"])
    page = window.page
    await window.log_in(person["user"], person["password"])
    await page.keyboard.press("?")
    sheet = page.get_by_test_id("shortcut-sheet")
    await sheet.wait_for()
    assert await window.violations() == []
    await sheet.get_by_role("checkbox").uncheck()
    await page.keyboard.press("Escape")
    await expect(sheet).to_have_count(0)
    await page.keyboard.press("3")
    await page.keyboard.press("?")  # this one always works: here they are switched on again
    await sheet.wait_for()
    assert page.url.endswith("/agent")
    await sheet.get_by_role("checkbox").check()
    await page.keyboard.press("Escape")
    await page.keyboard.press("3")
    await page.wait_for_url("**/calls")


async def test_two_windows_of_one_agent_show_the_same_and_one_log_out_ends_both(told: OneCall, opens: Opens) -> None:
    person = told.world.facts["agents"][0]
    first = await opens(told.world.facts["http"])
    await first.log_in(person["user"], person["password"])
    second = await Window.open(first.page.context, first.url)
    second.may_refuse |= {"401 /api/live"}
    await second.go("/agent")
    pages = (first.page, second.page)
    await first.page.get_by_test_id("state-not-ready").click()
    await first.page.get_by_test_id("reason-lunch").click()
    for page in pages:
        await _state(page, "NOT_READY")
    await second.page.get_by_test_id("state-ready").click()
    for page in pages:
        await _state(page, "READY")
    async with a_short_call(told, wrap_up=False) as (_, offered):
        for page in pages:
            await page.get_by_test_id("card").wait_for()
        offered.answer()
        for page in pages:
            await _state(page, "ENGAGED")
        await first.page.get_by_test_id("card-dismiss").click()
        for page in pages:
            await expect(page.get_by_test_id("card")).to_have_count(0)
    for page in pages:
        await _state(page, "READY")
    await first.page.get_by_test_id("user-menu").click()
    await first.page.get_by_test_id("log-out").click()
    await first.page.get_by_test_id("login-user").wait_for()
    second.may_refuse |= {"401 /api/calls"}
    await second.page.keyboard.press("3")  # whatever the other window does next leads to the log-in
    await second.page.get_by_test_id("login-user").wait_for()
    await second.go("/calls")
    await second.page.get_by_test_id("login-user").wait_for()
    assert second.troubles == []


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_part_that_does_not_work_is_said_on_every_page_in_both_languages_until_it_works(
    world: OutsideWorld, opens: Opens
) -> None:
    admin = world.facts["admin"]
    english, chinese, outside = [await opens(world.facts["http"]) for _ in range(3)]
    for window in (english, chinese):
        await window.log_in(admin["user"], admin["password"])
    await chinese.page.get_by_test_id("lang-switch").click()
    await outside.go("/login")
    banners = [window.page.locator("[role=status] [data-part=redis]") for window in (english, chinese, outside)]
    for banner in banners:
        await expect(banner).to_have_count(0)
    with frozen(world.facts["pids"]["redis"]):
        begun = time.monotonic()
        await expect(banners[0]).to_have_text(
            re.compile(r"^Redis does not answer\. Calls and their distribution go on\.")
        )
        print(f"\nsaid after {time.monotonic() - begun:.1f} s")
        await expect(banners[1]).to_contain_text("通话和分配照常")
        await expect(banners[2]).to_be_visible()
        for path in ("/agent", "/calls", "/calls/no-such-call"):
            english.may_refuse.add("404 /api/calls/no-such-call")
            await english.go(path)
            await expect(banners[0]).to_be_visible()
        assert await english.violations() == []
    for banner in banners:
        await expect(banner).to_have_count(0)
