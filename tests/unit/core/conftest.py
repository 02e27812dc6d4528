"""Databases of the unit tier: SQLite files, each a copy of one that was brought to the newest schema once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.db import migrate
from tests.suites.core.place import Place


@pytest.fixture(scope="session")
def newest_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "newest.sqlite"
    asyncio.run(migrate.migrate(f"sqlite:///{file}"))
    return file


@pytest.fixture
async def place(newest_sqlite: Path, tmp_path: Path) -> AsyncIterator[Place]:
    shutil.copy(newest_sqlite, tmp_path / "house.sqlite")
    async with Place(f"sqlite:///{tmp_path}/house.sqlite") as it:
        yield it


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Place]:
    async with Place(f"sqlite:///{tmp_path}/empty.sqlite") as it:
        yield it
