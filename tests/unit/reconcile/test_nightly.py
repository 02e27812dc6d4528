"""At half past three of the house the books are compared; the outcome is an event, an alarm while anything differs, figures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.reconcile import nightly
from app.reconcile.nightly import Nightly, NotCompared, next_night
from core.clock import ManualClock
from core.db.outbox import write_events
from core.events import DomainEvent, to_record
from core.metrics import Metrics
from tests.suites.core.place import Place

SHANGHAI = ZoneInfo("Asia/Shanghai")
FUSE_S = 15


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "after", "due"),
    [
        ("Asia/Shanghai", "2026-11-24T09:00", "2026-11-24T19:30"),
        ("Asia/Shanghai", "2026-11-24T19:29:59", "2026-11-24T19:30"),
        ("Asia/Shanghai", "2026-11-24T19:30", "2026-11-25T19:30"),
        (
            "Europe/Berlin",
            "2026-10-24T12:00",
            "2026-10-25T02:30",
        ),  # the clock was set back at 3: it is half past three once
        ("Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:30"),  # and on from 2 to 3
        ("Europe/Helsinki", "2026-03-28T12:00", "2026-03-29T01:30"),  # from 3 to 4: half past three does not come
        ("Europe/Helsinki", "2026-03-29T01:30", "2026-03-30T00:30"),
        ("Europe/Helsinki", "2026-10-24T12:00", "2026-10-25T00:30"),  # from 4 to 3: it comes twice, the first counts
        ("Europe/Helsinki", "2026-10-25T00:30", "2026-10-26T01:30"),
    ],
)
def test_the_next_night_of_a_house(zone: str, after: str, due: str) -> None:
    assert next_night(utc(after), ZoneInfo(zone)) == utc(due)


@given(
    st.integers(0, 2 * 365 * 1440).map(lambda minutes: utc("2026-01-01T00:00") + timedelta(minutes=minutes)),
    st.sampled_from(["Asia/Shanghai", "Europe/Helsinki", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_every_day_has_one_night(after: datetime, zone: str) -> None:
    due = next_night(after, ZoneInfo(zone))
    assert after < due <= after + timedelta(hours=26)
    assert (next_night(due, ZoneInfo(zone)) - due) > timedelta(hours=22)


class WatchedClock(ManualClock):
    """Counts how often it is looked at."""

    looks = 0

    def now(self) -> datetime:
        self.looks += 1
        return super().now()


class Nights:
    """A house whose nights come when the test moves the clock; what `compare` answers is given."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.clock = WatchedClock(utc("2026-11-24T09:00"))
        self.events: list[DomainEvent] = []
        self.asked: list[datetime] = []
        self.answer: Any = 0
        self.metrics = Metrics()

    def emit(self, event: DomainEvent) -> None:
        self.events.append(event)

    async def compare(self, since: datetime) -> dict[str, Any]:
        self.asked.append(since)
        if isinstance(self.answer, Exception):
            raise self.answer
        return {
            "since": since.isoformat(), "until": (self.clock.now() - timedelta(seconds=30)).isoformat(), "calls": 7,
            "recordings": 3, "differences": self.answer, "mended": 1,
            "kinds": {"end_differs": self.answer} if self.answer else {},
        }  # fmt: skip

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        nights = Nightly(
            database=await self.place.open(), events=self, clock=self.clock, zone=SHANGHAI, metrics=self.metrics,
            compare=self.compare,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            task = group.create_task(nights.run())
            await self.looked()
            try:
                yield
            finally:
                task.cancel()

    async def looked(self) -> None:
        """Returns when it has looked at the clock a few times more: what is due by now has begun."""
        before = self.clock.looks
        async with asyncio.timeout(FUSE_S):
            while self.clock.looks < before + 6:
                await asyncio.sleep(0.002)

    async def until_asked(self, times: int) -> None:
        async with asyncio.timeout(FUSE_S):
            while len(self.asked) < times:
                await asyncio.sleep(0.002)
        await self.looked()

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    async def remember(self) -> None:
        """What was emitted stands in the database, as for the next owner."""
        database = await self.place.open()
        async with database.write() as conn:
            await write_events(
                conn, f"j{len(self.asked)}", [(n, to_record(event)) for n, event in enumerate(self.events, 1)]
            )
        self.events.clear()


@pytest.fixture
def nights(place: Place, monkeypatch: pytest.MonkeyPatch) -> Nights:
    monkeypatch.setattr(nightly, "LOOK_S", 0.002)
    return Nights(place)


async def test_nothing_is_compared_before_the_night_and_then_once(nights: Nights) -> None:
    async with nights.running():
        nights.clock.jump(10 * 3600)  # 03:00 in Shanghai
        await nights.looked()
        assert nights.asked == []
        nights.clock.jump(1801)
        await nights.until_asked(1)
        await nights.looked()
    assert nights.asked == [nights.clock.now() - timedelta(days=1)]
    (told,) = nights.events
    assert to_record(told) | {"kind": "CallsReconciled", "calls": 7, "differences": 0, "repaired": 1} == to_record(told)


async def test_the_alarm_stands_while_anything_differs_and_goes_the_night_nothing_does(nights: Nights) -> None:
    nights.answer = 2
    async with nights.running():
        nights.clock.jump(86_400)
        await nights.until_asked(1)
        assert nights.kinds() == ["CallsReconciled", "AlertRaised"]
        raised = nights.events[1]
        assert raised.what == "reconcile" and "2 × end differs" in raised.message  # type: ignore[attr-defined]
        assert b"aftercall_reconcile_differences 2.0" in nights.metrics.render()
        nights.answer = 0
        nights.clock.jump(86_400)
        await nights.until_asked(2)
    assert nights.kinds()[2:] == ["CallsReconciled", "AlertCleared"]
    assert b"aftercall_reconcile_differences 0.0" in nights.metrics.render()
    assert nights.asked[1] == nights.events[0].until, "the second night begins where the first ended"  # type: ignore[attr-defined]


async def test_a_night_that_cannot_be_compared_is_an_alarm_and_tried_again_after_an_hour(nights: Nights) -> None:
    for nights.answer in (NotCompared("there is no database"), OSError("no such program"), KeyError("calls")):
        nights.asked.clear()
        nights.events.clear()
        async with nights.running():
            nights.clock.jump(86_400)
            await nights.until_asked(1)
            assert nights.kinds() == ["AlertRaised"] and len(nights.asked) == 1
            nights.answer = 0
            nights.clock.jump(3601)
            await nights.until_asked(2)
        assert nights.kinds() == ["AlertRaised", "CallsReconciled", "AlertCleared"]


async def test_a_night_that_nobody_was_there_for_is_made_up_for_by_the_next_owner(nights: Nights) -> None:
    async with nights.running():
        nights.clock.jump(86_400)
        await nights.until_asked(1)
    until = nights.events[0].until  # type: ignore[attr-defined]
    await nights.remember()
    nights.clock.jump(3 * 86_400)
    async with nights.running():
        await nights.until_asked(2)
    assert nights.asked[1] == until
    await nights.remember()
    nights.clock.jump(60 * 86_400)
    async with nights.running():
        assert len(nights.asked) == 2, "no book goes back so far: it begins anew"
        nights.clock.jump(86_400)
        await nights.until_asked(3)
    assert nights.asked[2] == nights.clock.now() - timedelta(days=1)


async def test_the_next_owner_raises_the_alarm_that_stood(nights: Nights) -> None:
    nights.answer = 5
    async with nights.running():
        nights.clock.jump(86_400)
        await nights.until_asked(1)
    await nights.remember()
    async with nights.running():
        await nights.looked()
        assert nights.kinds() == ["AlertRaised"] and len(nights.asked) == 1
        nights.answer = 0
        nights.clock.jump(86_400)
        await nights.until_asked(2)
    assert nights.kinds()[-1] == "AlertCleared"


async def test_a_clock_that_was_a_week_ahead_costs_no_night(nights: Nights) -> None:
    nights.clock.jump(7 * 86_400)
    async with nights.running():
        await nights.looked()
        nights.clock.jump(-7 * 86_400)
        await nights.looked()
        nights.clock.jump(86_400)
        await nights.until_asked(1)
