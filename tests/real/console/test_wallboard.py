"""The wallboard in a supervisor's hands: why somebody gets no calls, why somebody waits, and what can be done about it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.edge.web.floor import ANNA, CHEN, EMMA, LI, WANG, Scene, floor
from tests.real.console.browser import SIZE, Window
from tests.real.console.conftest import Opens
from tests.real.console.floors import at, row, wrong_words, yes

pytestmark = pytest.mark.asyncio(loop_scope="session")
SAID = {
    "en": [
        "The phone of Anna Berg is not reachable.",
        "Anna Berg is on a call of their own.",
        "Nothing keeps Anna Berg",
    ],
    "zh": ["Anna Berg 的话机不可达。", "Anna Berg 正在打自己的电话。", "Anna Berg 没有任何障碍"],
}
COUNT_CLICKS = "addEventListener('click', () => { window.clicks = (window.clicks ?? 0) + 1 }, { capture: true })"


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


async def _wallboard(opens: Opens, scene: Scene, who: str = "chen", language: str = "en") -> Window:
    return await at(opens, scene, "/wallboard", who, language)


async def _choose(page: Page, extension: str, verb: str) -> None:
    await row(page, extension).get_by_test_id("agent-actions").click()
    await page.get_by_test_id(verb).click()


async def test_a_supervisor_answers_why_is_anna_not_getting_calls_from_the_wallboard_in_two_clicks(
    scene: Scene, opens: Opens
) -> None:
    scene.acd.set_state(ANNA, "READY", actor="user:test")
    scene.acd.set_state(ANNA, "NOT_READY", "lunch", actor="user:anna")
    scene.arrive("n1-1.1")
    window = await _wallboard(opens, scene)
    page = window.page
    await page.evaluate(COUNT_CLICKS)
    await row(page, ANNA).get_by_role("button", name="Why? Anna Berg").click()
    answer = page.get_by_test_id("agent-why")
    await expect(answer).to_contain_text("Anna Berg is set to: Not ready (Lunch).")
    await expect(answer.get_by_test_id("why-hint")).to_contain_text("They, or you, can choose Ready.")
    await expect(page.get_by_role("heading", name="Why does Anna Berg get no calls?")).to_be_visible()
    assert await page.evaluate("window.clicks") <= 2
    assert (await window.violations(), await window.overflow()) == ([], [])


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_answer_follows_what_happens_and_is_in_the_language_of_the_page(
    scene: Scene, opens: Opens, language: str
) -> None:
    said = SAID[language]
    scene.ready(ANNA)
    scene.arrive("n1-2.1", "express")
    window = await _wallboard(opens, scene, language=language)
    page = window.page
    await row(page, ANNA).get_by_test_id("agent-why-button").click()
    answer = page.get_by_test_id("agent-why")
    for change, words in zip((False, True), said, strict=False):
        scene.switch.phones[ANNA].reachable, scene.switch.phones[ANNA].in_use = change, change
        scene.switch.tell()
        await expect(answer).to_contain_text(words)
    scene.switch.phones[ANNA].in_use = False
    scene.switch.tell()
    scene.ready(ANNA)
    await expect(answer).to_contain_text(said[2])
    asked = page.locator("[data-testid=why-queue][data-queue=express]").get_by_test_id("why-queue-reason")
    lacks = {"en": "Anna Berg lacks the skill express.", "zh": "Anna Berg 没有技能 express。"}
    await expect(asked).to_contain_text(lacks[language])
    assert await wrong_words(window, language) == []
    await page.keyboard.press("Escape")
    await expect(answer).to_have_count(0)


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_one_click_tells_why_a_caller_waits_agent_by_agent(scene: Scene, opens: Opens, language: str) -> None:
    scene.ready(WANG)
    scene.switch.unplug(LI)
    scene.switch.phones[LI].reachable = False
    ix = f"n1-3.{language}"
    scene.arrive(ix, waited_s=20)
    window = await _wallboard(opens, scene, language=language)
    page = window.page
    await page.locator(f"[data-call='{ix}']").get_by_test_id("call-why-button").click()
    panel = page.get_by_test_id("item-why")
    words = {
        "en": ["service at level 2 or better", "1 of 2", "0:"],
        "zh": ["service，2 级及以上", "第 1 圈，共 2 圈", "0:"],
    }
    for fact, text in zip(("asksFor", "ring", "widens"), words[language], strict=True):
        await expect(panel.get_by_test_id(f"why-{fact}")).to_contain_text(text)
    for extension, reason in ((ANNA, "state"), (LI, "unreachable"), (WANG, "level"), (EMMA, "skill")):
        candidate = page.locator(f"[data-testid=why-candidate][data-extension='{extension}']")
        await expect(candidate).to_have_attribute("data-reason", reason)
    assert await wrong_words(window, language) == []
    assert (await window.violations(), await window.overflow()) == ([], [])
    window.may_refuse.add(f"404 /api/items/{ix}/why")
    scene.switch.caller_hangs_up(ix)
    gone = {"en": "This caller does not wait any more.", "zh": "这位来电者已不在排队。"}
    await expect(page.get_by_text(gone[language])).to_be_visible()


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_supervisor_gives_an_agent_a_skill_and_who_waits_for_it_is_served_at_once(
    scene: Scene, opens: Opens, language: str
) -> None:
    await scene.crew.change(ANNA, skills={"service": 3}, teams=[], actor="user:test")
    scene.ready(ANNA)
    window = await _wallboard(opens, scene, language=language)
    page = window.page
    await _choose(page, ANNA, "edit-ability")
    await page.locator("[data-skill=service]").get_by_role("button").click()
    scene.arrive(f"n1-7.{language}", "express")
    await page.get_by_test_id("new-skill").fill("express")
    await page.get_by_test_id("add-skill").click()
    await page.get_by_test_id("level-express").select_option("4")
    await page.get_by_test_id("new-team").fill("vip")
    await page.get_by_test_id("add-team").click()
    assert await wrong_words(window, language, "vip") == []
    assert (await window.violations(), await window.overflow()) == ([], [])
    await expect(row(page, ANNA)).to_have_attribute("data-state", "READY")
    await page.get_by_test_id("ability-save").click()
    await expect(page.get_by_test_id("ability-told")).to_have_text(
        {"en": "Saved. It is in force.", "zh": "已保存，并已生效。"}[language]
    )
    await expect(row(page, ANNA)).to_have_attribute("data-state", "RESERVED")
    assert (scene.acd.book.agents[ANNA].skills, scene.acd.book.agents[ANNA].teams) == ({"express": 4}, {"vip"})
    await scene.crew.change(ANNA, skills={"service": 3}, teams=[], actor="user:test")


async def test_a_supervisor_sets_an_agents_state_after_a_question_and_nobody_else_can(
    scene: Scene, opens: Opens
) -> None:
    window = await _wallboard(opens, scene)
    page = window.page
    await _choose(page, ANNA, "force-READY")
    sheet = page.get_by_test_id("confirm")
    await expect(sheet).to_contain_text("Set Anna Berg to “Ready”?")
    assert await window.violations() == []
    await page.keyboard.press("Escape")
    await expect(row(page, ANNA)).to_have_attribute("data-state", "NOT_READY")
    await _choose(page, ANNA, "force-READY")
    await page.keyboard.press("Enter")
    await expect(row(page, ANNA)).to_have_attribute("data-state", "READY")
    await expect(page.get_by_test_id("supervise-told")).to_contain_text("Anna Berg is set to: Ready")
    await _choose(page, ANNA, "force-NOT_READY-meeting")
    await yes(page)
    await expect(row(page, ANNA)).to_contain_text("Meeting")
    await _choose(page, ANNA, "force-OFFLINE")
    await yes(page)
    await expect(row(page, ANNA)).to_have_attribute("data-state", "OFFLINE")
    await row(page, ANNA).get_by_test_id("agent-why-button").click()  # and from the answer itself
    await expect(page.get_by_test_id("agent-why")).to_contain_text("Anna Berg is set to: Offline.")
    await page.get_by_role("dialog").get_by_test_id("agent-actions").click()
    await page.get_by_test_id("force-READY").click()
    await yes(page)
    await expect(page.get_by_test_id("agent-why")).to_contain_text("Nothing keeps Anna Berg from calls.")
    await page.keyboard.press("Escape")
    agent = await _wallboard(opens, scene, "wang.fang")
    await expect(row(agent.page, ANNA)).to_be_visible()
    await expect(agent.page.get_by_test_id("agent-actions")).to_have_count(0)
    await expect(agent.page.get_by_test_id("agent-why-button")).to_have_count(1)  # about oneself


async def test_a_supervisor_listens_whispers_barges_in_leaves_and_takes_over(scene: Scene, opens: Opens) -> None:
    scene.ready(ANNA)
    await scene.talk(ANNA, "n1-4.1")
    window = await _wallboard(opens, scene)
    page = window.page
    await _choose(page, ANNA, "monitor")  # disturbs nobody: no question
    bar = page.get_by_test_id("beside")
    await expect(bar).to_contain_text("Your phone rings. Pick it up.")
    scene.switch.answer(CHEN)
    await expect(bar).to_contain_text("You listen. Nobody hears you.")
    assert (await window.violations(), await window.overflow()) == ([], [])
    for mode, words in (("whisper", "Only the agent hears you."), ("barge", "Everybody hears you.")):
        await page.get_by_test_id(f"mode-{mode}").click()
        await yes(page)
        await expect(bar).to_contain_text(words)
    await page.get_by_test_id("mode-leave").click()
    await expect(bar).to_have_count(0)
    await expect(row(page, CHEN).get_by_role("img", name="Phone in use")).to_have_count(0)
    await _choose(page, ANNA, "take-over")
    await expect(page.get_by_test_id("confirm")).to_contain_text("Take this call from Anna Berg?")
    await yes(page)
    await scene.until(lambda: (leg := scene.switch.leg_of(CHEN)) is not None and leg.ringing_at is not None)
    scene.switch.answer(CHEN)
    await expect(row(page, CHEN)).to_have_attribute("data-state", "ENGAGED")
    assert scene.switch.asked.count("ChangeMode") == 2


async def test_a_supervisor_moves_a_waiting_caller_and_gives_them_to_an_agent_ahead_of_everybody(
    scene: Scene, opens: Opens
) -> None:
    scene.arrive("n1-7.1", "service")
    scene.ready(EMMA)  # whose skills fit neither queue
    window = await _wallboard(opens, scene)
    page = window.page
    await page.locator("[data-call='n1-7.1']").get_by_test_id("call-why-button").click()
    await page.get_by_test_id("hand-queue").select_option("express")
    await page.get_by_test_id("hand-move").click()
    await expect(page.get_by_test_id("confirm")).to_contain_text("Move this caller to express?")
    await yes(page)
    await expect(page.get_by_test_id("hand-told")).to_have_text("Moved to express.")
    await expect(page.get_by_test_id("why-asksFor")).to_contain_text("express at level 3 or better")
    assert (await window.violations(), await window.overflow()) == ([], [])
    await page.get_by_test_id("hand-agent").select_option(EMMA)
    await page.get_by_test_id("hand-give").click()
    await yes(page)
    await scene.until(lambda: scene.switch.leg_of(EMMA) is not None)
    await expect(page.get_by_test_id("item-why")).to_contain_text("The phone rings at Emma Brown.")


async def test_what_is_not_possible_says_why_and_what_is_refused_says_so(scene: Scene, opens: Opens) -> None:
    window = await _wallboard(opens, scene)
    page = window.page
    await row(page, ANNA).get_by_test_id("agent-actions").click()
    await expect(page.get_by_test_id("beside-not")).to_have_text("does not talk to a caller now")
    await expect(page.get_by_test_id("monitor")).to_have_attribute("aria-disabled", "true")
    await expect(page.get_by_test_id("force-NOT_READY-break")).to_contain_text("is set already")
    await page.keyboard.press("Escape")
    scene.ready(ANNA)
    await scene.talk(ANNA, "n1-5.1")
    scene.switch.phones[CHEN].reachable = False
    scene.switch.tell()
    await row(page, ANNA).get_by_test_id("agent-actions").click()
    await expect(page.get_by_test_id("beside-not")).to_have_text("your phone is not registered")
    await page.keyboard.press("Escape")
    admin = await _wallboard(opens, scene, "root")
    await row(admin.page, ANNA).get_by_test_id("agent-actions").click()
    await expect(admin.page.get_by_test_id("beside-not")).to_have_text("you have no phone here")
    await admin.page.keyboard.press("Escape")
    scene.switch.phones[CHEN].reachable = True
    scene.switch.tell()
    window.may_refuse.add("503 /api/calls/n1-5.1/supervise")
    await expect(row(page, CHEN).get_by_role("img", name="Phone not reachable")).to_have_count(0)
    scene.switch.disconnect()
    await scene.until(lambda: not scene.acd.link_up)
    await _choose(page, ANNA, "monitor")
    await expect(page.get_by_test_id("supervise-failure")).to_contain_text("The telephone switch does not answer")
    scene.switch.connect()
    await scene.until(lambda: scene.acd.link_up)


async def test_two_hundred_agents_and_two_hundred_who_wait_stay_in_their_frame_and_answer_at_once(
    tmp_path: Path, opens: Opens
) -> None:
    crowd = {str(ext): f"Anna-Maria Wilhelmina van der Berg-Nakamura the {ext}th" for ext in range(200, 395)}
    async with floor(tmp_path, extra=crowd) as scene:
        for number in range(200):
            scene.arrive(
                f"n1-{number}.8", "express" if number % 2 else "service", waited_s=number, ani=f"+8613{number:09d}"
            )
        window = await _wallboard(opens, scene)
        page = window.page
        await expect(page.get_by_test_id("agent-row")).to_have_count(40)
        await expect(page.get_by_test_id("call-row")).to_have_count(60)
        await page.get_by_test_id("find-agent").fill("Anna Berg")
        await expect(page.get_by_test_id("agent-row")).to_have_count(1)
        await row(page, ANNA).get_by_test_id("agent-why-button").click()
        await expect(page.get_by_test_id("agent-why")).to_contain_text("Not ready (Break)")
        await page.keyboard.press("Escape")
        await page.get_by_test_id("call-why-button").last.click()
        await expect(page.get_by_test_id("why-candidate")).to_have_count(25)
        await page.get_by_role("button", name=re.compile(r"All \d+ agents")).click()
        await expect(page.get_by_test_id("why-candidate")).to_have_count(200)
        assert (await window.violations(), await window.overflow()) == ([], [])
        await page.keyboard.press("Escape")
        await page.set_viewport_size({"width": 390, "height": 844})
        assert await window.overflow() == []
        await page.set_viewport_size(SIZE)


async def test_nothing_jumps_while_the_figures_tick(scene: Scene, opens: Opens) -> None:
    scene.ready(LI)
    scene.arrive("n1-6.1", "service", waited_s=597)  # 9:57, soon 10:00
    window = await _wallboard(opens, scene)
    page = window.page
    await expect(page.locator("[data-call='n1-6.1']")).to_be_visible()
    where = """[...document.querySelectorAll('[data-testid=agent-row] td, [data-testid=call-row] td, [data-testid=queue-row] td')]
        .map((cell) => { const box = cell.getBoundingClientRect(); return [box.x, box.y, box.width, box.height].join(' ') })"""
    await scene.until(lambda: scene.acd.book.agents[LI].state == "RESERVED")
    await page.wait_for_timeout(400)
    before = await page.evaluate(where)
    await expect(page.locator("[data-call='n1-6.1']")).to_contain_text("10:0")
    assert await page.evaluate(where) == before
