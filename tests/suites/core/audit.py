"""The audit trail: old, new and who, in one chain, also when many write at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import delete, update

from core import audit
from core.audit import audit_table, newest, verify, write_audit
from core.db.engine import Database
from tests.suites.core.place import Place


async def written(database: Database, count: int) -> None:
    for n in range(count):
        async with database.unit(f"user:u{n}") as unit:
            await unit.audit("test:set", f"thing:{n}", before={"n": n}, after={"n": n + 1})


async def broken_at(database: Database) -> int | None:
    async with database.read() as conn:
        return await verify(conn)


class AuditPromises:
    async def test_a_row_tells_old_new_actor_and_moment_and_the_chain_is_whole(self, place: Place) -> None:
        database = await place.open()
        assert await broken_at(database) is None
        await written(database, 2)
        rows = await place.rows(audit_table, "at", "actor", "action", "subject", "before", "after")
        assert rows == [
            (place.clock.now(), f"user:u{n}", "test:set", f"thing:{n}", {"n": n}, {"n": n + 1}) for n in (0, 1)
        ]
        assert await broken_at(database) is None

    async def test_writers_at_the_same_time_make_one_chain(self, place: Place) -> None:
        database, other = await place.open(), await place.open()
        async with asyncio.timeout(60):
            await asyncio.gather(*(written(one, 5) for one in (database, other, database, other)))
        assert await place.count(audit_table) == 20
        assert await broken_at(database) is None
        hashes = [row_hash for (row_hash,) in await place.rows(audit_table, "hash")]
        assert len(set(hashes)) == 20
        async with database.read() as conn:
            assert await newest(conn) == hashes[-1]

    async def test_one_rolled_back_leaves_no_gap_in_the_chain(self, place: Place) -> None:
        database = await place.open()
        await written(database, 1)
        with pytest.raises(ZeroDivisionError):
            async with database.unit("user:x") as unit:
                await unit.audit("test:set", "never")
                raise ZeroDivisionError
        await written(database, 1)
        assert await broken_at(database) is None

    @pytest.mark.parametrize(
        "values",
        [
            {"actor": "user:somebody"}, {"action": "test:other"}, {"subject": "thing:9"}, {"before": None},
            {"after": {"n": 99}}, {"at": datetime(2026, 11, 24, 9, 0, 0, 1000, tzinfo=UTC)}, {"hash": "0" * 64},
        ],
    )  # fmt: skip
    async def test_a_row_that_was_altered_shows(self, place: Place, values: dict[str, Any]) -> None:
        database = await place.open()
        await written(database, 4)
        positions = [position for (position,) in await place.rows(audit_table, "position")]
        async with database.write() as conn:
            await conn.execute(update(audit_table).where(audit_table.c.position == positions[2]).values(values))
        assert await broken_at(database) == positions[2]

    @pytest.mark.parametrize("gone", [0, 2])
    async def test_a_row_that_was_taken_out_shows_at_the_next(self, place: Place, gone: int) -> None:
        database = await place.open()
        await written(database, 4)
        positions = [position for (position,) in await place.rows(audit_table, "position")]
        async with database.write() as conn:
            await conn.execute(delete(audit_table).where(audit_table.c.position == positions[gone]))
        assert await broken_at(database) == positions[gone + 1]

    async def test_whatever_was_set_reads_back_into_the_same_hash(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Values, zones and pages: what the hash was made of comes back from the database the same."""
        monkeypatch.setattr(audit, "PAGE", 3)
        database = await place.open()
        there = timezone(timedelta(hours=8))
        values: list[Any] = [
            None, True, 0, -1, 2**60, 0.1, 1e300, 1.0, "", "张伟 😀 \u2028", [], {}, [None, [1, {"b": 2, "a": [1.5]}]],
            {"z": 1, "a": {"y": 2, "x": 3}}, {1: "number as key"}, ("tuple", 1),
        ]  # fmt: skip
        async with database.write() as conn:
            for value in values:
                at = datetime(2026, 11, 24, 17, 0, 0, 123999, tzinfo=there)
                await write_audit(conn, at=at, actor="a", action="t:s", subject="s", before=value, after=[value])
        assert await broken_at(database) is None
        assert await place.count(audit_table) == len(values)
