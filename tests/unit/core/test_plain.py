"""Rows written past SQLAlchemy stand in SQLite as SQLAlchemy would have written them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from core.db.bundles import MOST_VALUES, in_bundles
from core.db.upsert import upsert
from pbx.store import interaction_table
from tests.suites.core.place import Place

AT = datetime(2026, 11, 24, 9, 0, 0, 123_000, tzinfo=UTC)
ROW: dict[str, Any] = {
    "id": "x",
    "channel_kind": "voice",
    "ani": "张伟",
    "arrived_at": AT,
    "agents": ["101"],
    "talk_s": 1.5,
}


async def test_a_row_reads_the_same_whoever_wrote_it(place: Place) -> None:
    async with (await place.open()).write() as conn:
        await conn.execute(interaction_table.insert(), [{**ROW, "id": "theirs"}])
        await upsert(conn, interaction_table, [{**ROW, "id": "ours"}], ["id"])
        raw = await conn.exec_driver_sql("SELECT * FROM interaction ORDER BY id")
        ours, theirs = (row._mapping for row in raw.fetchall())
        assert {**theirs, "id": ""} == {**ours, "id": ""}, "to the letter"
        read = (await conn.execute(select(interaction_table).where(interaction_table.c.id == "ours"))).one()
    assert {name: read._mapping[name] for name in ROW} == {**ROW, "id": "ours"}


async def test_more_rows_than_a_statement_takes_are_all_written_and_in_their_order(place: Place) -> None:
    most = MOST_VALUES // len(ROW)
    rows = [{**ROW, "id": f"{number % (most + 5)}", "talk_s": float(number)} for number in range(most + 10)]
    async with (await place.open()).write() as conn:
        await upsert(conn, interaction_table, rows, ["id"])
        found = {row.id: row.talk_s for row in await conn.execute(select(interaction_table))}
    assert found == {row["id"]: row["talk_s"] for row in rows}, "the newest of each"


def test_a_bundle_never_holds_more_values_than_sqlite_takes() -> None:
    rows = [(number, "x") for number in range(MOST_VALUES + 1)]
    made = list(in_bundles("INSERT INTO t", "(?, ?)", rows))
    assert [len(values) for _, bundles in made for values in bundles] == [MOST_VALUES, MOST_VALUES, 2]
    assert all(text.count("?") == len(values) <= 32_766 for text, bundles in made for values in bundles)
    assert list(in_bundles("INSERT INTO t", "(?, ?)", [])) == []
