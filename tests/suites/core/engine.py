"""What the database door promises on SQLite and on Postgres alike."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError, StatementError

from core.audit import audit_table
from core.db.upsert import upsert
from core.errors import Unavailable
from core.jobs.store import job_table
from core.journal.flusher import mark_table
from core.users.store import user_table
from tests.suites.core.place import QUICK_S, Place

FUSE_S = 3 * (2 * QUICK_S + 2)
MARK = {"journal_id": "j", "seq": 1}


class EnginePromises:
    async def test_a_block_that_ends_is_committed_and_one_that_raises_leaves_nothing(self, place: Place) -> None:
        database = await place.open()
        async with database.write() as conn:
            await conn.execute(insert(mark_table).values(MARK))
        with pytest.raises(ZeroDivisionError):
            async with database.write() as conn:
                await conn.execute(update(mark_table).values(seq=2))
                raise ZeroDivisionError
        assert await place.rows(mark_table) == [("j", 1)]

    async def test_a_cancelled_write_leaves_nothing_and_the_next_one_goes_on(self, place: Place) -> None:
        database = await place.open()
        begun = asyncio.Event()

        async def write() -> None:
            async with database.write() as conn:
                await conn.execute(insert(mark_table).values(MARK))
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.get_running_loop().create_task(write())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await place.count(mark_table) == 0
        async with database.write() as conn:
            await conn.execute(insert(mark_table).values(MARK))
        assert await place.count(mark_table) == 1

    async def test_nobody_sees_what_is_not_committed_and_readers_do_not_wait_for_writers(self, place: Place) -> None:
        database = await place.open()
        async with database.write() as conn:
            await conn.execute(insert(mark_table).values(MARK))
            async with database.read() as reader:
                assert (await reader.execute(select(mark_table))).all() == []
        assert await place.count(mark_table) == 1

    async def test_no_write_of_many_at_once_is_lost(self, place: Place) -> None:
        database = await place.open()
        async with database.write() as conn:
            await conn.execute(insert(mark_table).values(journal_id="j", seq=0))

        async def add() -> None:
            async with database.write() as conn:
                await conn.execute(update(mark_table).values(seq=mark_table.c.seq + 1))

        await asyncio.gather(*(add() for _ in range(60)))
        assert await place.rows(mark_table) == [("j", 60)]

    async def test_who_reads_and_then_writes_is_not_refused_because_another_process_wrote_between(
        self, place: Place
    ) -> None:
        database, other = await place.open(), await place.open()

        async def write() -> None:
            async with other.write() as conn:
                await conn.execute(insert(mark_table).values(journal_id="other", seq=1))

        async with database.write() as conn:
            seen = len((await conn.execute(select(mark_table))).all())
            task = asyncio.get_running_loop().create_task(write())
            await asyncio.wait([task], timeout=0.2)  # on SQLite it waits for us, on Postgres it need not
            await conn.execute(insert(mark_table).values(journal_id="j", seq=seen))
        await task
        assert await place.rows(mark_table) == [("j", 0), ("other", 1)]

    async def test_a_lock_held_by_somebody_else_is_told_in_time_and_later_writes_go_on(self, place: Place) -> None:
        database = await place.open(statement_s=QUICK_S)
        async with place.locked("journal_mark"):
            begun = time.monotonic()
            with pytest.raises(Unavailable) as told:
                async with database.write() as conn:
                    await conn.execute(insert(mark_table).values(MARK))
            assert time.monotonic() - begun < FUSE_S
            assert told.value.error_id == "core:database-unavailable"
        async with database.write() as conn:
            await conn.execute(insert(mark_table).values(MARK))
        assert await place.count(mark_table) == 1

    async def test_a_block_that_takes_too_long_is_rolled_back_and_told(self, place: Place) -> None:
        database = await place.open()
        with pytest.raises(Unavailable):
            async with database.write(deadline_s=0.1) as conn:
                await conn.execute(insert(mark_table).values(MARK))
                await asyncio.Event().wait()
        assert await place.count(mark_table) == 0

    async def test_who_waits_for_their_turn_waits_no_longer_than_their_deadline(self, place: Place) -> None:
        database = await place.open()
        held, done = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with database.write() as conn:
                await conn.execute(insert(mark_table).values(MARK))
                held.set()
                await done.wait()

        task = asyncio.get_running_loop().create_task(hold())
        await held.wait()
        with pytest.raises(Unavailable):
            async with database.write(deadline_s=0.2) as conn:
                await upsert(conn, mark_table, [MARK], ["journal_id"])
        done.set()
        await task

    @pytest.mark.parametrize("fault", [ValueError("x"), FileNotFoundError(2, "gone", "a.wav"), OSError(28, "full")])
    async def test_a_fault_of_the_block_is_not_told_as_the_databases(self, place: Place, fault: Exception) -> None:
        database = await place.open()
        for door in (database.read, database.write):
            with pytest.raises(type(fault)) as told:
                async with door():
                    raise fault
            assert told.value is fault

    async def test_a_value_that_does_not_fit_and_a_wrong_statement_are_our_fault(self, place: Place) -> None:
        database = await place.open()
        async with database.write() as conn:
            await conn.execute(insert(mark_table).values(MARK))
        for values in (MARK, {"journal_id": "k", "seq": None}):
            with pytest.raises(IntegrityError):
                async with database.write() as conn:
                    await conn.execute(insert(mark_table).values(values))
        with pytest.raises(SQLAlchemyError, match="nowhere"):
            async with database.write() as conn:
                await conn.execute(text("INSERT INTO nowhere VALUES (1)"))
        with pytest.raises((OverflowError, StatementError)):
            async with database.write() as conn:
                await conn.execute(insert(mark_table).values(journal_id="k", seq=2**70))

    async def test_no_error_tells_the_values_of_a_statement(self, place: Place) -> None:
        database = await place.open(statement_s=QUICK_S)
        row = {
            "id": "u1", "login": "anna", "name": "张伟", "roles": [], "language": "en", "active": True,
            "password_hash": "$argon2id$planted", "created_at": place.clock.now(),
        }  # fmt: skip
        async with database.write() as conn:
            await conn.execute(insert(user_table).values(row))
        with pytest.raises(IntegrityError) as told:
            async with database.write() as conn:
                await conn.execute(insert(user_table).values(row))
        async with place.locked("user_account"):
            with pytest.raises(Unavailable) as away:
                async with database.write() as conn:
                    await conn.execute(update(user_table).values(row))
        for error in (told.value, away.value, away.value.__cause__):
            assert "planted" not in f"{error!s}{error!r}"
            assert "张伟" not in f"{error!s}{error!r}"

    async def test_a_moment_is_utc_to_the_millisecond_and_a_naive_one_is_refused(self, place: Place) -> None:
        database = await place.open()
        shanghai = datetime(2026, 3, 29, 2, 30, 0, 123999, tzinfo=timezone(timedelta(hours=8)))
        row = {"actor": "a", "action": "b", "subject": "c", "hash": "d"}
        async with database.write() as conn:
            await conn.execute(insert(audit_table).values(at=shanghai, **row))
        [(at,)] = await place.rows(audit_table, "at")
        assert at == datetime(2026, 3, 28, 18, 30, 0, 123000, tzinfo=UTC)
        assert at.tzinfo is UTC
        with pytest.raises(StatementError, match="time zone"):
            async with database.write() as conn:
                await conn.execute(insert(audit_table).values(at=shanghai.replace(tzinfo=None), **row))

    async def test_moments_are_compared_as_moments(self, place: Place) -> None:
        """SQLite keeps them as text: the comparison must not depend on the zone they were given in."""
        database = await place.open()
        noon = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
        row = {"actor": "a", "action": "b", "subject": "c", "hash": "d"}
        async with database.write() as conn:
            for ms in (-1, 0, 1):
                await conn.execute(insert(audit_table).values(at=noon + timedelta(milliseconds=ms), **row))
        there = noon.astimezone(timezone(timedelta(hours=8)))
        assert await place.count(audit_table, audit_table.c.at <= there) == 2
        assert await place.count(audit_table, audit_table.c.at > there) == 1

    async def test_json_comes_back_as_it_went(self, place: Place) -> None:
        database = await place.open()
        values = [
            None,
            {},
            [],
            {"张": [1, 2.5, None, True, "\u2028", "😀"]},
            "text",
            0,
            {"deep": {"er": [[[]]]}},
            2**53,
        ]
        row = {"at": place.clock.now(), "actor": "a", "action": "b", "subject": "c", "hash": "d"}
        async with database.write() as conn:
            for value in values:
                await conn.execute(insert(audit_table).values({**row, "after": value}))
        assert await place.rows(audit_table, "after") == [(value,) for value in values]

    async def test_an_upsert_writes_new_rows_and_replaces_or_leaves_those_there(self, place: Place) -> None:
        database = await place.open()
        first, second = {"journal_id": "a", "seq": 1}, {"journal_id": "b", "seq": 2}
        async with database.write() as conn:
            assert await upsert(conn, mark_table, [], ["journal_id"]) is False
            assert await upsert(conn, mark_table, [first], ["journal_id"], update=False) is True
            assert await upsert(conn, mark_table, [{**first, "seq": 9}], ["journal_id"], update=False) is False
            await upsert(conn, mark_table, [{**first, "seq": 5}, second], ["journal_id"])
        assert await place.rows(mark_table) == [("a", 5), ("b", 2)]

    async def test_a_reference_that_points_to_nothing_is_refused(self, place: Place) -> None:
        database = await place.open()
        with pytest.raises(IntegrityError):
            async with database.write() as conn:
                await conn.execute(text("INSERT INTO api_token VALUES ('h', 'nobody', 'l', '2026-11-24 00:00:00')"))

    async def test_a_failed_statement_does_not_poison_the_connection_for_the_next_user(self, place: Place) -> None:
        database = await place.open()
        for _ in range(30):  # more than there are connections
            with pytest.raises(IntegrityError):
                async with database.write() as conn:
                    await conn.execute(insert(mark_table).values(journal_id="k", seq=None))
        async with database.read() as conn:
            assert (await conn.execute(select(job_table))).all() == []
