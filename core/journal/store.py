"""The journal's file: a small SQLite database of this process alone, in which facts are safe before anybody asks.

Synchronous and used from one thread at a time; `journal.py` owns that thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = tuple[int, dict[str, Any]]


class JournalFile:
    """Rows (seq, record) with seq rising from 1 for ever; `flushed` is the highest one known to stand in the database."""

    def __init__(self, path: Path, journal_id: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # FULL: a committed group of facts survives the power going out.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=2000"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("CREATE TABLE IF NOT EXISTS fact (seq INTEGER PRIMARY KEY, record TEXT NOT NULL)")
        self._db.execute("CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        self._db.execute("INSERT OR IGNORE INTO mark VALUES ('journal_id', ?)", (journal_id,))
        self._db.execute("INSERT OR IGNORE INTO mark VALUES ('flushed', '0')")

    @property
    def journal_id(self) -> str:
        """The id under which this file's rows are known in the database; it stays with the file."""
        return str(self._db.execute("SELECT value FROM mark WHERE name='journal_id'").fetchone()[0])

    def last_seq(self) -> int:
        newest = self._db.execute("SELECT max(seq) FROM fact").fetchone()[0]
        return max(int(newest or 0), self.flushed())

    def flushed(self) -> int:
        return int(self._db.execute("SELECT value FROM mark WHERE name='flushed'").fetchone()[0])

    def append(self, rows: Sequence[Row]) -> None:
        """One group, one sync to the disk."""
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO fact VALUES (?, ?)", [(seq, json.dumps(record, ensure_ascii=False)) for seq, record in rows]
        )
        self._db.execute("COMMIT")

    def after(self, seq: int, limit: int) -> list[Row]:
        return decode(self._db.execute("SELECT seq, record FROM fact WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit)))

    def forget_until(self, seq: int) -> None:
        """These rows stand in the database: their copies here go."""
        self._db.execute("BEGIN")
        self._db.execute("UPDATE mark SET value=? WHERE name='flushed'", (str(seq),))
        self._db.execute("DELETE FROM fact WHERE seq <= ?", (seq,))
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()


def decode(rows: Iterable[tuple[int, str]]) -> list[Row]:
    """Rows as they stand in the file → (seq, record)."""
    return [(seq, json.loads(record)) for seq, record in rows]
