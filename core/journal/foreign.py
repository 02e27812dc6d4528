"""Copies into the database what another process wrote down and could not copy: it was killed, or stands still.

Reads its journal's file and changes nothing in it: its owner forgets the rows when it comes back. Invariant: a fact that
both copy stands once, because (journal, sequence) is unique.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import structlog

from core.db.engine import Database
from core.journal.flusher import BATCH, Flusher
from core.journal.projector import Projector
from core.journal.store import AFTER, Fact, facts


class ForeignJournal:
    """What a `Flusher` needs of a journal, over a file that is somebody else's."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with closing(self._open()) as db:
            values = dict(db.execute("SELECT name, value FROM mark").fetchall())
        self.journal_id = str(values["journal_id"])
        self.flushed = int(values["flushed"])

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._file.resolve().as_uri()}?mode=ro", uri=True, timeout=0.2)

    async def read(self, after: int, limit: int) -> list[Fact]:
        return await asyncio.to_thread(self._read, after, limit)

    def at_hand(self, after: int, limit: int) -> None:
        return None  # nothing but the file

    def _read(self, after: int, limit: int) -> list[Fact]:
        with closing(self._open()) as db:
            return facts(db.execute(AFTER, (after, limit)))

    async def forget_until(self, seq: int) -> None:
        self.flushed = seq  # the file is its owner's


async def copy_foreign(own: Path, database: Database, projectors: Sequence[Projector]) -> int:
    """Copies the rows of every journal that lies beside `own`. Returns how many there were. Raises Unavailable.

    Reading disturbs no writer: also what a frozen process had written down is copied.
    """
    copied = 0
    for file in await asyncio.to_thread(lambda: sorted(own.parent.glob("*.sqlite"))):
        if file == own:
            continue
        try:
            journal = ForeignJournal(file)
        except (sqlite3.Error, KeyError, ValueError) as error:
            structlog.get_logger().info("journal_not_readable", file=file.name, reason=repr(error))
            continue
        flusher = Flusher(journal, database, projectors)
        while written := await flusher.flush_once():
            copied += written
            if written < BATCH:
                break
    return copied
