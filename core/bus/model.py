"""The bus: live ticks and wake-ups between processes. At most once, never waited for, never the truth.

Invariants, whichever bus it is: `publish` neither blocks nor raises; a message is what its JSON says at the moment of
publishing, and everybody gets a copy of their own; a subscriber hears one topic in order, also what its own process
published; one that falls behind loses the oldest messages and is told (`lagged`); a closed one costs nothing any more.
Whoever needs certainty reads the database.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import structlog

Message = dict[str, Any]


class Subscriber:
    """Messages of one topic, in order: `async for message in subscriber`; ends after `close()` with what it had."""

    def __init__(self, bound: int = 1000, forget: Callable[[Subscriber], None] = lambda _one: None) -> None:
        self.lagged = 0
        self._messages: deque[Message] = deque()
        self._bound = bound
        self._forget = forget
        self._news = asyncio.Event()
        self._closed = False

    def put(self, message: Message) -> None:
        if self._closed:
            return
        if len(self._messages) >= self._bound:
            self._messages.popleft()
            self.lagged += 1
        self._messages.append(message)
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._forget(self)
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            while self._messages:
                yield self._messages.popleft()
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()


class Topics:
    """Who listens to what, in this process."""

    def __init__(self) -> None:
        self._subscribers: dict[str, list[Subscriber]] = {}

    def names(self) -> list[str]:
        return list(self._subscribers)

    def add(self, topic: str, bound: int) -> Subscriber:
        subscriber = Subscriber(bound, lambda one: self._forget(topic, one))
        self._subscribers.setdefault(topic, []).append(subscriber)
        return subscriber

    def deliver(self, topic: str, text: str | bytes) -> None:
        """A copy for each. What is no JSON object was not sent by us: it is told and left out."""
        for subscriber in list(self._subscribers.get(topic, ())):
            try:
                message = json.loads(text)
            except ValueError:
                message = None
            if not isinstance(message, dict):
                structlog.get_logger().warning("bus_message_refused", topic=topic)
                return
            subscriber.put(message)

    def _forget(self, topic: str, subscriber: Subscriber) -> None:
        left = [one for one in self._subscribers.get(topic, ()) if one is not subscriber]
        if left:
            self._subscribers[topic] = left
        else:
            self._subscribers.pop(topic, None)


def written(topic: str, message: Message) -> str | None:
    """The message as JSON; None (and told) when it is none."""
    try:
        return json.dumps(message)
    except (TypeError, ValueError, RecursionError) as error:
        structlog.get_logger().error("bus_message_unwritable", topic=topic, reason=str(error))
        return None


class Bus(Protocol):
    """`listening` is set while everything subscribed to is being heard; `dropped` counts what was not sent."""

    listening: asyncio.Event
    dropped: int

    def publish(self, topic: str, message: Message) -> None: ...

    def subscribe(self, topic: str, *, bound: int = 1000) -> Subscriber: ...

    async def run(self) -> None:
        """Carries messages until cancelled."""
        ...
