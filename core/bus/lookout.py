"""Being up to date with what others wrote into the database: looked at when the bus says so, and every so often.

Does not know what is looked at. Invariants: a look that fails is told once and tried again, and what was known stays; whoever
hears of news while a look goes on looks again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from core.bus.model import Bus


class Lookout:
    """`run(look, pause_s)` for ever; `soon()` makes the next look come now."""

    def __init__(self, topic: str, bus: Bus | None) -> None:
        self._topic, self._bus = topic, bus
        self._news = asyncio.Event()

    def soon(self) -> None:
        self._news.set()

    async def run(self, look: Callable[[], Awaitable[None]], pause_s: Callable[[], float]) -> None:
        """`pause_s` is asked after each look: the longest time until the next."""
        async with asyncio.TaskGroup() as group:
            if self._bus is not None:
                group.create_task(self._listen(self._bus))
            failing = False
            while True:
                self._news.clear()
                try:
                    await look()
                    failing = False
                except Exception as error:  # what is known stays; nobody who waits pays for it
                    if not failing:
                        structlog.get_logger().warning(
                            f"{self._topic}_not_looked_at", reason=f"{type(error).__name__}: {error}"
                        )
                    failing = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s()):
                        await self._news.wait()

    async def _listen(self, bus: Bus) -> None:
        subscriber = bus.subscribe(self._topic)
        try:
            async for _ in subscriber:
                self.soon()
        finally:
            subscriber.close()
