"""Every night at half past three of the house: our calls are compared with the switch's own book, by a process of its own.

Decides when, and what is told of the outcome: an event, an alarm while anything differs, figures. The comparison itself is
`aftercall reconcile`, niced, so that reading a day's calls and sound keeps no caller waiting. Invariants: a night that was
missed is made up for; one that could not be compared is an alarm, too, and tried again; the clock may jump.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from shutil import which
from typing import Any

import structlog
from sqlalchemy import select

from app.world.children import dies_with_us
from core.clock import Clock
from core.db.engine import Database
from core.db.outbox import event_table
from core.errors import AftercallError, Unavailable
from core.events import from_record
from core.events.orders import AlertCleared, AlertRaised
from core.events.pbx import CallsReconciled
from core.events.stream import EventSink
from core.metrics import Metrics

AT = time(3, 30)
ALARM = "reconcile"
LOOK_S = 60.0
AGAIN = timedelta(hours=1)
DAY = timedelta(days=1)
LONGEST = timedelta(days=14)  # of the book, so much is kept
NIGHT_S = 4 * 3600.0
MOST_LOGGED = 100
Compare = Callable[[datetime], Awaitable[dict[str, Any]]]
"""Compares since a moment and mends; returns the summary as `aftercall reconcile --json` tells it last."""


class NotCompared(AftercallError):
    def __init__(self, why: str) -> None:
        super().__init__("reconcile:not-compared", why, status=500)


def next_night(after: datetime, zone: tzinfo) -> datetime:
    """The first half past three behind `after`, in UTC. Where a clock change skips it, an hour's change later."""
    day = after.astimezone(zone).date()
    while True:
        due = datetime.combine(day, AT, zone).astimezone(UTC)
        if due > after:
            return due
        day += timedelta(days=1)


class Nightly:
    """`run()` for ever, for whoever owns the queues."""

    def __init__(
        self, *, database: Database, events: EventSink, clock: Clock, zone: tzinfo, metrics: Metrics, compare: Compare
    ) -> None:
        self._database, self._events, self._clock, self._zone = database, events, clock, zone
        self._compare = compare
        self._alarmed = False
        self._differences = metrics.gauge("reconcile_differences", "Differences that the last night left")
        self._when = metrics.gauge(
            "reconcile_last_seconds", "When the last night's comparison ended, seconds since 1970"
        )

    async def run(self) -> None:
        last = await self._last()
        if last is not None:
            self._tell(last)
        since = last.until if last is not None else None
        due = next_night(since or self._clock.now(), self._zone)
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._clock.now()
            if now < due:
                due = min(due, next_night(now, self._zone))  # a clock that was ahead was set back
                continue
            try:
                since = (await self.night(max(since or now - DAY, now - LONGEST))).until
                due = next_night(self._clock.now(), self._zone)
            except Exception as error:  # whatever it is: an alarm, and calls go on
                why = str(error) or type(error).__name__
                structlog.get_logger().error("not_reconciled", reason=why)
                self._raise(f"Calls go on; the last night could not be compared with the switch's own book: {why}")
                due = now + AGAIN

    async def night(self, since: datetime) -> CallsReconciled:
        """One comparison, and what is told of it. Raises NotCompared, OSError, TimeoutError."""
        told = await self._compare(since)
        outcome = CallsReconciled(
            at=self._clock.now(), since=datetime.fromisoformat(told["since"]), until=datetime.fromisoformat(told["until"]),
            calls=told["calls"], recordings=told["recordings"], differences=told["differences"], repaired=told["mended"],
            kinds=told["kinds"],
        )  # fmt: skip
        self._events.emit(outcome)
        self._tell(outcome)
        structlog.get_logger().info("reconciled", differences=outcome.differences, repaired=outcome.repaired)
        return outcome

    def _tell(self, outcome: CallsReconciled) -> None:
        """The figures, and the alarm, as they stand after this comparison."""
        self._differences.set(outcome.differences)
        self._when.set(outcome.at.timestamp())
        if outcome.differences:
            kinds = ", ".join(f"{count} × {kind.replace('_', ' ')}" for kind, count in sorted(outcome.kinds.items()))
            how = f"aftercall reconcile --since {outcome.since.isoformat(timespec='minutes')}"
            self._raise(
                f"Calls go on; the records of some may be wrong: {outcome.differences} differences from the switch's own"
                f" book and the recordings' files ({kinds}). `{how}` lists them."
            )
        elif self._alarmed:
            self._alarmed = False
            self._events.emit(AlertCleared(at=self._clock.now(), what=ALARM))

    def _raise(self, message: str) -> None:
        self._alarmed = True
        self._events.emit(AlertRaised(at=self._clock.now(), what=ALARM, message=message))

    async def _last(self) -> CallsReconciled | None:
        """The newest comparison that was told; waits for a database that is away."""
        e = event_table.c
        newest = select(e.body).where(
            e.interaction_id == "", e.at >= self._clock.now() - LONGEST, e.kind == CallsReconciled.kind
        )
        while True:
            with contextlib.suppress(Unavailable):
                async with self._database.read() as conn:
                    body = (await conn.execute(newest.order_by(e.at.desc()).limit(1))).scalar()
                event = from_record(body) if body else None
                return event if isinstance(event, CallsReconciled) else None
            await asyncio.sleep(LOOK_S)


def arguments(home: Path, since: datetime) -> list[str]:
    """The night's command line."""
    return ["reconcile", "--home", str(home), "--since", since.isoformat(), "--json", "--repair", "--rotate"]


def in_a_process(home: Path) -> Compare:
    """`aftercall reconcile --repair --rotate` for this home, as a child that ends with us and stands back for calls."""

    async def compare(since: datetime) -> dict[str, Any]:
        nice = [which("nice") or "/usr/bin/nice", "-n", "19"]
        command = dies_with_us([*nice, sys.executable, "-m", "app.cli", *arguments(home, since)])
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True, limit=1024 * 1024,
        )  # fmt: skip
        try:
            async with asyncio.timeout(NIGHT_S), asyncio.TaskGroup() as group:
                assert process.stdout is not None and process.stderr is not None
                complaint = group.create_task(process.stderr.read())
                told = group.create_task(_read(process.stdout))
                status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status not in (0, 1) or told.result() is None:
            raise NotCompared(complaint.result().decode("utf-8", "replace").strip()[-300:] or f"exit status {status}")
        return told.result() or {}

    return compare


async def _read(lines: asyncio.StreamReader) -> dict[str, Any] | None:
    """Every difference goes into the log (the first hundred); the last line sums up."""
    last: dict[str, Any] | None = None
    logged = 0
    async for line in lines:
        with contextlib.suppress(ValueError):
            last = json.loads(line)
        if last and last["kind"] != "summary" and logged < MOST_LOGGED:
            logged += 1
            structlog.get_logger().warning("reconcile_difference", **last)
    return last if last and last["kind"] == "summary" else None
