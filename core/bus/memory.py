"""The bus of a single process."""

from __future__ import annotations

import asyncio

from core.bus.model import Message, Subscriber, Topics, written


class MemoryBus:
    def __init__(self) -> None:
        self.listening = asyncio.Event()
        self.listening.set()
        self.dropped = 0
        self._topics = Topics()

    def publish(self, topic: str, message: Message) -> None:
        text = written(topic, message)
        if text is None:
            self.dropped += 1
        else:
            self._topics.deliver(topic, text)

    def subscribe(self, topic: str, *, bound: int = 1000) -> Subscriber:
        return self._topics.add(topic, bound)

    async def run(self) -> None:
        await asyncio.Event().wait()
