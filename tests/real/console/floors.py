"""Pages opened at a floor (`tests.edge.web.floor`), and what of them several files of tests look at."""

from __future__ import annotations

from playwright.async_api import Locator, Page, expect

from tests.edge.web.floor import Scene
from tests.edge.web.stage import PASSWORD
from tests.real.console.browser import Window
from tests.real.console.conftest import Opens
from tests.real.console.words import keys_in, not_chinese, not_english

NAMES = {"Anna Berg", "李娜 Li Na", "Wang Fang", "Emma Brown", "Chen Wei", "service", "express", "EN"}
"""What stands on a floor's pages in every language: somebody's names."""


async def at(opens: Opens, scene: Scene, path: str, who: str = "chen", language: str = "en") -> Window:
    window = await opens(scene.url, locale="zh-CN" if language == "zh" else "en-GB")
    await window.log_in(who, PASSWORD)
    await window.go(path)
    return window


def row(page: Page, extension: str) -> Locator:
    """An agent on the wallboard."""
    return page.locator(f"[data-testid=agent-row][data-extension='{extension}']")


async def yes(page: Page) -> None:
    """The question is answered; what was asked for is under way."""
    await page.get_by_test_id("confirm-yes").click()
    await expect(page.get_by_test_id("confirm")).to_have_count(0)


async def wrong_words(window: Window, language: str, *data: str) -> list[str]:
    """Texts that are keys, or in the other language."""
    texts = await window.texts()
    foreign = not_chinese if language == "zh" else not_english
    return [*keys_in(texts), *foreign(texts, NAMES | set(data))]
