"""A real Postgres that is frozen, killed, gone, slow or full of others: told in time, and no fact lost or doubled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, text
from structlog.testing import capture_logs

from app.drills.cluster import Cluster
from core.db.engine import Database
from core.db.outbox import event_table
from core.errors import Unavailable
from core.events.orders import AlertCleared
from core.journal import flusher as flushing
from tests.suites.core.flusher import House, until
from tests.suites.core.place import QUICK_S, Place

HANG_UP_S = 2.0  # the driver's patience with a server it hangs up on
FUSE_S = 3 * (2 * QUICK_S + HANG_UP_S)


@contextmanager
def frozen(cluster: Cluster) -> Iterator[None]:
    cluster.freeze()
    try:
        yield
    finally:
        cluster.thaw()


async def told_away(database: Database, *, door: str) -> float:
    """Seconds until it was said that the database is away."""
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        async with getattr(database, door)() as conn:
            await conn.execute(text("SELECT 1"))
    return time.monotonic() - begun


async def answers(database: Database) -> bool:
    async with database.read() as conn:
        return bool((await conn.execute(text("SELECT 1"))).scalar() == 1)


@pytest.fixture
async def house(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(flushing, "BACKOFF_S", (0.05,))
    it = House(place, tmp_path, await place.open(statement_s=QUICK_S))
    yield it
    await asyncio.to_thread(it.journal.close)


async def test_a_frozen_server_is_told_in_time_at_both_doors_and_used_again_when_it_thaws(
    place: Place, cluster: Cluster
) -> None:
    database = await place.open(statement_s=QUICK_S)
    assert await answers(database)
    with frozen(cluster):
        assert await told_away(database, door="read") < FUSE_S
        assert await told_away(database, door="write") < FUSE_S
    assert await answers(database)


async def test_frozen_in_the_midst_of_a_unit_nothing_of_it_stays_and_closing_does_not_hang(
    place: Place, cluster: Cluster
) -> None:
    database = await Database.open(place.url, clock=place.clock, ids=place.ids, statement_s=QUICK_S)
    with pytest.raises(Unavailable):
        async with database.unit("rule:test") as unit:
            await unit.audit("test:do", "thing:1")
            unit.emit(AlertCleared(at=place.clock.now(), what="never"))
            cluster.freeze()
    begun = time.monotonic()
    try:
        await database.close()
        assert time.monotonic() - begun < FUSE_S
    finally:
        cluster.thaw()
    assert await place.count(event_table) == 0


async def test_while_the_server_is_frozen_facts_wait_the_loop_turns_and_afterwards_each_is_there_once(
    house: House, cluster: Cluster
) -> None:
    house.tell("before")
    with capture_logs() as logs:
        async with house.running():
            await house.flusher.flushed_up_to(1)
            with frozen(cluster):
                turns = 0
                while not house.flusher.down:
                    house.tell(turns)
                    turns += 1
                    await asyncio.sleep(0.001)
                assert turns > 100
            await house.flusher.flushed_up_to(house.journal.last_seq)
    assert await house.stored() == ["before", *map(str, range(turns))]
    assert await house.counted() == turns + 1
    said = [entry["event"] for entry in logs]
    assert (said[0], said[-1]) == ("facts_not_flushed", "facts_flushed_again")


async def test_killed_again_and_again_while_facts_flow_each_is_there_once_and_in_order(
    house: House, cluster: Cluster
) -> None:
    told = 0
    with capture_logs():
        async with house.running():
            for _ in range(3):
                aim = house.journal.flushed + 200
                while house.journal.flushed < aim:
                    house.tell(told)
                    told += 1
                    await asyncio.sleep(0.0002)
                await asyncio.to_thread(cluster.kill)
                house.tell("*")
                await until(lambda: house.flusher.down)
                await cluster.start()
                await until(lambda: not house.flusher.down)
            await house.flusher.flushed_up_to(house.journal.last_seq)
    stored = await house.stored()
    assert [what for what in stored if what != "*"] == [str(n) for n in range(told)]
    assert stored.count("*") == 3
    assert await house.counted() == len(stored)


async def test_after_a_restart_of_the_server_one_refusal_and_then_it_is_used_again(
    place: Place, cluster: Cluster
) -> None:
    database = await place.open(statement_s=QUICK_S)
    async with AsyncExitStack() as stack:  # several links lie in the pool
        for _ in range(3):
            await stack.enter_async_context(database.read())
    await asyncio.to_thread(cluster.kill)
    assert await told_away(database, door="read") < FUSE_S
    await cluster.start()
    assert await answers(database)


async def test_a_statement_that_takes_too_long_is_the_databases_fault_and_is_ended_there_too(place: Place) -> None:
    database = await place.open(statement_s=QUICK_S)
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        async with database.write() as conn:
            await conn.execute(text("SELECT pg_sleep(60)"))
    assert time.monotonic() - begun < FUSE_S
    async with database.read() as conn:
        still = await conn.execute(text("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
                                        " AND state = 'active' AND datname = current_database()"))  # fmt: skip
        assert still.scalar() == 0


async def test_when_others_hold_every_link_the_next_is_told_in_time_and_they_are_not_disturbed(place: Place) -> None:
    database = await place.open(statement_s=QUICK_S)
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(database.read(deadline_s=60)) for _ in range(5)]
        assert await told_away(database, door="read") < FUSE_S
        for conn in held:
            await conn.execute(select(event_table))
    assert await answers(database)


async def test_a_wrong_password_or_an_unknown_database_is_told_without_the_password(cluster: Cluster) -> None:
    good = cluster.url("newest")
    password = good.partition("aftercall:")[2].partition("@")[0]
    for url in (good.replace(password, f"{password}-wrong"), cluster.url("nowhere")):
        async with Place(url) as place:
            database = await place.open(statement_s=QUICK_S)
            with pytest.raises(Unavailable) as told:
                await answers(database)
            assert password not in f"{told.value}{told.value.__cause__!r}"


async def test_two_decisions_that_wait_for_each_other_end_one_told_to_try_again(place: Place) -> None:
    """A deadlock is the database's word, not a fault of what was asked."""
    database = await place.open()
    async with database.write() as conn:
        await conn.execute(text("INSERT INTO journal_mark VALUES ('a', 0), ('b', 0)"))
    reached = [asyncio.Event(), asyncio.Event()]

    async def add(mine: int, first: str, second: str) -> str:
        try:
            async with database.write() as conn:
                mark = text("UPDATE journal_mark SET seq = seq + 1 WHERE journal_id = :id")
                await conn.execute(mark, {"id": first})
                reached[mine].set()
                await reached[1 - mine].wait()
                await conn.execute(mark, {"id": second})
        except Unavailable:
            return "told"
        return "done"

    assert sorted(await asyncio.gather(add(0, "a", "b"), add(1, "b", "a"))) == ["done", "told"]
