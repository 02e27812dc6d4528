"""Every event of the owner carries the owner's epoch, so that what a replaced owner tells can be known from it everywhere."""

from __future__ import annotations

from dataclasses import replace

from core.events import DomainEvent
from core.events.routing import RoutingEvent
from core.events.stream import EventSink


class Stamped:
    """A sink that writes the epoch of now on events of routing that have none yet."""

    def __init__(self, sink: EventSink, epoch: int) -> None:
        self._sink = sink
        self.epoch = epoch

    def emit(self, event: DomainEvent) -> None:
        if isinstance(event, RoutingEvent) and not event.epoch:
            event = replace(event, epoch=self.epoch)
        self._sink.emit(event)
