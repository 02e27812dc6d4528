"""The bus of a single process."""

from __future__ import annotations

import asyncio

from core.bus.model import Message, Subscriber


class MemoryBus:
    def __init__(self) -> None:
        self._topics: dict[str, list[Subscriber]] = {}

    def publish(self, topic: str, message: Message) -> None:
        for subscriber in self._topics.get(topic, []):
            subscriber.put(message)

    def subscribe(self, topic: str, *, bound: int = 1000) -> Subscriber:
        subscriber = Subscriber(bound)
        self._topics.setdefault(topic, []).append(subscriber)
        return subscriber

    async def run(self) -> None:
        await asyncio.Event().wait()
