"""The database door on SQLite, and what is SQLite's alone."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import insert, text

from core.db.engine import async_url
from core.errors import Unavailable
from core.journal.flusher import mark_table
from tests.suites.core.engine import EnginePromises
from tests.suites.core.place import Place


class TestEngine(EnginePromises): ...


@pytest.mark.parametrize(
    ("given", "driven"),
    [
        ("sqlite:////var/a.sqlite", "sqlite+aiosqlite:////var/a.sqlite"),
        ("postgresql://a:b@h/d", "postgresql+asyncpg://a:b@h/d"),
        ("postgres://a:b@h/d?x=1", "postgresql+asyncpg://a:b@h/d?x=1"),
        ("sqlite+aiosqlite:///x", "sqlite+aiosqlite:///x"),
    ],
)
def test_a_url_gets_the_driver_we_use(given: str, driven: str) -> None:
    assert async_url(given) == driven


async def test_sqlite_runs_in_wal_with_references_on(place: Place) -> None:
    database = await place.open()
    async with database.read() as conn:
        said = {name: (await conn.execute(text(f"PRAGMA {name}"))).scalar() for name in
                ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")}  # fmt: skip
    assert said == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 16000}


async def test_a_full_disk_is_told_and_over_when_there_is_room_again(place: Place) -> None:
    database = await place.open()

    async def pages(count: int) -> None:
        async with database.write() as conn:
            await conn.execute(text(f"PRAGMA max_page_count = {count}"))

    await pages(1)  # the file may not grow any more
    with pytest.raises(Unavailable) as told:
        async with database.write() as conn:
            for n in range(1000):
                await conn.execute(insert(mark_table).values(journal_id=f"{n:064}", seq=n))
    assert "full" in str(told.value.__cause__)
    assert await place.count(mark_table) == 0
    await pages(1_000_000)
    async with database.write() as conn:
        await conn.execute(insert(mark_table).values(journal_id="j", seq=1))
    assert await place.count(mark_table) == 1


async def test_what_is_no_database_is_told_as_unavailable(empty: Place) -> None:
    with open(empty.url.removeprefix("sqlite:///"), "wb") as file:
        file.write(b"not a database" * 100)
    database = await empty.open()
    with pytest.raises(Unavailable):
        async with database.read() as conn:
            await conn.execute(text("SELECT 1 FROM sqlite_master"))


async def test_another_program_may_read_while_we_write(place: Place) -> None:
    """Reports and backups: `sqlite3 aftercall.sqlite .dump` neither waits nor is waited for."""
    database = await place.open()
    async with database.write() as conn:
        await conn.execute(insert(mark_table).values(journal_id="j", seq=1))
        other = sqlite3.connect(place.url.removeprefix("sqlite:///"), timeout=0)
        assert other.execute("SELECT count(*) FROM journal_mark").fetchone() == (0,)
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM journal_mark").fetchone()
    assert other.execute("SELECT count(*) FROM journal_mark").fetchone() == (0,), "its own moment"
    other.execute("COMMIT")
    assert other.execute("SELECT count(*) FROM journal_mark").fetchone() == (1,)
    other.close()
