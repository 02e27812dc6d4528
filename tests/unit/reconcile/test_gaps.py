"""After a time when nobody heard the switch, the owner reads in its book what happened, and tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app.reconcile.gaps import Gaps
from core.errors import Unavailable
from core.events.pbx import CallEnded, SwitchLinkChanged
from core.events.stream import EventStream
from core.metrics import Metrics
from pbx.cel import calls_in
from pbx.store import interaction_table
from tests.suites.core.place import Place
from tests.unit.reconcile.desk import PROJECTORS, Desk, at, lines_of, told_of, unseen, without

FUSE_S = 15


class Owner:
    """The part of an owner that hears of gaps, with a stream to tell it by."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.stream, self.metrics = desk, EventStream(), Metrics()
        self.flushed = 0
        self.before_flush: Callable[[], Awaitable[None]] | None = None

    async def _flush(self) -> None:
        self.flushed += 1
        if self.before_flush is not None:
            await self.before_flush()

    @asynccontextmanager
    async def running(self, look_for: str) -> AsyncIterator[None]:
        """`look_for`: ends or calls; the other comes too late for any test."""
        gaps = Gaps(
            database=self.desk.database, projectors=PROJECTORS, places=self.desk.places, stream=self.stream,
            flushed=self._flush, metrics=self.metrics, wait_s=0.0 if look_for == "ends" else 3600.0,
            late_s=0.0 if look_for == "calls" else 3600.0, again_s=0.0,
        )  # fmt: skip
        await gaps.begin()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(gaps.run())
            try:
                yield
            finally:
                task.cancel()

    def link(self, up: bool) -> None:
        self.stream.emit(SwitchLinkChanged(at=self.desk.place.clock.now(), node="n1", up=up))

    async def reason(self, interaction_id: str, wanted: str) -> None:
        async with asyncio.timeout(FUSE_S):
            while (await self.desk.row(interaction_id))["end_reason"] != wanted:
                await asyncio.sleep(0.01)

    async def looked(self, times: int) -> None:
        async with asyncio.timeout(FUSE_S):
            while self.flushed < times:
                await asyncio.sleep(0.005)


@pytest.fixture
async def owner(place: Place, tmp_path: Path) -> Owner:
    desk = await Desk.open(place, tmp_path)
    first = told_of("agent_hangs_up")[0].at
    place.clock.jump((first + timedelta(minutes=10) - place.clock.now()).total_seconds())
    return Owner(desk)


async def test_a_call_that_ended_in_a_takeover_is_told_as_the_switch_saw_it(owner: Owner) -> None:
    owner.desk.write(*lines_of("agent_hangs_up"))
    late = unseen(told_of("agent_hangs_up"))
    await owner.desk.tell(*late)
    async with owner.running("ends"):
        owner.stream.emit(next(event for event in late if isinstance(event, CallEnded)))
        await owner.reason(late[0].interaction_id, "agent_hangup")
    assert b"aftercall_calls_mended_total 1.0" in owner.metrics.render()


async def test_what_the_book_has_not_yet_is_mended_at_the_next_look(owner: Owner) -> None:
    late = unseen(told_of("agent_hangs_up"))
    await owner.desk.tell(*late)
    ended = next(event for event in late if isinstance(event, CallEnded))
    async with owner.running("ends"):
        owner.stream.emit(ended)
        await owner.looked(1)
        assert (await owner.desk.row(ended.interaction_id))["end_reason"] == "unseen"
        owner.desk.write(*lines_of("agent_hangs_up"))
        owner.stream.emit(ended)
        await owner.reason(ended.interaction_id, "agent_hangup")


async def test_a_call_that_came_and_went_without_us_is_told_when_the_link_is_back(owner: Owner) -> None:
    await owner.desk.play("agent_hangs_up")
    async with owner.running("calls"):
        owner.link(up=False)
        owner.desk.write(*lines_of("caller_hangs_up"))
        owner.link(up=True)
        (missed,) = calls_in(owner.desk.places.new_book(), lines_of("caller_hangs_up"))
        async with asyncio.timeout(FUSE_S):
            while await owner.desk.place.count(interaction_table) < 2:
                await asyncio.sleep(0.01)
    assert (await owner.desk.row(missed.id))["end_reason"] == "caller_hangup"


