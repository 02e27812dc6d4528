"""Databases of the real tier: one Postgres for the session, emptied for each test; one of its own where the schema changes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import asyncpg
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
        asyncio.run(it.create("house", template="newest"))
        yield it
    finally:
        it.remove()


@pytest.fixture
async def place(cluster: Cluster) -> AsyncIterator[Place]:
    conn = await asyncpg.connect(cluster.url("house"))
    try:
        # Emptied, not made anew: a copy of a database costs the disk eight megabytes.
        await conn.execute("SET session_replication_role = replica")  # in any order
        for table in migrate.tables().tables:
            await conn.execute(f"DELETE FROM {table}")
    finally:
        await conn.close()
    async with Place(cluster.url("house")) as it:
        yield it


@pytest.fixture
async def own_place(cluster: Cluster) -> AsyncIterator[Place]:
    name = f"own_{next(_NUMBER)}"
    async with Place(await cluster.create(name, template="newest")) as it:
        yield it
    await cluster.drop(name)


@pytest.fixture
async def empty(cluster: Cluster) -> AsyncIterator[Place]:
    name = f"empty_{next(_NUMBER)}"
    async with Place(await cluster.create(name)) as it:
        yield it
    await cluster.drop(name)
