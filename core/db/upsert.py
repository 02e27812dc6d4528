"""Insert or update in one statement, on SQLite and Postgres alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


async def upsert(
    conn: AsyncConnection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    key: Sequence[str],
    *,
    update: bool = True,
    only_if: ColumnElement[bool] | None = None,
) -> int:
    """Writes `rows` (all with the same columns); where `key` exists already, the other columns given are replaced.

    `update=False` leaves existing rows as they are. `only_if` is compared inside the very statement that writes; where it
    does not hold nothing is written. Returns the number of rows written.
    """
    if not rows:
        return 0
    if only_if is not None:
        return sum([await _upsert_one(conn, table, row, key, only_if) for row in rows])
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    statement: Any = dialect.insert(table)
    columns = [name for name in rows[0] if name not in key]
    if update and columns:
        statement = statement.on_conflict_do_update(
            index_elements=list(key), set_={name: statement.excluded[name] for name in columns}
        )
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(key))
    result = await conn.execute(statement, [dict(row) for row in rows])
    return int(result.rowcount)


async def _upsert_one(
    conn: AsyncConnection, table: Table, row: Mapping[str, Any], key: Sequence[str], only_if: ColumnElement[bool]
) -> int:
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    values = select(*(literal(value, table.c[name].type) for name, value in row.items())).where(only_if)
    statement: Any = dialect.insert(table).from_select(list(row), values)
    others = {name: statement.excluded[name] for name in row if name not in key}
    statement = statement.on_conflict_do_update(index_elements=list(key), set_=others, where=only_if)
    return int((await conn.execute(statement)).rowcount)
