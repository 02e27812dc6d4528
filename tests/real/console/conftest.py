"""One browser and one world for all tests of the console; and no page that complained goes unnoticed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from app.world.outside import OutsideWorld
from recordings.models import SpeechModel
from tests.real.console.browser import Window, chromium, new_context
from tests.real.console.one_call import OneCall

# Taken out of the environment: a world refuses to start with a setting that it does not know.
PICTURES_WANTED = os.environ.pop("AFTERCALL_SCREENSHOT", "") == "1"
Opens = Callable[..., Awaitable[Window]]


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    async with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def world(tmp_path_factory: pytest.TempPathFactory, english_model: SpeechModel) -> AsyncIterator[OutsideWorld]:
    folder: Path = tmp_path_factory.mktemp("world")
    async with OutsideWorld(folder / "home") as it:
        yield it


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def told(world: OutsideWorld, browser: Browser) -> AsyncIterator[OneCall]:
    """The whole call, from the agent's log-in to the saved wrap-up, through the pages."""
    async with OneCall(world, browser) as call:
        await call.tell()
        yield call
        assert (call.agent.troubles, call.boss.troubles) == ([], [])  # nor with what all tests did with them afterwards


@pytest_asyncio.fixture(loop_scope="session")
async def opens(browser: Browser) -> AsyncIterator[Opens]:
    """Opens somebody's browser at a server's address; at the end none of its pages has complained of anything."""
    opened: list[Window] = []

    async def open_window(url: str, **options: Any) -> Window:
        opened.append(await Window.open(await new_context(browser, **options), url))
        return opened[-1]

    yield open_window
    troubles = [trouble for window in opened for trouble in window.troubles]
    for window in opened:
        await window.page.context.close()
    assert troubles == []
