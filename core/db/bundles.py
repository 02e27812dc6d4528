"""Many rows of SQLite in one statement, so that a thread that writes need not ask for the interpreter after each of them.

`executemany` lets go of Python's lock for every row and queues up for it again; beside a loop that is busy it then takes
ten times as long. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

BUNDLE = 50
Row = tuple[Any, ...]


def in_bundles(insert: str, marks: str, rows: Sequence[Row], end: str = "") -> Iterator[tuple[str, list[Row]]]:
    """Statements for `executemany`, with their values: `insert` up to VALUES, `marks` for one row, `end` behind them."""
    whole = len(rows) - len(rows) % BUNDLE
    if whole:
        statement = f"{insert} VALUES {', '.join([marks] * BUNDLE)}{end}"
        yield statement, [tuple(chain.from_iterable(rows[at : at + BUNDLE])) for at in range(0, whole, BUNDLE)]
    if whole < len(rows):
        yield f"{insert} VALUES {marks}{end}", list(rows[whole:])
