"""An alarm for each part of the house that does not work: raised when it is noticed, cleared when it works again.

Decides nothing about health (`health.py` does); makes events and a figure of it, so that it stands on boards and in records
also when nobody asks. Invariant: one AlertRaised for each time a part fails, one AlertCleared when it is well again.
"""

from __future__ import annotations

import asyncio

from app.web.health import Health
from core.clock import Clock
from core.events.orders import AlertCleared, AlertRaised
from core.events.stream import EventSink
from core.metrics import Metrics

EVERY_S = 2.0


class Alarms:
    """`run()` for ever; `raised` holds the parts that do not work."""

    def __init__(self, health: Health, events: EventSink, clock: Clock, metrics: Metrics) -> None:
        self._health = health
        self._events = events
        self._clock = clock
        self._figure = metrics.gauge("alarm", "1 while a part of the house does not work", ("part",))
        self.raised: set[str] = set()

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)

    async def look(self) -> None:
        for part in (await self._health.report()).parts:
            wrong = part.state != "ok"
            self._figure.labels(part.name).set(int(wrong))
            what = f"health:{part.name}"
            if wrong and part.name not in self.raised:
                self.raised.add(part.name)
                self._events.emit(
                    AlertRaised(at=self._clock.now(), what=what, message=f"{part.words} {part.means}".strip())
                )
            elif not wrong and part.name in self.raised:
                self.raised.discard(part.name)
                self._events.emit(AlertCleared(at=self._clock.now(), what=what))
