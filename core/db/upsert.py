"""Insert or update in one statement, on SQLite and Postgres alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.plain import upserts


async def upsert(
    conn: AsyncConnection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    key: Sequence[str],
    *,
    update: bool = True,
) -> bool:
    """Writes `rows` (all with the same columns); where `key` exists already, the other columns given are replaced.

    `update=False` leaves existing rows as they are; of a single row it is then told whether it is new.
    """
    if not rows:
        return False
    if conn.dialect.name == "sqlite":
        written = 0
        for text, values in upserts(table, rows, key, update=update):
            written += (await conn.exec_driver_sql(text, values)).rowcount
        return written > 0
    statement = _statement(table, tuple(rows[0]), tuple(key), update)
    result = await conn.execute(statement, [dict(row) for row in rows])
    return bool(result.rowcount > 0)  # of several rows, this driver does not tell


@lru_cache(maxsize=200)
def _statement(table: Table, names: tuple[str, ...], key: tuple[str, ...], update: bool) -> Any:
    """Made once for each shape: making it takes longer than writing a row with it."""
    statement: Any = postgresql.insert(table)
    columns = [name for name in names if name not in key]
    if not (update and columns):
        return statement.on_conflict_do_nothing(index_elements=list(key))
    return statement.on_conflict_do_update(
        index_elements=list(key), set_={name: statement.excluded[name] for name in columns}
    )
