"""Facts that stand in a journal's file and not in the database yet.

A journal that its process has open is nobody else's to read: it copies for itself, and health tells how far behind it is.
What is found here was left by a process that is gone.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.reconcile import ours
from core.db.engine import Database
from core.journal.flusher import Flusher
from core.journal.foreign import ForeignJournal
from core.journal.projector import Projector

PAGE = 1000


@dataclass(frozen=True)
class Left:
    """What a journal holds that was told before some moment and is not copied."""

    file: Path
    rows: int
    oldest: datetime


async def left_behind(folder: Path, database: Database, until: datetime) -> list[Left]:
    """Every journal in `folder` that holds such facts. Raises Unavailable."""
    found = []
    for file in await asyncio.to_thread(lambda: sorted(folder.glob("*.sqlite"))):
        with suppress(sqlite3.Error, KeyError, ValueError):
            journal = ForeignJournal(file)
            async with database.read() as conn:
                marks = await ours.marks(conn, [journal.journal_id])
            left = await _left(file, journal, max(journal.flushed, marks.get(journal.journal_id, 0)), until)
            if left is not None:
                found.append(left)
    return found


async def _left(file: Path, journal: ForeignJournal, mark: int, until: datetime) -> Left | None:
    rows, oldest = 0, until
    while page := await journal.read(mark, PAGE):
        told = [at for fact in page if (at := datetime.fromisoformat(json.loads(fact.text)["at"])) < until]
        rows, oldest, mark = rows + len(told), min([oldest, *told]), page[-1].seq
    return Left(file, rows, oldest) if rows else None


async def copy(left: Left, database: Database, projectors: Sequence[Projector]) -> None:
    """Copies the journal as its own process would have. Raises Unavailable, or sqlite3.Error when it is in use again."""
    flusher = Flusher(ForeignJournal(left.file), database, projectors)
    while await flusher.flush_once():
        continue
