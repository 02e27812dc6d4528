"""Rows into SQLite past SQLAlchemy, which takes longer over a row than the database does: texts of statements made once,
values as the columns' types would write them. Pure.

What the statements do is what `upsert.py` and `lease.py` say; on Postgres they are SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, Table

from core.db.bundles import Row, in_bundles
from core.db.types import Moment, stored_moment
from core.json_text import json_text

Writer = Callable[[Any], Any]
Statements = Iterator[tuple[str, list[Row]]]


def upserts(table: Table, rows: Sequence[Mapping[str, Any]], key: Sequence[str], *, update: bool) -> Statements:
    """Statements for `executemany` that insert `rows` (all with the same columns), or update those whose key is there."""
    names = tuple(rows[0])
    into, marks, end = _upsert(table, names, tuple(key), update)
    return in_bundles(into, marks, stored(table, names, rows), end)


@lru_cache(maxsize=200)
def _upsert(table: Table, names: tuple[str, ...], key: tuple[str, ...], update: bool) -> tuple[str, str, str]:
    changed = [f"{name} = excluded.{name}" for name in names if name not in key] if update else []
    end = f" ON CONFLICT ({', '.join(key)}) DO {'UPDATE SET ' + ', '.join(changed) if changed else 'NOTHING'}"
    return f"INSERT INTO {table.name} ({', '.join(names)})", f"({', '.join('?' * len(names))})", end


def fenced_upserts(table: Table, rows: Sequence[Mapping[str, Any]], key: str, *, fence: str) -> Statements:
    """`upserts` that write nothing unless `fence`, an expression that is asked inside the statement, holds."""
    names = tuple(rows[0])
    into, marks, end = _upsert(table, names, (key,), True)
    source = f"{into} SELECT * FROM ("  # noqa: S608 (our own tables' names)
    return in_bundles(source, marks, stored(table, names, rows), f") WHERE {fence}{end}")


def stored(table: Table, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows' values in the order of `names`, as the columns' types write them."""
    writers = _writers(table, tuple(names))
    if not any(writers):
        return [tuple([row[name] for name in names]) for row in rows]
    each = tuple(zip(names, writers, strict=True))
    return [tuple([write(row[name]) if write else row[name] for name, write in each]) for row in rows]


@lru_cache(maxsize=200)
def _writers(table: Table, names: tuple[str, ...]) -> tuple[Writer | None, ...]:
    types = (table.c[name].type for name in names)
    return tuple(_moment if isinstance(it, Moment) else json_text if isinstance(it, JSON) else None for it in types)


def _moment(value: Any) -> str | None:
    return None if value is None else stored_moment(value)
