"""Insert or update in one statement, on SQLite and Postgres alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection


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
    return bool(result.rowcount > 0)  # of several rows, Postgres' driver does not tell
