"""Facts of the telephone, written down without anybody waiting: `emit` puts them in memory, a thread syncs them in groups.

Does not reach the database; `flusher.py` does. Invariants: order of emission is order of sequence; a fact that was synced
survives a kill and a power cut; at most `bound` facts wait (then the newest are refused and counted: an alarm, never silence);
`emit` neither blocks nor raises.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from core.events import DomainEvent, to_record
from core.journal.store import JournalFile, Row

GROUP_S = 0.01
BOUND = 500_000


class Journal:
    """`Journal(path, journal_id)`, then `emit`; `close()` syncs what is left."""

    def __init__(self, path: Path, journal_id: str, *, bound: int = BOUND) -> None:
        self._file = JournalFile(path, journal_id)
        self.journal_id = self._file.journal_id
        self._seq = self._file.last_seq()
        self.synced = self._seq
        self.flushed = self._file.flushed()
        self.refused = 0
        self.fault = ""
        self.on_sync: list[Callable[[], None]] = []  # called from the writer's thread
        self._bound = bound
        self._waiting: deque[Row] = deque()
        self._lock = threading.Lock()  # the file is used by the writer's thread and by the flusher's
        self._news = threading.Event()
        self._stop = False
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    @property
    def last_seq(self) -> int:
        """The sequence of the newest fact taken."""
        return self._seq

    @property
    def behind(self) -> int:
        """Facts taken that do not stand in the database yet."""
        return self._seq - self.flushed

    def emit(self, event: DomainEvent) -> None:
        if self.behind >= self._bound:
            self.refused += 1
            return
        self._seq += 1
        self._waiting.append((self._seq, to_record(event)))
        self._news.set()

    def _write(self) -> None:
        """The writer's thread: one group, one sync. A full or broken disk is told and tried again."""
        while True:
            self._news.wait()
            self._news.clear()
            group = list(self._waiting)
            if group:
                try:
                    with self._lock:
                        self._file.append(group)
                except sqlite3.Error as error:
                    if not self.fault:
                        structlog.get_logger().error("journal_write_failed", reason=str(error), waiting=len(group))
                    self.fault = str(error)
                    if self._stop:
                        return
                    threading.Event().wait(0.5)
                    self._news.set()
                    continue
                for _ in group:
                    self._waiting.popleft()
                self.fault = ""
                self.synced = group[-1][0]
                for call in self.on_sync:
                    call()
            if self._stop and not self._waiting:
                return
            threading.Event().wait(GROUP_S)

    async def read(self, after: int, limit: int) -> list[Row]:
        """Synced rows behind `after`."""
        return await asyncio.to_thread(self._locked, lambda: self._file.after(after, limit))

    async def forget_until(self, seq: int) -> None:
        await asyncio.to_thread(self._locked, lambda: self._file.forget_until(seq))
        self.flushed = seq

    def _locked(self, act: Callable[[], list[Row] | None]) -> list[Row]:
        with self._lock:
            return act() or []

    def close(self) -> None:
        """Syncs what is left (in at most 2 s) and closes the file."""
        self._stop = True
        self._news.set()
        self._thread.join(2.0)
        with self._lock:
            self._file.close()
