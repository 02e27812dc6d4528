"""The bus: live ticks and wake-ups between processes. At most once, never waited for, never the truth.

Invariants: `publish` neither blocks nor raises; a subscriber that falls behind loses the oldest messages and is told
(`lagged`); whoever needs certainty reads the database.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Protocol

Message = dict[str, Any]


class Subscriber:
    """Messages of one topic, in order: `async for message in subscriber`; ends after `close()`."""

    def __init__(self, bound: int = 1000) -> None:
        self.lagged = 0
        self._messages: deque[Message] = deque()
        self._bound = bound
        self._news = asyncio.Event()
        self._closed = False

    def put(self, message: Message) -> None:
        if len(self._messages) >= self._bound:
            self._messages.popleft()
            self.lagged += 1
        self._messages.append(message)
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            while self._messages:
                yield self._messages.popleft()
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()


class Bus(Protocol):
    def publish(self, topic: str, message: Message) -> None: ...

    def subscribe(self, topic: str, *, bound: int = 1000) -> Subscriber: ...

    async def run(self) -> None:
        """Carries messages until cancelled."""
        ...
