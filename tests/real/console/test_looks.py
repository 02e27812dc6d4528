"""How the pages look when there is nothing, and when there is far too much; before a house of cardboard, on the stage."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from app.live.model import new_board
from app.web.health import Finding
from core.events import pbx, routing
from tests.edge.web.stage import PASSWORD, Stage, stage
from tests.real.console.browser import SIZE, Window
from tests.real.console.conftest import Opens
from tests.real.console.words import data_of, keys_in, not_chinese, not_english

pytestmark = pytest.mark.asyncio(loop_scope="session")
PHONE: Any = {"width": 390, "height": 844}
PARTS = ("switch", "database", "redis", "orders", "speech", "disk")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def played(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Stage, str]]:
    folder: Path = tmp_path_factory.mktemp("stage")
    async with stage(folder, calls=500) as (play, url):
        yield play, url


async def _at(opens: Opens, url: str, path: str, who: str = "chen", **options: Any) -> Window:
    window = await opens(url, **options)
    await window.log_in(who, PASSWORD)
    await window.go(path)
    return window


async def test_empty_lists_say_so(tmp_path: Path, opens: Opens) -> None:
    async with stage(tmp_path, calls=0) as (play, url):
        play.hub.replace(new_board(agents={}, queues=[]))
        window = await _at(opens, url, "/wallboard")
        for words in ("No queue has been set up.", "No agent has been set up.", "No calls right now."):
            await expect(window.page.get_by_text(words)).to_be_visible()
        assert (await window.violations(), await window.overflow()) == ([], [])
        await window.go("/calls")
        await expect(window.page.get_by_text("No calls yet.")).to_be_visible()
        await window.go("/calls?queue=service")
        await expect(window.page.get_by_text("No calls fit this filter.")).to_be_visible()
        await window.go("/agent")
        await expect(window.page.get_by_text("You have no extension")).to_be_visible()
        await window.go("/calls/n1-1.1")
        await expect(window.page.get_by_text("There is no such call.")).to_be_visible()
        window.may_refuse.add("404 /api/calls/n1-1.1")
        window.troubles.clear()


async def test_five_hundred_calls_and_a_hundred_agents_stay_in_their_frame(
    played: tuple[Stage, str], opens: Opens
) -> None:
    play, url = played
    now = play.clock.now()
    names = {str(ext): f"Anna-Maria Wilhelmina van der Berg-Nakamura the {ext}th" for ext in range(101, 201)}
    play.hub.replace(new_board(agents=names, queues=["service", "express", "a-queue-with-a-very-long-name-indeed"]))
    for i in range(500):
        ix, at = f"n1-{i}.5", now - timedelta(seconds=i)
        play.emit(pbx.CallArrived, ix, ani=f"+8613{i:09d}", dnis="4008001000", channel="c", entry="menu", at=at)
        if i % 3:
            queue = "a-queue-with-a-very-long-name-indeed" if i % 2 else "service"
            play.emit(routing.ItemQueued, ix, queue=queue, enqueued_at=at, channel="c", at=at)
    window = await _at(opens, url, "/wallboard")
    rows = window.page.get_by_test_id("call-row")
    await expect(rows).to_have_count(60)
    assert await window.overflow() == []
    await window.page.set_viewport_size(PHONE)
    assert (await window.overflow(), await window.violations()) == ([], [])
    await window.page.set_viewport_size(SIZE)
    begun = time.monotonic()
    await window.page.get_by_role("button", name="Show all 500").click()
    await expect(rows).to_have_count(500)
    assert time.monotonic() - begun < 3 * 1
    assert await window.overflow() == []
    play.hub.replace(new_board(agents=names, queues=["service"]))
    await expect(rows).to_have_count(0)


async def test_the_list_of_all_calls_grows_page_by_page_to_its_end(played: tuple[Stage, str], opens: Opens) -> None:
    window = await _at(opens, played[1], "/calls")
    rows, more = window.page.get_by_test_id("call-row"), window.page.get_by_role("button", name="Older calls")
    for count in range(50, 500, 50):
        await expect(rows).to_have_count(count)
        await more.click()
    await expect(rows).to_have_count(500)
    await expect(window.page.get_by_text("These are all calls.")).to_be_visible()
    ids = set(await rows.evaluate_all("(rows) => rows.map((row) => row.dataset.call)"))
    assert len(ids) == 500
    assert await window.overflow() == []


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_kind_of_order_is_told_in_words_of_the_language(
    played: tuple[Stage, str], opens: Opens, language: str
) -> None:
    play, url = played
    play.hub.replace(new_board(agents={"101": "Li Na"}, queues=["service"]))
    play.emit(pbx.AgentDeviceChanged, extension="101", reachable=True)
    window = await _at(opens, url, "/agent", "li.na", locale="zh-CN" if language == "zh" else "en-GB")
    wrong = []
    for number, kind in enumerate(play.orders):
        play.state("101", "READY")
        card = await play.call_agent("101", f"n1-{number}.{language}", kind)
        shown = window.page.locator(f"[data-offer-id='{card['offer_id']}']")
        await expect(shown.get_by_test_id("card-order-no")).to_be_visible()
        texts, data = await window.texts(), data_of(card) | {"李娜 Li Na"}
        foreign = not_chinese if language == "zh" else not_english
        ids = [text for text in texts if re.fullmatch(r"[a-z]+(?:[_-][a-z]+)+", text)]
        wrong += [f"{kind}: {text}" for text in (*keys_in(texts), *foreign(texts, data), *ids)]
    assert len(play.orders) > 20
    assert wrong == []


async def test_each_part_of_the_house_has_its_words_in_both_languages(
    played: tuple[Stage, str], opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = await opens(played[1])
    parts = [{"name": part, "state": "degraded", "words": "-", "means": "-"} for part in PARTS]
    await window.page.route("**/health", lambda route: route.fulfill(json={"state": "degraded", "parts": parts}))
    await window.go("/login")
    banners = window.page.get_by_test_id("banner-house")
    await expect(banners).to_have_count(len(PARTS))
    english = await banners.all_inner_texts()
    await window.page.get_by_test_id("lang-switch").click()
    chinese = await banners.all_inner_texts()
    assert len({*english, *chinese}) == 2 * len(PARTS)
    assert (not_english(english, set()), not_chinese(chinese, set())) == ([], [])


async def test_a_part_this_console_does_not_know_is_told_in_the_servers_words(
    played: tuple[Stage, str], opens: Opens
) -> None:
    play, url = played

    async def tape() -> Finding:
        return Finding("degraded", "The tape robot is stuck.")

    play.health.watch("tape", tape, means="Old recordings come late.")
    window = await opens(url)
    await window.go("/login")
    banner = window.page.locator("[role=status] [data-part=tape]")
    await expect(banner).to_have_text("The tape robot is stuck. Old recordings come late.", timeout=15_000)
