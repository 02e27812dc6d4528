"""One browser and one world for all tests of the console."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from app.world.outside import OutsideWorld
from recordings.models import SpeechModel
from tests.real.console.browser import chromium
from tests.real.console.one_call import OneCall


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
    call = OneCall(world, browser)
    await call.tell()
    yield call
    await call.close()
