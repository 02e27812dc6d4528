"""The journal's file: a small SQLite database of this process alone, in which facts are safe before anybody asks.

Synchronous and used from one thread at a time; `journal.py` owns that thread. Invariants: a group is in it whole or not at
all; no second process can write it while we have it, so that no sequence is given out twice; others may
read it, also while we stand still (a standby copies what a frozen owner had written down).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from core.db.bundles import in_bundles
from core.errors import AftercallError
from core.events import DomainEvent

Line = tuple[int, str]  # seq, the record as JSON
BUSY_MS = 2000


class Fact(NamedTuple):
    """A fact with its sequence and its text as it was written down; `event` where it is still at hand as it was told."""

    seq: int
    text: str
    event: DomainEvent | None = None


class JournalInUse(AftercallError):
    """Another process writes this journal."""

    def __init__(self, path: Path) -> None:
        super().__init__("core:journal-in-use", f"Another process writes the journal {path}.", status=503)


class JournalFile:
    """Rows (seq, record) with seq rising from 1 for ever; `flushed` is the highest one known here to stand in the database;
    `to_forget` is one of which that has become known since, to be noted with the next group.

    Raises JournalInUse, or what SQLite says when the file cannot be used.
    """

    def __init__(self, path: Path, journal_id: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.to_forget = 0
        self._lock = _locked(path)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            # FULL: a committed group of facts survives the power going out.
            for pragma in (f"busy_timeout={BUSY_MS}", "journal_mode=WAL", "synchronous=FULL"):
                self._db.execute(f"PRAGMA {pragma}")
            with self._whole():
                self._db.execute("CREATE TABLE IF NOT EXISTS fact (seq INTEGER PRIMARY KEY, record TEXT NOT NULL)")
                self._db.execute("CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
                self._db.execute("INSERT OR IGNORE INTO mark VALUES ('journal_id', ?)", (journal_id,))
                self._db.execute("INSERT OR IGNORE INTO mark VALUES ('flushed', '0')")
        except sqlite3.DatabaseError as error:
            self.close()
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise JournalInUse(path) from error
            raise

    @property
    def journal_id(self) -> str:
        """The id under which this file's rows are known in the database; it stays with the file."""
        return str(self._db.execute("SELECT value FROM mark WHERE name='journal_id'").fetchone()[0])

    def last_seq(self) -> int:
        newest = self._db.execute("SELECT max(seq) FROM fact").fetchone()[0]
        return max(int(newest or 0), self.flushed())

    def flushed(self) -> int:
        return int(self._db.execute("SELECT value FROM mark WHERE name='flushed'").fetchone()[0])

    def append(self, lines: Sequence[Line]) -> None:
        """One group, one sync to the disk; lines that are there already (a commit whose answer was lost) stay as they are."""
        with self._whole():
            for statement, values in in_bundles("INSERT OR IGNORE INTO fact", "(?, ?)", lines):
                self._db.executemany(statement, values)
            self._forget()

    def after(self, seq: int, limit: int) -> list[Fact]:
        return facts(self._db.execute(AFTER, (seq, limit)))

    def forget_until(self, seq: int) -> None:
        """These rows stand in the database: their copies here go."""
        self.to_forget = max(seq, self.to_forget)
        with self._whole():
            self._forget()

    def _forget(self) -> None:
        seq, self.to_forget = self.to_forget, 0
        if seq:
            self._db.execute("UPDATE mark SET value=? WHERE name='flushed'", (str(seq),))
            self._db.execute("DELETE FROM fact WHERE seq <= ?", (seq,))

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """A transaction that is over afterwards in any case: one left open would refuse every later one."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._db.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


AFTER = "SELECT seq, record FROM fact WHERE seq > ? ORDER BY seq LIMIT ?"


def facts(rows: Iterable[Line]) -> list[Fact]:
    """Rows as they stand in the file."""
    return [Fact(*row) for row in rows]


def _locked(path: Path) -> int:
    """The descriptor of a lock beside the file, held until it is closed or we die. Raises JournalInUse."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise JournalInUse(path) from error
    return descriptor