async def test_a_call_that_came_and_went_between_two_owners_is_told_by_the_second(owner: Owner) -> None:
    await owner.desk.play("agent_hangs_up")
    owner.desk.write(*lines_of("caller_hangs_up"))
    async with owner.running("calls"):
        owner.link(up=True)
        async with asyncio.timeout(FUSE_S):
            while await owner.desk.place.count(interaction_table) < 2:
                await asyncio.sleep(0.01)


async def test_an_end_that_nobody_told_is_told_as_a_correction(owner: Owner) -> None:
    """The facts of a frozen process came late, when its successor had listed the calls that are up."""
    await owner.desk.play("agent_hangs_up")
    owner.desk.write(*lines_of("caller_hangs_up"))
    events = without(told_of("caller_hangs_up"), "CallEnded")
    await owner.desk.tell(*events)
    async with owner.running("calls"):
        owner.link(up=True)
        await owner.reason(events[0].interaction_id, "caller_hangup")


async def test_a_link_that_breaks_again_while_we_look_is_a_gap_of_its_own(owner: Owner) -> None:
    await owner.desk.play("agent_hangs_up")

    async def breaks() -> None:
        owner.before_flush = None
        owner.link(up=False)
        owner.desk.write(*lines_of("caller_hangs_up"))

    owner.before_flush = breaks
    async with owner.running("calls"):
        owner.link(up=True)
        await owner.looked(1)
        owner.link(up=True)
        async with asyncio.timeout(FUSE_S):
            while await owner.desk.place.count(interaction_table) < 2:
                await asyncio.sleep(0.01)


async def test_what_was_heard_and_is_still_being_copied_is_not_told_twice(owner: Owner) -> None:
    owner.desk.write(*lines_of("caller_hangs_up"))

    async def copy() -> None:
        owner.before_flush = None
        await owner.desk.tell(*told_of("caller_hangs_up"))

    owner.before_flush = copy
    await owner.desk.play("agent_hangs_up")
    async with owner.running("calls"):
        owner.link(up=True)
        await owner.looked(1)
        owner.link(up=False)
        owner.link(up=True)
        await owner.looked(2)  # so that the first look is over
    kinds = [event.kind for event in told_of("caller_hangs_up")]
    assert kinds.count("CallArrived") == 1
    assert await owner.desk.place.count(interaction_table) == 2
    assert b"calls_mended_total 0.0" in owner.metrics.render()


async def test_a_call_that_ends_behind_the_link_is_heard_live_and_left_to_that(owner: Owner) -> None:
    await owner.desk.play("agent_hangs_up")
    async with owner.running("calls"):
        ended = told_of("caller_hangs_up")[-1].at
        owner.desk.write(*lines_of("caller_hangs_up"))
        owner.stream.emit(SwitchLinkChanged(at=ended - timedelta(seconds=1), node="n1", up=True))
        await owner.looked(1)
        owner.link(up=False)
        owner.stream.emit(SwitchLinkChanged(at=ended - timedelta(seconds=1), node="n1", up=True))
        await owner.looked(2)
    assert await owner.desk.place.count(interaction_table) == 1


async def test_a_database_that_is_away_is_asked_again_and_any_other_fault_stops_nobody(owner: Owner) -> None:
    owner.desk.write(*lines_of("agent_hangs_up"))
    late = unseen(told_of("agent_hangs_up"))
    await owner.desk.tell(*late)
    faults: list[Exception] = [Unavailable("database"), TimeoutError(), Unavailable("database")]

    async def fail() -> None:
        if faults:
            raise faults.pop()

    owner.before_flush = fail
    ended = next(event for event in late if isinstance(event, CallEnded))
    async with owner.running("ends"):
        owner.stream.emit(ended)
        await owner.reason(ended.interaction_id, "agent_hangup")
        assert owner.flushed == 4
        faults.append(ValueError("a fault of our own"))
        owner.stream.emit(ended)
        await owner.looked(5)
        await owner.desk.change(ended.interaction_id, end_reason="unseen")
        owner.stream.emit(ended)
        await owner.reason(ended.interaction_id, "agent_hangup")


async def test_ends_that_were_seen_are_no_reason_to_look(owner: Owner) -> None:
    seen = CallEnded(interaction_id="n1-1.1", at=at(0), reason="caller_hangup")
    async with owner.running("ends"):
        owner.stream.emit(seen)
        owner.stream.emit(replace(seen, reason="vanished"))
        await owner.looked(1)
    assert owner.flushed == 1
