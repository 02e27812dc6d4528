"""Carries events inside one process: to the journal first, then to whoever listens here.

Decides nothing about their meaning. Invariants: `emit` never blocks and never raises because of a listener; every
listener sees events in the order of emission; a listener that falls behind its bound is told so (`lagged`) and must
take a fresh snapshot, it never slows others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Collection
from typing import Protocol

from core.events.base import DomainEvent


class EventSink(Protocol):
    """Whoever takes events: the stream, the journal, a list in a test."""

    def emit(self, event: DomainEvent) -> None: ...


class Waker(Protocol):
    """What `asyncio.Event` offers; named here so that this module needs no loop."""

    def set(self) -> None: ...
    def clear(self) -> None: ...
    async def wait(self) -> object: ...


class Subscription:
    """One listener's own queue. Use `async for event in subscription`; it ends after `close()`."""

    def __init__(self, stream: EventStream, name: str, waker: Waker, bound: int, only: Collection[str] | None) -> None:
        self.name = name
        self.lagged = False
        self.dropped = 0
        self._stream = stream
        self._waker = waker
        self._events: deque[DomainEvent] = deque()
        self._bound = bound
        self._only = frozenset(only) if only is not None else None
        self._closed = False

    def put(self, event: DomainEvent) -> None:
        if self._closed or (self._only is not None and event.kind not in self._only):
            return
        if len(self._events) >= self._bound:
            self._events.popleft()
            self.lagged = True
            self.dropped += 1
        self._events.append(event)
        self._waker.set()

    def take(self) -> list[DomainEvent]:
        """What lies in the queue now, out of it."""
        events = list(self._events)
        self._events.clear()
        return events

    def close(self) -> None:
        self._closed = True
        self._stream.forget(self)
        self._waker.set()

    async def __aiter__(self) -> AsyncIterator[DomainEvent]:
        while True:
            while self._events:
                yield self._events.popleft()
            if self._closed:
                return
            self._waker.clear()
            await self._waker.wait()


class EventStream:
    """`emit` writes to the journal (when there is one) and fans out to the subscriptions of this process. `abroad`, when
    it is set, takes what this process tells to the others."""

    def __init__(self, journal: EventSink | None = None) -> None:
        self._journal = journal
        self._subscriptions: list[Subscription] = []
        self.abroad: Callable[[DomainEvent], None] | None = None

    def emit(self, event: DomainEvent) -> None:
        if self._journal is not None:
            self._journal.emit(event)
        self.spread(event)

    def spread(self, event: DomainEvent) -> None:
        """To the listeners only: for events whose record already stands in the database (a unit of work's)."""
        if self.abroad is not None:
            self.abroad(event)
        for subscription in self._subscriptions:
            subscription.put(event)

    def hear(self, event: DomainEvent, *, but: Collection[str] = ()) -> None:
        """To the listeners here (`but` those of these names): for what another process told, and has written down."""
        for subscription in self._subscriptions:
            if subscription.name not in but:
                subscription.put(event)

    def subscribe(
        self, name: str, waker: Waker, *, bound: int = 10_000, only: Collection[str] | None = None
    ) -> Subscription:
        """`waker` is an `asyncio.Event()`; `only` limits to these kinds of event; `bound` is the listener's queue."""
        subscription = Subscription(self, name, waker, bound, only)
        self._subscriptions = [*self._subscriptions, subscription]
        return subscription

    def forget(self, subscription: Subscription) -> None:
        self._subscriptions = [s for s in self._subscriptions if s is not subscription]
