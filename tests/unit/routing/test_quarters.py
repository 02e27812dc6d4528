"""Rows of past quarters of an hour: counted once or often, in time or late, they say what the events say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.db.engine import Database
from core.db.outbox import write_events
from core.events import DomainEvent, to_record
from core.events import routing as told
from routing.intervals import LENGTH, agent_rows, queue_rows
from routing.pool import Pool
from routing.quarters import store
from routing.quarters.keeper import Keeper, steps
from routing.sim.made_day import MORNING, made_day
from tests.suites.core.place import Place
from tests.unit.core.conftest import newest_sqlite, place

__all__ = ["newest_sqlite", "place"]

ZONE = ZoneInfo("Asia/Shanghai")
Row = tuple[datetime, str, dict[str, Any]]


class Office:
    def __init__(self, place: Place, database: Database) -> None:
        self.place, self.database = place, database
        self.keeper = Keeper(database, place.clock, ZONE)
        self.written = 0

    async def write(self, events: Iterable[DomainEvent]) -> None:
        records = []
        for event in events:
            self.written += 1
            records.append((self.written, to_record(event)))
        async with self.database.write() as conn:
            await write_events(conn, "j", records)

    async def count_at(self, at: datetime) -> datetime | None:
        self.place.clock.jump((at - self.place.clock.now()).total_seconds())
        return await self.keeper.count()

    async def rows(self, table: Any = store.queue_table, key: str = "queue") -> list[Row]:
        async with self.database.read() as conn:
            return await store.rows(
                conn, table, key, MORNING - timedelta(days=30), MORNING + timedelta(days=30), limit=9999
            )

    async def agents(self) -> list[Row]:
        return await self.rows(store.agent_table, "extension")


async def opened(place: Place) -> Office:
    return Office(place, await place.open())


def whole(events: list[DomainEvent], until: datetime) -> tuple[list[Row], list[Row]]:
    queues = [
        (row.since, row.queue, store._figures(row, "queue")) for row in queue_rows(events, ZONE) if row.since < until
    ]
    agents = [
        (row.since, row.extension, store._figures(row, "extension"))
        for row in agent_rows(events, ZONE, until)
        if row.since < until
    ]
    return queues, agents


async def test_a_day_told_late_and_in_any_batches_has_the_rows_of_its_events_and_they_add_up(place: Place) -> None:
    office = await opened(place)
    events = made_day(Pool, seed=3, calls=250)[0]
    late = events[::7]
    in_time = [event for n, event in enumerate(events) if n % 7]
    since = MORNING - timedelta(days=1)
    for hour in (2, 5, 9, 13):
        until = MORNING + timedelta(hours=hour)
        await office.write(event for event in in_time if since <= event.at < until)
        await office.count_at(until + timedelta(minutes=1))
        since = until
    await office.write([*(event for event in in_time if event.at >= since), *late])
    end = MORNING + timedelta(hours=14)
    await office.count_at(end + timedelta(minutes=1))
    assert (await office.rows(), await office.agents()) == whole(events, end)
    sums = [sum(row[2][name] for row in await office.rows()) for name in ("offered", "answered", "abandoned")]
    came = {(e.interaction_id, e.queue) for e in events if isinstance(e, told.ItemQueued)}
    assert sums[0] == len(came)
    assert sums[1:] == [sum(isinstance(e, kind) for e in events) for kind in (told.OfferAccepted, told.ItemAbandoned)]


async def test_counted_again_nothing_is_different_and_nothing_is_written_without_news(place: Place) -> None:
    office = await opened(place)
    await office.write(made_day(Pool, seed=1, calls=60)[0])
    end = MORNING + timedelta(hours=14)
    assert await office.count_at(end + timedelta(minutes=1)) is not None
    first = await office.rows(), await office.agents()
    assert await office.count_at(end + timedelta(minutes=2)) is None
    async with office.database.write() as conn:
        await conn.execute(store.mark_table.delete())
    await office.count_at(end + timedelta(minutes=3))
    assert (await office.rows(), await office.agents()) == first


async def test_after_a_pause_all_quarters_are_made_up_for(place: Place) -> None:
    office = await opened(place)
    await office.write([told.AgentStateChanged(at=MORNING, extension="101", state="READY")])
    await office.count_at(MORNING + timedelta(minutes=16))
    assert len(await office.agents()) == 1
    await office.count_at(MORNING + timedelta(hours=3, minutes=1))
    rows = await office.agents()
    assert [row[0] for row in rows] == [MORNING + LENGTH * n for n in range(12)]
    assert {row[2]["ready_s"] for row in rows} == {900.0}


async def test_what_came_of_a_caller_is_put_where_they_came_however_late_it_is_told(place: Place) -> None:
    office, ix = await opened(place), {"interaction_id": "n1-1.1", "queue": "service"}
    came = MORNING + timedelta(minutes=14)
    await office.write([told.ItemQueued(at=came, enqueued_at=came, channel="c", **ix)])
    await office.count_at(MORNING + timedelta(minutes=16))
    assert [(row[2]["offered"], row[2]["overflowed"]) for row in await office.rows()] == [(1, 0)], "waits still"
    await office.write([told.ItemOverflowed(at=came + timedelta(hours=1), reason="timeout", to="voicemail", **ix)])
    await office.count_at(MORNING + timedelta(hours=2, minutes=1))
    assert [(row[0], row[2]["offered"], row[2]["overflowed"]) for row in await office.rows()] == [(MORNING, 1, 1)]


async def test_of_two_who_count_at_once_one_writes(place: Place) -> None:
    office = await opened(place)
    await office.write([told.AgentStateChanged(at=MORNING, extension="101", state="READY")])
    other = Keeper(office.database, place.clock, ZONE)
    place.clock.jump((MORNING + timedelta(minutes=16) - place.clock.now()).total_seconds())
    async with office.database.read() as conn:
        before, position = await store.mark(conn), await store.newest_position(conn)
    assert await office.keeper.count() == MORNING
    assert not await other._count(before, position, MORNING, MORNING + LENGTH, last=True)


def test_long_pauses_are_counted_a_day_at_a_time() -> None:
    begins = datetime(2026, 11, 1, tzinfo=UTC)
    pieces = steps(begins, begins + timedelta(days=2, hours=1))
    assert [ends - since for since, ends in pieces] == [timedelta(days=1), timedelta(days=1), timedelta(hours=1)]
    assert pieces[0][0] == begins and all(one[1] == two[0] for one, two in zip(pieces, pieces[1:], strict=False))
