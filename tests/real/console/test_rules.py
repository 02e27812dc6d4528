"""The rules of routing on their page: problems at their line, a dry run, publishing, a conflict, bringing back, the surge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.edge.web.floor import ANNA, Scene, floor
from tests.real.console.browser import SIZE
from tests.real.console.conftest import Opens
from tests.real.console.floors import at, wrong_words, yes

pytestmark = pytest.mark.asyncio(loop_scope="session")
RULES = """queues:
  service:
    skills: {service: 3}
    max_wait_s: 300
  express:
    skills: {express: 3}
"""
SURGE = RULES + "surge:\n  service: {max_waiting: 40}\n"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def playing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("floor")
    async with floor(folder) as scene:
        yield scene


@pytest_asyncio.fixture(loop_scope="session")
async def scene(playing: Scene) -> AsyncIterator[Scene]:
    await playing.settle()
    await playing.desk.load()
    await playing.desk.publish(RULES, revision=playing.desk.number, actor="user:root", note="as the tests begin")
    yield playing
    await playing.settle()


async def _write(page: Page, text: str) -> None:
    await page.get_by_test_id("policy-text").fill(text)


async def _checked(page: Page, problems: int) -> None:
    found = page.get_by_test_id("policy-problems")
    await expect(found).to_have_attribute("data-checking", "false")
    await expect(found).to_have_attribute("data-count", str(problems))


async def _publish(page: Page, note: str = "") -> None:
    await page.get_by_test_id("policy-publish").click()
    await page.get_by_test_id("publish-note").fill(note)
    await page.get_by_test_id("publish-now").click()


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_problem_stands_at_its_line_with_what_to_write_instead_and_keeps_the_text_from_being_published(
    scene: Scene, opens: Opens, language: str
) -> None:
    window = await at(opens, scene, "/rules", "root", language)
    page = window.page
    await _checked(page, 0)
    assert await wrong_words(window, language, RULES, "root", "as the tests begin", "surge", "max_wait_s") == []
    await _write(page, RULES.replace("max_wait_s", "max_wait"))
    await _checked(page, 1)
    problem = page.get_by_test_id("policy-problem")
    await expect(problem).to_contain_text("did you mean 'max_wait_s'?")
    await expect(page.locator("[data-line='4'].bad")).to_have_count(1)
    assert (await window.violations(), await window.overflow()) == ([], [])
    await expect(page.get_by_test_id("policy-publish")).to_be_disabled()
    await problem.get_by_role("button").click()
    place = "document.activeElement.value.slice(0, document.activeElement.selectionStart).split('\\n').length"
    assert await page.evaluate(place) == 4
    await page.get_by_test_id("policy-reset").click()
    await _checked(page, 0)


async def test_a_dry_run_shows_before_and_after_for_those_who_wait_and_publishes_nothing(
    scene: Scene, opens: Opens
) -> None:
    scene.arrive("n1-1.3", "service", waited_s=200)
    scene.arrive("n1-2.3", "express", waited_s=20)
    before = scene.desk.number
    window = await at(opens, scene, "/rules", "chen")
    page = window.page
    await _write(page, RULES.replace("max_wait_s: 300", "max_wait_s: 100"))
    await _checked(page, 0)
    await expect(page.get_by_test_id("publish-not")).to_have_text("only admins publish")
    await expect(page.get_by_test_id("policy-publish")).to_be_disabled()
    await page.get_by_test_id("dry-run-do").click()
    rows = page.get_by_test_id("dry-run-row")
    await expect(rows).to_have_count(2)
    changed = page.locator("[data-testid=dry-run-row][data-changed=true]")
    await expect(changed).to_contain_text("is sent on: to voicemail")
    await expect(page.get_by_test_id("sum-leaving")).to_contain_text("1")
    assert (await window.violations(), await window.overflow()) == ([], [])
    assert scene.desk.number == before
    await page.set_viewport_size({"width": 390, "height": 844})
    assert await window.overflow() == []
    await page.set_viewport_size(SIZE)
    await page.get_by_test_id("policy-reset").click()


async def test_what_an_admin_publishes_is_in_force_and_listed_with_its_reason_and_can_be_brought_back(
    scene: Scene, opens: Opens
) -> None:
    window = await at(opens, scene, "/rules", "root")
    page = window.page
    first = scene.desk.number
    await _write(page, RULES.replace("300", "240"))
    await _checked(page, 0)
    await expect(page.get_by_test_id("policy-diff")).to_contain_text("max_wait_s: 240")
    await page.get_by_test_id("policy-publish").click()
    sheet = page.get_by_test_id("publish-sheet")
    await expect(sheet.locator("[data-kind=removed]")).to_contain_text("max_wait_s: 300")
    assert await window.violations() == []
    await page.keyboard.press("Escape")
    await _publish(page, "shorter waits")
    await expect(page.get_by_test_id("policy-told")).to_have_text(f"Version {first + 1} is in force.")
    assert scene.acd.book.policy("service").max_wait_s == 240
    newest = page.get_by_test_id("policy-version").first
    await expect(newest).to_contain_text("shorter waits")
    await expect(newest).to_contain_text("in force")
    old = page.locator(f"[data-testid=policy-version][data-version='{first}']")
    await old.get_by_test_id("rollback").click()
    await page.get_by_test_id("publish-now").click()
    await expect(page.get_by_test_id("policy-told")).to_have_text(f"Version {first + 2} is in force.")
    await expect(page.get_by_test_id("policy-version").first).to_contain_text(f"brought back from {first}")
    assert scene.acd.book.policy("service").max_wait_s == 300
    await expect(page.get_by_test_id("policy-text")).to_have_value(RULES)


async def test_who_publishes_second_sees_what_is_newer_and_loses_nothing(scene: Scene, opens: Opens) -> None:
    window = await at(opens, scene, "/rules", "root")
    window.may_refuse.add("409 /api/policies")
    page = window.page
    mine = RULES.replace("300", "120")
    await _write(page, mine)
    await _checked(page, 0)
    await scene.desk.publish(
        RULES.replace("300", "180"), revision=scene.desk.number, actor="user:somebody", note="mine first"
    )
    await _publish(page)
    conflict = page.get_by_test_id("policy-conflict")
    await expect(conflict).to_contain_text("somebody published version")
    await expect(conflict.locator("[data-kind=added]")).to_contain_text("max_wait_s: 180")
    assert (await window.violations(), await window.overflow()) == ([], [])
    await expect(page.get_by_test_id("policy-text")).to_have_value(mine)
    assert scene.acd.book.policy("service").max_wait_s == 180
    await page.get_by_test_id("keep-mine").click()
    await _publish(page)
    await expect(page.get_by_test_id("policy-told")).to_be_visible()
    assert scene.acd.book.policy("service").max_wait_s == 120


async def test_the_surge_is_switched_on_for_a_time_that_is_seen_running_out_and_off_again(
    scene: Scene, opens: Opens
) -> None:
    await scene.desk.publish(SURGE, revision=scene.desk.number, actor="user:root", note="")
    window = await at(opens, scene, "/rules", "chen")
    page = window.page
    surge = page.get_by_test_id("surge")
    await expect(surge).to_contain_text("Changes: service")
    await page.get_by_test_id("surge-for").select_option("1800")
    await page.get_by_test_id("surge-turn").click()
    await expect(page.get_by_test_id("confirm")).to_contain_text("Switch the surge on?")
    await yes(page)
    await expect(surge).to_have_attribute("data-on", "true")
    await expect(page.get_by_test_id("surge-left")).to_contain_text("29:")
    assert (await window.violations(), await window.overflow()) == ([], [])
    await page.get_by_test_id("surge-turn").click()
    await yes(page)
    await expect(surge).to_have_attribute("data-on", "false")


async def test_the_rules_are_not_for_agents_and_what_was_changed_is_not_lost_by_leaving(
    scene: Scene, opens: Opens
) -> None:
    agent = await at(opens, scene, "/rules", "anna")
    await expect(agent.page.get_by_text("The rules are for supervisors and admins.")).to_be_visible()
    await expect(agent.page.get_by_role("link", name="Rules")).to_have_count(0)
    window = await at(opens, scene, "/rules", "chen")
    page = window.page
    await _checked(page, 0)
    await _write(page, RULES + "# a thought\n")
    await page.get_by_role("link", name="Wallboard").click()
    await expect(page.get_by_test_id("confirm")).to_contain_text("Leave without publishing?")
    await page.get_by_test_id("confirm-no").click()
    await expect(page.get_by_test_id("policy-text")).to_have_value(RULES + "# a thought\n")
    await page.get_by_role("link", name="Wallboard").click()
    await yes(page)
    await page.get_by_test_id("wallboard").wait_for()
    assert scene.acd.book.agents[ANNA].state == "NOT_READY"
