"""A Redis of cardboard, and processes on it with nothing but their joins: what they tell, hear, ask and are asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import redis.asyncio as redis
from fakeredis import FakeAsyncRedis, FakeServer

from app.roles.links import Fresh, Links
from core.bus.streams import Connect
from core.clock import SystemClock
from core.events import DomainEvent
from core.events.pbx import CallArrived, CallEnded, CallWaiting
from core.events.stream import EventStream
from core.metrics import Metrics

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Wire:
    """`cut` refuses every connection, as a Redis that is gone does."""

    def __init__(self) -> None:
        self.server = FakeServer()

    def connect(self) -> redis.Redis:
        return FakeAsyncRedis(server=self.server)

    def cut(self, off: bool = True) -> None:
        self.server.connected = not off


@dataclass
class Told:
    """A journal that keeps what is told."""

    events: list[DomainEvent] = field(default_factory=list)

    def emit(self, event: DomainEvent) -> None:
        self.events.append(event)


class Process:
    def __init__(self, connect: Connect, role: str, life: str, live: Callable[[], list[str]]) -> None:
        self.journal = Told()
        self.metrics = Metrics()
        self.stream = EventStream(self.journal)
        self.links = Links(
            connect,
            name=f"{role}-1",
            roles={role},
            life=life,
            stream=self.stream,
            clock=SystemClock(),
            metrics=self.metrics,
        )
        self.links.state = {role: "owner"}
        self.fresh: list[Fresh] = []
        self.links.on_fresh.append(self.fresh.append)
        if role == "telephony":
            self.links.link = lambda: True
            self.links.extra_living = lambda: {"link": True, "live": live()}
        self._heard = self.stream.subscribe("test", asyncio.Event())
        self.heard: list[DomainEvent] = []

    def figure(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"aftercall_{name}_total", labels) or 0.0

    def hear(self) -> list[DomainEvent]:
        """Everything heard so far, told here or elsewhere."""
        self.heard += self._heard.take()
        return self.heard

    def follows(self, other: Process) -> bool:
        peer = self.links.peers.get(other.links.life)
        return peer is not None and peer.n is not None


@asynccontextmanager
async def running(*processes: Process) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(process.links.run()) for process in processes]
        yield
        for task in tasks:
            task.cancel()


async def until(holds: Callable[[], object], *, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


def arrived(ix: str) -> CallArrived:
    return CallArrived(interaction_id=ix, at=NOW, ani="+8613800138000", dnis="800", channel=f"c-{ix}")


def waits(ix: str) -> CallWaiting:
    return CallWaiting(interaction_id=ix, at=NOW, channel=f"c-{ix}", queue="service", enqueued_at=NOW)


def ended(ix: str) -> CallEnded:
    return CallEnded(interaction_id=ix, at=NOW, reason="caller_hangup")


def calls(events: Iterable[Any]) -> list[tuple[str, str]]:
    return [(event.kind, event.interaction_id) for event in events]
