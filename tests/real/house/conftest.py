"""Whole worlds, started as an operator would and used as an outsider would."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.world.outside import OutsideWorld
from recordings.models import SpeechModel


@pytest.fixture
async def world(tmp_path: Path, english_model: SpeechModel) -> AsyncIterator[OutsideWorld]:
    async with OutsideWorld(tmp_path / "home") as it:
        yield it


@pytest.fixture
async def quiet_world(tmp_path: Path) -> AsyncIterator[OutsideWorld]:
    """Without transcription, for tests that are not about it."""
    async with OutsideWorld(tmp_path / "home", settings={"SPEECH__ENABLED": "false"}) as it:
        yield it
