"""What the pages say and do, on a whole house: a real switch, real phones, a real caller."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import expect

from tests.real.console.conftest import Opens
from tests.real.console.floors import row
from tests.real.console.one_call import OneCall
from tests.real.console.test_desk import a_short_call
from tests.real.console.test_talk import doing, presses

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOTE = "Wants the money back."


async def test_a_real_caller_is_held_asked_about_made_three_and_given_to_a_colleague_by_the_page(
    told: OneCall, opens: Opens
) -> None:
    person = told.world.facts["agents"][1]
    phone = await told.world.agent(1, ready=False)
    window, page = told.agent, told.agent.page
    await window.go("/agent")
    await page.get_by_test_id("state-ready").click()
    await expect(page.get_by_test_id("agent-state")).to_have_attribute("data-state", "READY")
    colleague = await opens(told.world.facts["http"])
    await colleague.log_in(person["user"], person["password"])
    async with a_short_call(told, wrap_up=False) as (_, offered):
        offered.answer()
        controls = page.get_by_test_id("controls")
        await doing(controls, "talking")
        await presses(page, "h")
        await doing(controls, "held")
        await expect(page.get_by_test_id("current-call")).to_have_attribute("data-state", "held")
        await presses(page, "h")
        await expect(page.get_by_test_id("current-call")).to_have_attribute("data-state", "talking")
        await colleague.page.get_by_test_id("state-ready").click()
        await page.keyboard.press("t")
        await page.get_by_test_id(f"to-{person['extension']}").click()
        await page.get_by_test_id("transfer-note").fill(NOTE)
        await page.get_by_test_id("transfer-ask").click()
        await doing(controls, "asking")
        await expect(colleague.page.get_by_test_id("card-note")).to_contain_text(NOTE)
        asked = await phone.next_call(timeout_s=20)
        asked.answer()
        await doing(controls, "asked")
        await doing(colleague.page.get_by_test_id("controls"), "helping")
        for key, becomes in (("s", "swapped"), ("s", "asked"), ("j", "conference")):
            await presses(page, key)
            await doing(controls, becomes)
            await asyncio.sleep(0.7)  # what the switch tells afterwards does not take it back
            await doing(controls, becomes)
        theirs = colleague.page.get_by_test_id("controls")
        await doing(theirs, "conference")
        await presses(page, "g")
        await expect(page.get_by_test_id("control-told")).to_be_visible()
        await doing(theirs, "talking")
        await expect(controls).to_have_count(0)
    await asked.until("ended")
    await expect(theirs).to_have_count(0)
    await phone.close()


async def test_a_phone_that_is_gone_is_the_answer_to_why_there_are_no_calls(told: OneCall, opens: Opens) -> None:
    person = told.world.facts["agents"][2]
    window = await opens(told.world.facts["http"])
    page = window.page
    await window.log_in(told.world.facts["admin"]["user"], told.world.facts["admin"]["password"])
    await window.go("/wallboard")
    await row(page, person["extension"]).get_by_test_id("agent-why-button").click()
    answer = page.get_by_test_id("agent-why")
    await expect(answer).to_contain_text(re.compile(r"The phone of .+ is not reachable\."))
    await expect(answer.get_by_test_id("why-hint").first).to_contain_text("Check the phone")
    assert await window.violations() == []
