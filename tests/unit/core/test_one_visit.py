"""One visit to SQLite's thread for each statement, and no transaction left open by whoever stopped waiting."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from core.clock import SystemClock
from core.db.engine import Database
from core.errors import Unavailable
from core.ids import new_id


async def opened(file: Path, statement_s: float = 5.0) -> Database:
    return await Database.open(
        f"sqlite:///{file}", clock=SystemClock(), ids=new_id, pool=1, statement_s=statement_s
    )  # fmt: skip


async def test_each_statement_is_one_visit_and_reading_ends_without_another(tmp_path: Path) -> None:
    database = await opened(tmp_path / "a.sqlite")
    async with database.write() as conn:
        await conn.execute(text("CREATE TABLE t (n INTEGER)"))
        await conn.execute(text("INSERT INTO t VALUES (:n)"), [{"n": n} for n in range(3)])
    visits = 0
    async with database.read() as conn:
        driver = (await conn.get_raw_connection()).driver_connection
        assert driver is not None
        put = driver._execute

        async def count(*what: object) -> object:
            nonlocal visits
            visits += 1
            return await put(*what)

        driver._execute = count
        answer = await conn.execute(text("SELECT n FROM t ORDER BY n"))
        assert list(answer.keys()) == ["n"]
        assert answer.scalars().all() == [0, 1, 2]
        changed = await conn.execute(text("UPDATE t SET n = n WHERE n > 0"))
        assert changed.rowcount == 2
    assert visits == 2
    async with database.read() as conn:
        assert (await conn.execute(text("SELECT n FROM t WHERE n = 7"))).first() is None
    assert visits == 3
    await database.close()


async def test_who_stops_waiting_for_a_lock_leaves_no_transaction_behind(tmp_path: Path) -> None:
    database = await opened(tmp_path / "a.sqlite", statement_s=3.0)
    async with database.write() as conn:
        await conn.execute(text("CREATE TABLE t (n INTEGER)"))
    other = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        async with database.write(deadline_s=0.05):  # its BEGIN still waits in the thread when we have gone
            raise AssertionError("it is locked")
    other.execute("COMMIT")
    for n in range(3):
        async with database.write() as conn:
            await conn.execute(text("INSERT INTO t VALUES (:n)"), {"n": n})
    assert other.execute("SELECT count(*) FROM t").fetchone() == (3,)
    other.execute("BEGIN IMMEDIATE")
    other.execute("COMMIT")
    other.close()
    await database.close()


async def test_a_cancelled_statement_is_rolled_back_however_long_it_goes_on(tmp_path: Path) -> None:
    database = await opened(tmp_path / "a.sqlite", statement_s=5.0)
    async with database.write() as conn:
        await conn.execute(text("CREATE TABLE t (n INTEGER)"))

    async def write_slowly() -> None:
        async with database.write() as conn:
            await conn.execute(text("INSERT INTO t VALUES (1)"))
            await conn.execute(text(
                "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000) "
                "INSERT INTO t SELECT n FROM c"
            ))  # fmt: skip

    writing = asyncio.get_running_loop().create_task(write_slowly())
    await asyncio.sleep(0.02)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    async with database.write() as conn:
        assert (await conn.execute(text("SELECT count(*) FROM t"))).scalar() == 0
    await database.close()
