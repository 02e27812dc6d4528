"""The stream of one process: journal first, everybody in order, and who falls behind is told and slows nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from core.events import DomainEvent
from core.events.orders import AlertCleared, AlertRaised
from core.events.stream import EventStream, Subscription

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def told(what: str) -> AlertCleared:
    return AlertCleared(at=NOW, what=what)


def waiting(subscription: Subscription) -> list[str]:
    """What lies in its queue, taken without a loop; the waker of these tests never waits."""
    return [event.what for event in drained(subscription)]  # type: ignore[attr-defined]


def drained(subscription: Subscription) -> Iterator[DomainEvent]:
    iterator = subscription.__aiter__()
    while subscription._events:
        try:
            iterator.__anext__().send(None)
        except StopIteration as step:
            yield step.value


class Waker:
    """An `asyncio.Event` that counts."""

    def __init__(self) -> None:
        self.sets = 0

    def set(self) -> None:
        self.sets += 1

    def clear(self) -> None: ...

    async def wait(self) -> None: ...


class Journal:
    def __init__(self, log: list[str]) -> None:
        self._log = log

    def emit(self, event: DomainEvent) -> None:
        self._log.append("journal")


def test_the_journal_has_a_fact_before_any_listener() -> None:
    log: list[str] = []
    stream = EventStream(Journal(log))
    waker = Waker()
    waker.set = lambda: log.append("listener")  # type: ignore[method-assign]
    stream.subscribe("a", waker)
    stream.emit(told("x"))
    assert log == ["journal", "listener"]


def test_what_a_unit_of_work_wrote_is_spread_without_a_second_journal_entry() -> None:
    log: list[str] = []
    stream = EventStream(Journal(log))
    heard = stream.subscribe("a", Waker())
    stream.spread(told("x"))
    assert (log, waiting(heard)) == ([], ["x"])


def test_every_listener_sees_all_events_in_order_of_emission() -> None:
    stream = EventStream()
    listeners = [stream.subscribe(str(n), Waker()) for n in range(3)]
    for n in range(100):
        stream.emit(told(str(n)))
    assert [waiting(listener) for listener in listeners] == [[str(n) for n in range(100)]] * 3


def test_a_listener_gets_only_the_kinds_it_asked_for_and_is_not_woken_by_others() -> None:
    stream, waker = EventStream(), Waker()
    heard = stream.subscribe("a", waker, only={"AlertRaised"})
    stream.emit(told("x"))
    assert waker.sets == 0
    stream.emit(AlertRaised(at=NOW, what="y", message=""))
    assert waiting(heard) == ["y"]


def test_who_falls_behind_loses_the_oldest_is_told_and_slows_nobody() -> None:
    stream = EventStream()
    slow, quick = stream.subscribe("slow", Waker(), bound=3), stream.subscribe("quick", Waker())
    for n in range(10):
        stream.emit(told(str(n)))
    assert (slow.lagged, slow.dropped, waiting(slow)) == (True, 7, ["7", "8", "9"])
    assert (quick.lagged, quick.dropped, len(waiting(quick))) == (False, 0, 10)


def test_a_listener_at_its_bound_exactly_has_lost_nothing() -> None:
    stream = EventStream()
    heard = stream.subscribe("a", Waker(), bound=3)
    for n in range(3):
        stream.emit(told(str(n)))
    assert (heard.lagged, heard.dropped) == (False, 0)


async def test_a_closed_listener_hears_what_it_had_and_ends_and_costs_nothing_more() -> None:
    stream = EventStream()
    heard = stream.subscribe("a", asyncio.Event())
    stream.emit(told("x"))
    heard.close()
    stream.emit(told("y"))
    async with asyncio.timeout(5):
        assert [event.what async for event in heard] == ["x"]  # type: ignore[attr-defined]
    assert stream._subscriptions == []


async def test_a_listener_that_sleeps_is_woken_by_the_next_event() -> None:
    stream = EventStream()
    heard = stream.subscribe("a", asyncio.Event())
    got: list[str] = []

    async def listen() -> None:
        async for event in heard:
            got.append(event.what)  # type: ignore[attr-defined]

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(listen())
        for n in range(5):
            stream.emit(told(str(n)))
            while len(got) <= n:
                await asyncio.sleep(0)
        heard.close()
    assert got == ["0", "1", "2", "3", "4"]


def test_a_listener_may_close_another_while_an_event_is_being_told() -> None:
    stream = EventStream()
    waker = Waker()
    stream.subscribe("first", waker)
    second = stream.subscribe("second", Waker())
    third = stream.subscribe("third", Waker())
    waker.set = second.close  # type: ignore[method-assign]
    stream.emit(told("x"))
    assert (waiting(second), waiting(third)) == ([], ["x"])


@pytest.mark.parametrize("listeners", [0, 1, 50])
def test_emitting_costs_no_more_than_the_listeners_there_are(listeners: int) -> None:
    stream, wakers = EventStream(), [Waker() for _ in range(listeners)]
    for n, waker in enumerate(wakers):
        stream.subscribe(str(n), waker)
    stream.emit(told("x"))
    assert [waker.sets for waker in wakers] == [1] * listeners
