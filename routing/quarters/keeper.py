"""Keeps the rows of past quarters of an hour: counted after each quarter, and anew where something was told late.

Decides from where on is counted; the counting is `routing/intervals.py`'s. Invariants: counted twice the rows are the same; what
is told late (an end, a wrap-up, a caller from a time when nobody of ours was there) finds its row; a row and the mark that
says what is in it are written in one transaction, so that two who count at once do not mix.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from core.clock import Clock
from core.db.engine import Database
from core.events import DomainEvent
from routing.intervals import LENGTH, AgentRow, QueueRow, agent_rows, interval_of, queue_rows
from routing.quarters import store
from routing.quarters.store import Mark

SETTLE_S = 20.0  # behind the end of a quarter: what was told in it is copied into the database by then
AGAIN_S = 60.0
FURTHEST = timedelta(days=14)
STEP = timedelta(days=1)  # so much is held in memory at once


class Keeper:
    """`run()` for ever; `count()` once, returns from where on rows were written (None: nothing to do)."""

    def __init__(self, database: Database, clock: Clock, zone: ZoneInfo) -> None:
        self._database, self._clock, self._zone = database, clock, zone

    async def run(self) -> None:
        while True:
            try:
                await self.count()
                pause_s = self._until_next_s()
            except Exception as error:  # calls wait for none of it
                structlog.get_logger().warning("quarters_not_counted", reason=f"{type(error).__name__}: {error}")
                pause_s = AGAIN_S
            await asyncio.sleep(pause_s)

    def _until_next_s(self) -> float:
        now = self._clock.now() - timedelta(seconds=SETTLE_S)
        return max(1.0, (interval_of(now, self._zone) + LENGTH - now).total_seconds())

    async def count(self) -> datetime | None:
        """Raises Unavailable."""
        edge = interval_of(self._clock.now() - timedelta(seconds=SETTLE_S), self._zone)
        async with self._database.read() as conn:
            before = await store.mark(conn)
            position = await store.newest_position(conn)
            since = await self._since(before, position, edge)
        if since is None:
            return None
        for begins, ends in steps(since, edge):
            if not await self._count(before, position, begins, ends, last=ends == edge):
                return None  # somebody else has
        return since

    async def _since(self, before: Mark | None, position: int, edge: datetime) -> datetime | None:
        async with self._database.read() as conn:
            news = await (
                store.touched(conn, before.position, position) if before is not None else store.earliest(conn)
            )
        if before is not None and before.until < edge:
            news = min(news or before.until, before.until)
        if news is None or news >= edge:
            return None
        return max(interval_of(news, self._zone), edge - FURTHEST)

    async def _count(self, before: Mark | None, position: int, begins: datetime, ends: datetime, *, last: bool) -> bool:
        async with self._database.read() as conn:
            events = await store.events_of(conn, begins, ends)
        queues, agents = await asyncio.to_thread(rows_of, events, self._zone, begins, ends)
        async with self._database.write() as conn:
            if last and not await store.move_mark(conn, before, Mark(position, ends)):
                return False
            await store.replace_rows(conn, begins, ends, queues, agents)
        return True


def steps(since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """[since, until) in pieces of a day at most."""
    count = -(-(until - since) // STEP)
    edges = [min(since + STEP * n, until) for n in range(count + 1)]
    return list(zip(edges, edges[1:], strict=False))


def rows_of(
    events: list[DomainEvent], zone: ZoneInfo, since: datetime, until: datetime
) -> tuple[list[QueueRow], list[AgentRow]]:
    """The rows of [since, until)."""
    told = [event for event in events if event.at < until]
    queues = [row for row in queue_rows(events, zone) if since <= row.since < until]
    return queues, [row for row in _agents(events, told, zone, until) if since <= row.since < until]


def _agents(events: list[DomainEvent], told: list[DomainEvent], zone: ZoneInfo, until: datetime) -> list[AgentRow]:
    """Whoever's state nobody ended had it until the end; after-call work is known later than its segment."""
    later = [event for event in events if event.at >= until and event.kind == "WrapUpEnded"]
    return agent_rows([*told, *later], zone, until)
