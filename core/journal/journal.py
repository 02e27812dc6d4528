"""Facts of the telephone, written down without anybody waiting: `emit` puts them in memory, a thread syncs them in groups.

Does not reach the database; `flusher.py` does. Invariants: order of emission is order of sequence; a fact that was synced
survives a kill and a power cut; at most `bound` facts wait for the database and `memory_bound` for the disk (then the newest
are refused, counted and told: an alarm, never silence); `emit` neither blocks nor raises (`written` waits); what a fact
says is fixed when it is emitted; no fault of the disk and no odd fact ends the thread. One process, and in it one loop, emits.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TypeVar

import structlog

from core.events import DomainEvent, to_text
from core.journal.store import Fact, JournalFile, Line

GROUP_S = 0.01  # after a group: the first fact of the next is written at once, it may be the last before a kill
GROUP_MOST = 5000
RETRY_S = 0.5
CLOSE_S = 2.0
STUCK_S = 5.0
BOUND = 500_000
MEMORY_BOUND = 100_000
AT_HAND = 20_000  # the newest facts, kept in memory until they stand in the database: nobody reads the file as a rule
KEEP_S = 60.0
_Answer = TypeVar("_Answer")


class Journal:
    """`Journal(path, journal_id)`, then `emit`; `close()` syncs what is left. `fault`: why nothing can be written now."""

    def __init__(self, path: Path, journal_id: str, *, bound: int = BOUND, memory_bound: int = MEMORY_BOUND) -> None:
        self._file = _opened(path, journal_id)
        self.journal_id = self._file.journal_id
        self._seq = self._file.last_seq()
        self.synced = self._seq
        self.flushed = self._file.flushed()
        self.refused = 0
        self.fault = ""
        self.on_sync: list[Callable[[], None]] = []  # called from the writer's thread
        self._bound = bound
        self._memory_bound = memory_bound
        self._refusing = ""
        self._waiting: deque[Line] = deque()
        self._at_hand: deque[Fact] = deque(maxlen=AT_HAND)
        self._stands: deque[tuple[float, int]] = deque()  # (when, up to which) it was known to stand in the database
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
        if reason := self._full():
            self._refuse(reason, event)
            return
        try:
            text = to_text(event)
        except (TypeError, ValueError, RecursionError) as error:
            self._refuse(f"it cannot be written as JSON: {error}", event)
            return
        self._refusing = ""
        self._seq += 1
        self._waiting.append((self._seq, text))
        self._at_hand.append(Fact(self._seq, text, event))
        if not self._news.is_set():  # the writer clears it before it looks
            self._news.set()

    async def written(self, within_s: float) -> None:
        """Waits until what was emitted so far survives a kill: for what must never be done twice. Raises TimeoutError."""
        seq, loop, news = self._seq, asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            loop.call_soon_threadsafe(news.set)

        self.on_sync.append(tell)
        try:
            async with asyncio.timeout(within_s):
                while self.synced < seq:
                    await news.wait()
                    news.clear()
        finally:
            self.on_sync.remove(tell)

    def _full(self) -> str:
        if self._stop:
            return "the journal is closed"
        if self._seq - self.flushed >= self._bound:
            return f"{self._bound} facts wait for the database"
        if self._seq - self.synced >= self._memory_bound:
            return f"{self._memory_bound} facts wait for the disk"
        return ""

    def _refuse(self, reason: str, event: DomainEvent) -> None:
        """Counts each, tells the first of a row."""
        self.refused += 1
        if reason != self._refusing:
            self._refusing = reason
            structlog.get_logger().error("fact_refused", reason=reason, kind=event.kind, refused=self.refused)

    def _write(self) -> None:
        """The writer's thread: one group, one sync. A full or broken disk is told and tried again."""
        group: list[Line] = []
        while True:
            self._news.wait()
            self._news.clear()
            while self._waiting or group:
                for _ in range(min(len(self._waiting), GROUP_MOST - len(group))):  # not what is told meanwhile
                    group.append(self._waiting.popleft())
                if self._synced(group):
                    group = []
                elif self._stop:
                    return
                else:
                    threading.Event().wait(RETRY_S)
            if self._stop:
                return
            time.sleep(GROUP_S)

    def _synced(self, group: list[Line]) -> bool:
        try:
            with self._lock:
                self._file.append(group)
        except sqlite3.Error as error:
            if not self.fault:
                structlog.get_logger().error("journal_write_failed", reason=str(error), waiting=len(group))
            self.fault = str(error)
            return False
        if self.fault:
            structlog.get_logger().info("journal_writes_again", written=len(group))
        self.fault = ""
        self.synced = group[-1][0]
        for call in list(self.on_sync):
            try:
                call()
            except RuntimeError as error:  # a loop that has been closed meanwhile
                structlog.get_logger().warning("journal_listener_gone", reason=str(error))
        return True

    async def read(self, after: int, limit: int) -> list[Fact]:
        """Synced facts behind `after` that are not known to stand in the database. Raises sqlite3.Error."""
        after = max(after, self.flushed)
        if (facts := self.at_hand(after, limit)) is not None:
            return facts
        return await asyncio.to_thread(self._locked, lambda: self._file.after(after, limit))

    def at_hand(self, after: int, limit: int) -> list[Fact] | None:
        """`read`, out of memory; None when the oldest of them are in the file alone."""
        held = self._at_hand
        if not held or held[0].seq > after + 1:
            return None
        start = after + 1 - held[0].seq
        return list(islice(held, start, max(start, min(start + limit, self.synced - held[0].seq + 1))))

    async def forget_until(self, seq: int) -> None:
        """They stand in the database. The file forgets them with a later group, and not before a minute is over: the
        database does not sync each commit, and what the power takes from it is then still here."""
        self.flushed = seq
        while self._at_hand and self._at_hand[0].seq <= seq:
            self._at_hand.popleft()
        now = time.monotonic()
        self._stands.append((now, seq))
        while self._stands[0][0] < now - KEEP_S:
            self._file.to_forget = self._stands.popleft()[1]

    def _locked(self, act: Callable[[], _Answer]) -> _Answer:
        if not self._lock.acquire(timeout=STUCK_S):
            raise sqlite3.OperationalError("the disk does not answer")
        try:
            return act()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Syncs what is left (in at most 2 s) and closes the file. What could not be synced is told."""
        self._stop = True
        self._news.set()
        self._thread.join(CLOSE_S)
        if self._seq > self.synced:
            structlog.get_logger().error(
                "journal_closed_with_facts_lost", lost=self._seq - self.synced, reason=self.fault
            )
        if self._lock.acquire(timeout=CLOSE_S):  # else the disk hangs, and the file closes when the process ends
            with contextlib.suppress(sqlite3.Error):  # else the next life hears it from the database
                self._file.forget_until(self.flushed)
            self._file.close()
            self._lock.release()


def _opened(path: Path, journal_id: str) -> JournalFile:
    """A file that is no journal any more is put beside, told, and begun anew: calls go on. Raises JournalInUse."""
    try:
        return JournalFile(path, journal_id)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        number = 1
        while (beside := path.with_name(f"{path.name}.damaged-{number}")).exists():
            number += 1
        structlog.get_logger().error("journal_damaged", reason=str(error), put_beside=str(beside))
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + end).rename(beside.with_name(beside.name + end))
        return JournalFile(path, journal_id)
