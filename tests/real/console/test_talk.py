"""The call in an agent's hands: hold, mute, consult, transfer, conference, park and fetch, by mouse and by keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from tests.edge.web.floor import ANNA, LI, WANG, Scene, floor
from tests.real.console.browser import Window
from tests.real.console.conftest import Opens
from tests.real.console.floors import at, wrong_words

pytestmark = pytest.mark.asyncio(loop_scope="session")
NOTE = "Wants the money back, not a new one."


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def playing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("floor")
    async with floor(folder) as scene:
        yield scene


@pytest_asyncio.fixture(loop_scope="session")
async def scene(playing: Scene) -> AsyncIterator[Scene]:
    await playing.settle()
    yield playing
    await playing.settle()


async def _desk(opens: Opens, scene: Scene, ix: str, language: str = "en") -> tuple[Window, Locator]:
    """Anna talks to a caller, and looks at her page."""
    scene.ready(ANNA)
    await scene.talk(ANNA, ix)
    window = await at(opens, scene, "/agent", "anna", language)
    controls = window.page.get_by_test_id("controls")
    await doing(controls, "talking")
    return window, controls


async def doing(controls: Locator, what: str) -> None:
    await expect(controls).to_have_attribute("data-doing", what)


async def presses(page: Page, key: str) -> None:
    """Once nothing is under way any more."""
    await expect(page.get_by_test_id("verb-mute")).to_be_enabled()
    await page.keyboard.press(key)


async def rings(scene: Scene, extension: str) -> None:
    await scene.until(lambda: (leg := scene.switch.leg_of(extension)) is not None and leg.ringing_at is not None)


async def _to_agent(page: Page, extension: str, how: str, note: str = "") -> None:
    await page.get_by_test_id("verb-transfer").click()
    await page.get_by_test_id(f"to-{extension}").click()
    await page.get_by_test_id("transfer-note").fill(note)
    await page.get_by_test_id(f"transfer-{how}").click()


async def test_hold_and_mute_are_shown_as_they_are_also_after_a_reload_and_in_another_window(
    scene: Scene, opens: Opens
) -> None:
    window, controls = await _desk(opens, scene, "n1-1.2")
    await window.page.get_by_test_id("verb-hold").click()
    await doing(controls, "held")
    await window.page.get_by_test_id("verb-mute").click()
    await expect(controls).to_have_attribute("data-muted", "true")
    assert (await window.violations(), await window.overflow()) == ([], [])
    await window.page.reload()
    await doing(controls, "held")
    await expect(controls).to_have_attribute("data-muted", "true")
    other = await Window.open(window.page.context, window.url)
    await other.go("/agent")
    elsewhere = other.page.get_by_test_id("controls")
    await doing(elsewhere, "held")
    await other.page.get_by_test_id("verb-resume").click()
    for each in (controls, elsewhere):
        await doing(each, "talking")
    assert other.troubles == []


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_consult_by_keys_alone_is_swapped_made_three_and_handed_over_with_the_note(
    scene: Scene, opens: Opens, language: str
) -> None:
    window, controls = await _desk(opens, scene, f"n1-2.{language}", language)
    page, keys = window.page, window.page.keyboard
    scene.ready(LI)
    await keys.press("t")
    await page.get_by_test_id("transfer-sheet").wait_for()
    await expect(page.get_by_test_id(f"to-{LI}").get_by_role("radio")).to_be_enabled()
    assert (await window.violations(), await wrong_words(window, language)) == ([], [])
    await keys.type("Li Na")
    await keys.press("Enter")
    await page.get_by_test_id("transfer-note").press_sequentially(NOTE)
    await keys.press("Tab")
    await keys.press("Enter")  # ask first
    await doing(controls, "asking")
    await rings(scene, LI)
    helper = await at(opens, scene, "/agent", "li.na")
    await expect(helper.page.get_by_test_id("card-note")).to_contain_text(NOTE)
    scene.switch.answer(LI)
    await doing(controls, "asked")
    await expect(page.get_by_test_id("doing")).to_contain_text("李娜 Li Na")
    theirs = helper.page.get_by_test_id("controls")
    await doing(theirs, "helping")
    assert await wrong_words(window, language) == []
    for key, becomes in (("s", "swapped"), ("s", "asked"), ("s", "swapped"), ("j", "conference")):
        await presses(page, key)
        await doing(controls, becomes)
    await page.reload()
    await doing(controls, "conference")
    anew = await at(opens, scene, "/agent", "anna", language)  # who has never seen this call: the snapshot tells
    await doing(anew.page.get_by_test_id("controls"), "conference")
    await anew.page.close()
    assert (await window.violations(), await window.overflow()) == ([], [])
    await doing(theirs, "conference")
    await presses(page, "g")
    await doing(theirs, "talking")
    await expect(page.get_by_test_id("control-told")).to_be_visible()
    assert {"SwapLegs", "SwapBack", "JoinAll", "EndLeg"} <= set(scene.switch.asked)


async def test_a_consult_that_nobody_answers_or_that_is_taken_back_ends_with_the_caller(
    scene: Scene, opens: Opens
) -> None:
    window, controls = await _desk(opens, scene, "n1-3.2")
    scene.ready(LI)
    await expect(window.page.get_by_test_id("agent-state")).to_be_visible()
    await _to_agent(window.page, LI, "ask")
    await doing(controls, "asking")
    await rings(scene, LI)
    scene.switch.answer(LI)
    await doing(controls, "asked")
    await presses(window.page, "b")
    await doing(controls, "talking")
    await expect(window.page.get_by_test_id("verb-hold")).to_be_visible()


async def test_a_blind_transfer_gives_the_caller_away_and_the_page_says_so(scene: Scene, opens: Opens) -> None:
    window, controls = await _desk(opens, scene, "n1-4.2")
    scene.ready(LI)
    await _to_agent(window.page, LI, "now", NOTE)
    await rings(scene, LI)
    scene.switch.answer(LI)
    await expect(window.page.get_by_test_id("control-told")).to_have_text("The caller was passed on.")
    await expect(controls).to_have_count(0)


async def test_the_sheet_offers_who_is_free_and_says_what_the_others_do_and_a_menu_cannot_be_asked(
    scene: Scene, opens: Opens
) -> None:
    window, controls = await _desk(opens, scene, "n1-5.2")
    page = window.page
    await page.keyboard.press("t")
    await expect(page.get_by_test_id(f"to-{WANG}")).to_contain_text("Not ready, Break")
    await expect(page.get_by_test_id(f"to-{WANG}").get_by_role("radio")).to_be_disabled()
    await page.get_by_test_id("kind-entry").check(force=True)
    await expect(page.get_by_test_id("transfer-ask")).to_be_disabled()
    await expect(page.get_by_test_id("transfer-sheet")).to_contain_text("a menu cannot be asked")
    await page.get_by_test_id("kind-number").check(force=True)
    await page.get_by_test_id("transfer-number").fill("+49 151 12345678")
    window.may_refuse |= {"403 /api/calls/n1-5.2/consult", "409 /api/calls/n1-5.2/consult"}
    await page.get_by_test_id("transfer-ask").click()
    await expect(page.get_by_test_id("control-failure")).to_contain_text("This number may not be called from here.")
    await doing(controls, "talking")
    await page.keyboard.press("t")
    await page.get_by_test_id("kind-queue").check(force=True)
    await page.get_by_test_id("transfer-queue").select_option("express")
    await page.get_by_test_id("transfer-ask").click()
    await expect(page.get_by_test_id("control-failure")).to_contain_text("Nobody of this queue is free now.")
    await page.keyboard.press("t")
    await page.get_by_test_id("kind-queue").check(force=True)
    await page.get_by_test_id("transfer-queue").select_option("express")
    await page.get_by_test_id("transfer-now").click()
    await expect(page.get_by_test_id("control-told")).to_have_text("The caller was passed on.")


async def test_a_parked_caller_is_seen_by_everybody_and_fetched_by_another(scene: Scene, opens: Opens) -> None:
    window, controls = await _desk(opens, scene, "n1-6.2")
    await window.page.keyboard.press("p")
    await expect(window.page.get_by_test_id("control-told")).to_have_text("The caller is parked.")
    await expect(controls).to_have_count(0)
    other = await at(opens, scene, "/agent", "li.na")
    parked = other.page.get_by_test_id("parked")
    await expect(parked).to_contain_text("by Anna Berg")
    assert (await other.violations(), await other.overflow()) == ([], [])
    await parked.get_by_test_id("fetch").click()
    await rings(scene, LI)
    scene.switch.answer(LI)
    await doing(other.page.get_by_test_id("controls"), "talking")
    await expect(parked).to_have_count(0)
