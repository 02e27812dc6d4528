"""Databases of the real tier: one Postgres for the session, a database of its own for each test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from app.drills.cluster import Cluster
from core.db import migrate
from tests.suites.core.place import Place

_NUMBER = itertools.count()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    it = Cluster()
    try:
        asyncio.run(it.start())
        asyncio.run(migrate.migrate(asyncio.run(it.create("newest"))))
        yield it
    finally:
        it.remove()


@pytest.fixture
async def place(cluster: Cluster) -> AsyncIterator[Place]:
    it = Place(await cluster.create(f"test_{next(_NUMBER)}", template="newest"))
    async with it.stack:
        yield it


@pytest.fixture
async def empty(cluster: Cluster) -> AsyncIterator[Place]:
    it = Place(await cluster.create(f"test_{next(_NUMBER)}"))
    async with it.stack:
        yield it
