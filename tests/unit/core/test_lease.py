"""The lease: one owner under one epoch, whatever sleeps, jumps or does not answer."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from core.clock import ManualClock
from core.db.engine import Database
from core.db.metadata import metadata
from core.errors import Unavailable
from core.ids import new_id
from core.lease import Lease, LeaseLost, fenced_upsert, lease_table
from routing.store import said_table

TTL_S = 0.3


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def database(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path / 'one.sqlite'}"
    it = await Database.open(url, clock=clock, ids=new_id)
    async with it.write() as conn:
        await conn.run_sync(lambda c: metadata.create_all(c, tables=[lease_table, said_table]))
    yield it
    await it.close()


def lease(database: Database, holder: str, **more: object) -> Lease:
    return Lease(database, "controller", holder, ttl_s=TTL_S, **more)  # type: ignore[arg-type]


async def passing(clock: ManualClock, seconds: float) -> None:
    """Lets the monotonic clock run on while others look at the row, as they do in life."""
    for _ in range(int(seconds / 0.05)):
        clock.advance(0.05)
        await asyncio.sleep(0.02)


async def test_the_first_to_ask_owns_under_the_first_epoch_and_may_act(database: Database) -> None:
    one = lease(database, "one")
    assert not one.holds()
    assert await one.claim() == 1
    assert one.holds()


async def test_nobody_takes_what_is_beaten_for(database: Database, clock: ManualClock) -> None:
    one, two = lease(database, "one"), lease(database, "two")
    await one.claim()
    async with asyncio.TaskGroup() as group:
        claiming = group.create_task(two.claim())
        for _ in range(20):
            clock.advance(0.1)
            await one.prove()
            await asyncio.sleep(0.05)
        assert not claiming.done()
        claiming.cancel()


async def test_a_silent_owner_is_replaced_after_its_time_and_told_so_when_it_wakes(
    database: Database, clock: ManualClock
) -> None:
    one, two = lease(database, "one"), lease(database, "two")
    await one.claim()
    async with asyncio.TaskGroup() as group:
        claiming = group.create_task(two.claim())
        await passing(clock, 10 * TTL_S)
        assert await claiming == 2
    assert not one.holds()  # it slept past its time: it looks again before it acts
    with pytest.raises(LeaseLost):
        await one.prove()
    with pytest.raises(LeaseLost):
        await one.prove()
    await two.prove()
    assert two.holds()


async def test_a_holder_that_is_proved_dead_is_replaced_at_once(database: Database) -> None:
    await lease(database, "one").claim()
    two = lease(database, "two", is_dead=lambda holder: holder == "one")
    async with asyncio.timeout(2):  # the clock stands still: nobody waits for a time to pass
        assert await two.claim() == 2


async def test_what_is_given_back_is_taken_at_once_and_giving_back_twice_harms_nobody(database: Database) -> None:
    one, two = lease(database, "one"), lease(database, "two")
    await one.claim()
    await one.release()
    assert not one.holds()
    assert await two.claim() == 2
    await one.release()
    await two.prove()


async def test_a_database_that_does_not_answer_takes_nothing_away(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = lease(database, "one")
    await one.claim()

    def away(**_: object) -> object:
        raise Unavailable("database")

    monkeypatch.setattr(database, "write", away)
    clock.advance(TTL_S * 3)
    assert not one.holds()  # nobody has looked yet
    await one.prove()
    assert one.holds()


async def test_a_database_that_was_away_gives_nobody_a_reason_to_take(
    database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = lease(database, "one"), lease(database, "two")
    await one.claim()
    real = database.read

    def away(**_: object) -> object:
        raise Unavailable("database")

    async with asyncio.TaskGroup() as group:
        claiming = group.create_task(two.claim())
        await passing(clock, 0.1)
        monkeypatch.setattr(database, "read", away)
        await passing(clock, 10 * TTL_S)
        monkeypatch.setattr(database, "read", real)
        await one.prove()  # the owner beats again before the other has watched for a whole time
        await asyncio.sleep(0.5)
        assert not claiming.done()
        claiming.cancel()


async def test_a_database_that_nobody_could_write_gives_nobody_a_reason_to_take(
    database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    one, two = lease(database, "one"), lease(database, "two")
    await one.claim()
    async with asyncio.TaskGroup() as group:
        claiming = group.create_task(two.claim())
        await passing(clock, 0.1)
        with closing(sqlite3.connect(tmp_path / "one.sqlite", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await passing(clock, 10 * TTL_S)
            other.execute("ROLLBACK")
        for _ in range(10):
            await passing(clock, 0.1)
            await one.prove()
        assert not claiming.done() and one.holds()
        claiming.cancel()


async def test_who_was_paused_while_watching_watches_anew(database: Database, clock: ManualClock) -> None:
    one, two = lease(database, "one"), lease(database, "two")
    await one.claim()
    async with asyncio.TaskGroup() as group:
        claiming = group.create_task(two.claim())
        await asyncio.sleep(0.3)
        clock.advance(3600)  # two slept for an hour
        await asyncio.sleep(0.5)
        assert not claiming.done()
        claiming.cancel()


async def test_a_wall_clock_that_jumps_changes_nothing(database: Database, clock: ManualClock) -> None:
    one, two = lease(database, "one"), lease(database, "two")
    await one.claim()
    async with asyncio.TaskGroup() as group:
        claiming = group.create_task(two.claim())
        await asyncio.sleep(0.3)
        clock.jump(3600)
        await asyncio.sleep(0.5)
        assert not claiming.done() and one.holds()
        claiming.cancel()


async def test_of_many_who_claim_at_once_one_owns(database: Database) -> None:
    many = [lease(database, f"holder-{n}") for n in range(8)]
    async with asyncio.TaskGroup() as group:
        claims = [group.create_task(it.claim()) for it in many]
        await asyncio.wait(claims, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0.5)
        assert sum(claim.done() for claim in claims) == 1
        for claim in claims:
            claim.cancel()


async def test_what_comes_before_taking_is_done_under_the_old_epoch(database: Database) -> None:
    one, two = lease(database, "one"), lease(database, "two")
    await one.claim()
    await one.release()
    seen: list[int] = []

    async def before() -> None:
        seen.append((await two._look()).epoch)

    await two.claim(before)
    assert seen == [1]


async def test_a_write_of_an_older_epoch_changes_no_row_in_the_very_statement(database: Database) -> None:
    one, two = lease(database, "one"), lease(database, "two")
    await one.claim()
    row = {"extension": "101", "state": "READY", "reason": "", "at": database.clock.now()}
    async with database.write() as conn:
        assert await fenced_upsert(conn, said_table, [row], "extension", epoch=1) == 0
    await one.release()
    await two.claim()
    async with database.write() as conn:
        stale = {**row, "state": "OFFLINE"}
        assert await fenced_upsert(conn, said_table, [stale, {**stale, "extension": "102"}], "extension", epoch=1) == 2
        fresh = {**row, "state": "NOT_READY"}
        assert await fenced_upsert(conn, said_table, [fresh], "extension", epoch=2) == 0
        rows = (await conn.execute(said_table.select())).all()
    assert [(r.extension, r.state) for r in rows] == [("101", "NOT_READY")]
