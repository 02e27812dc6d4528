"""Many rows of SQLite in one statement, so that a thread that writes need not ask for the interpreter after each of them.

`executemany` lets go of Python's lock for every statement and queues up for it again; beside a loop that is busy it then
takes ten times as long. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

MOST_VALUES = 30_000  # in one statement; SQLite takes 32,766
Row = tuple[Any, ...]


def in_bundles(insert: str, marks: str, rows: Sequence[Row], end: str = "") -> Iterator[tuple[str, list[Row]]]:
    """Statements for `executemany`, with their values: `insert` up to VALUES, `marks` for one row, `end` behind them."""
    if not rows:
        return
    most = max(1, MOST_VALUES // max(1, len(rows[0])))
    whole = len(rows) - len(rows) % most
    if whole:
        bundles = [tuple(chain.from_iterable(rows[at : at + most])) for at in range(0, whole, most)]
        yield _statement(insert, marks, most, end), bundles
    if whole < len(rows):
        yield _statement(insert, marks, len(rows) - whole, end), [tuple(chain.from_iterable(rows[whole:]))]


@lru_cache(maxsize=100)
def _statement(insert: str, marks: str, rows: int, end: str) -> str:
    """One and the same text each time: the driver knows a statement again by it."""
    return f"{insert} VALUES {', '.join([marks] * rows)}{end}"
