"""B10: calls persisted per second, each with its whole timeline, beside bare sqlite3 that is handed the finished rows.

Ours: events of a real call (recorded from the demo) into the journal's synced file, from there by the flusher into the
database: the events, and the rows of call, offer, segment and recording that follow from them. Peer: `executemany` of the
very rows that came out, in transactions of the same size, into the same tables of another file. Promise: at least 0.5 of
the peer's rate, and nothing of it on the call's path: what `emit` takes, and how late the loop is while it is flushed,
beside a loop that has nothing to do. Not in the figure: the half second for which a batch gathers when nobody waits for it,
and the deleting of what the journal's file forgets a minute later.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from app.loop import run as run_loop
from app.server import collect_from_here_on
from bench.figures import Figure, at, figure, spread
from core.clock import SystemClock
from core.db import migrate
from core.db.engine import Database
from core.events import DomainEvent, from_record
from core.ids import new_id
from core.journal.flusher import BATCH, Flusher
from core.journal.journal import Journal
from pbx.store import InteractionProjector
from recordings.store import RecordingProjector
from routing.store import RoutingProjector

CALL = Path(__file__).with_name("one_call.json")
ROUNDS, CALLS = 7, 400
TABLES = ("event", "interaction", "offer", "segment", "recording")
LOOK_S = 0.002
EMIT_US, LAG_MS = 500.0, 100.0


def one_call(number: int) -> list[DomainEvent]:
    """The recorded call's events under ids of its own."""
    text = CALL.read_text(encoding="utf-8")
    for name, value in (("{IX}", f"n1-1.{number}"), ("{OFFER}", f"o{number}"), ("{RECORDING}", f"r{number}")):
        text = text.replace(name, value)
    return [from_record(record) for record in json.loads(text)]


class Lateness:
    """How late the loop wakes a sleeper, in ms, while the block runs."""

    def __init__(self) -> None:
        self.ms: list[float] = []

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        async def look() -> None:
            while True:
                due = time.perf_counter() + LOOK_S
                await asyncio.sleep(LOOK_S)
                self.ms.append(max(0.0, time.perf_counter() - due) * 1000)

        async with asyncio.TaskGroup() as group:
            looking = group.create_task(look())
            yield
            looking.cancel()


class Ours:
    """Journal, flusher and projections, as the controller joins them."""

    def __init__(self, journal: Journal, database: Database) -> None:
        self.journal = journal
        self.flusher = Flusher(journal, database, [InteractionProjector(), RoutingProjector(), RecordingProjector()])
        self.emit_us: list[float] = []
        self.late = Lateness()

    async def persist(self, calls: list[list[DomainEvent]]) -> float:
        """Calls per second, from the first event to the last row's commit."""
        async with self.late.watching():
            begun = time.perf_counter()
            for call in calls:
                for event in call:
                    before = time.perf_counter()
                    self.journal.emit(event)
                    self.emit_us.append((time.perf_counter() - before) * 1e6)
                await asyncio.sleep(0)
            await self.flusher.flushed_up_to(self.journal.last_seq)
            return len(calls) / (time.perf_counter() - begun)


class Rows:
    """The rows of calls in one database file, and how another takes them."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            self._db.execute(f"PRAGMA {pragma}")
        self._columns = {
            table: [row[1] for row in self._db.execute(f"PRAGMA table_info({table})") if row[1] != "position"]
            for table in TABLES
        }

    def of(self, numbers: range) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of these calls, as it stands there."""
        marks = ", ".join("?" * len(numbers))
        ids = [f"n1-1.{number}" for number in numbers]
        found = {}
        for table in TABLES:
            key = "id" if table == "interaction" else "interaction_id"
            select = f"SELECT {', '.join(self._columns[table])} FROM {table} WHERE {key} IN ({marks})"
            found[table] = self._db.execute(select, ids).fetchall()
        return found

    def put(self, batches: list[dict[str, list[tuple[Any, ...]]]]) -> float:
        """Seconds for inserting them, one transaction for each batch."""
        statements = {
            table: f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
            for table, names in self._columns.items()
        }
        begun = time.perf_counter()
        for batch in batches:
            self._db.execute("BEGIN IMMEDIATE")
            for table, rows in batch.items():
                self._db.executemany(statements[table], rows)
            self._db.execute("COMMIT")
        return time.perf_counter() - begun

    def close(self) -> None:
        self._db.close()


async def _run() -> list[Figure]:
    rates: list[float] = []
    peer: list[float] = []
    idle = Lateness()
    events = len(one_call(0))
    at_once = BATCH // events
    with tempfile.TemporaryDirectory(prefix="aftercall-b10-") as name:
        ours_file, peer_file = Path(name) / "ours.sqlite", Path(name) / "peer.sqlite"
        for file in (ours_file, peer_file):
            await migrate.migrate(f"sqlite:///{file}")
        database = await Database.open(f"sqlite:///{ours_file}", clock=SystemClock(), ids=new_id)
        journal = Journal(Path(name) / "journal.sqlite", "bench")
        gc.disable()
        gc.collect()
        collect_from_here_on()  # as the controller does
        ours, written, theirs = Ours(journal, database), Rows(ours_file), Rows(peer_file)
        try:
            async with asyncio.TaskGroup() as group:
                flushing = group.create_task(ours.flusher.run())
                for turn in range(ROUNDS + 1):
                    first = turn * CALLS
                    rate = await ours.persist([one_call(first + number) for number in range(CALLS)])
                    batches = [
                        written.of(range(start, min(start + at_once, first + CALLS)))
                        for start in range(first, first + CALLS, at_once)
                    ]
                    for table in TABLES:
                        assert sum(len(batch[table]) for batch in batches) >= CALLS, table
                    their_rate = CALLS / theirs.put(batches)
                    async with idle.watching():
                        await asyncio.sleep(0.2)
                    if turn:  # the first one warms up
                        rates.append(rate)
                        peer.append(their_rate)
                    else:
                        ours.emit_us.clear()
                        ours.late.ms.clear()
                flushing.cancel()
        finally:
            journal.close()
            written.close()
            theirs.close()
            await database.close()
    mine, bare, emit, late = statistics.median(rates), statistics.median(peer), ours.emit_us, ours.late.ms
    return [
        figure("B10", "calls_persisted_per_s", mine, bare, target="ratio >= 0.5", ok=mine >= 0.5 * bare,
               n=CALLS * ROUNDS, events_per_call=events, spread=spread(rates), peer_spread=spread(peer)),
        figure("B10", "emit_p99_us", at(emit, 99), None, target=f"<= {EMIT_US:g} us", ok=at(emit, 99) <= EMIT_US,
               n=len(emit), spread=spread(emit)),
        figure("B10", "loop_late_p99_ms", at(late, 99), at(idle.ms, 99), target=f"<= {LAG_MS:g} ms",
               ok=at(late, 99) <= LAG_MS, n=len(late), spread=spread(late), peer_spread=spread(idle.ms)),
    ]  # fmt: skip


def run() -> list[Figure]:
    """The figures of B10."""
    return run_loop(_run())
