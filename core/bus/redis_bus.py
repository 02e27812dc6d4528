"""The bus over Redis pub/sub. Redis carries and never owns: while it is away, ticks are lost and counted, nothing waits.

One connection factory for the whole product (`link`): explicit deadlines, small pool.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque

import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError

from core.bus.model import Message, Subscriber

CONNECT_S, READ_S = 1.0, 2.0
PREFIX = "aftercall:"
BOUND = 5000
GATHER_S = 0.1


def link(url: str) -> redis.Redis:
    """A client with a connect deadline of 1 s and a read deadline of 2 s, that never retries by itself."""
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=READ_S,
        max_connections=8,
        health_check_interval=0,
        retry=None,
    )


class RedisBus:
    """`run()` holds both directions; `up` tells whether Redis answers; `dropped` counts ticks that were not sent."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._topics: dict[str, list[Subscriber]] = {}
        self._out: deque[tuple[str, Message]] = deque()
        self._news = asyncio.Event()
        self._wanted = asyncio.Event()
        self.listening = asyncio.Event()
        self.up = False
        self.dropped = 0

    def publish(self, topic: str, message: Message) -> None:
        if len(self._out) >= BOUND:
            self._out.popleft()
            self.dropped += 1
        self._out.append((topic, message))
        self._news.set()

    def subscribe(self, topic: str, *, bound: int = 1000) -> Subscriber:
        subscriber = Subscriber(bound)
        self._topics.setdefault(topic, []).append(subscriber)
        self.listening.clear()
        self._wanted.set()
        return subscriber

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send())
            group.create_task(self._listen())

    async def _send(self) -> None:
        client = link(self._url)
        try:
            while True:
                _end_if_cancelled()
                await self._news.wait()
                self._news.clear()
                while self._out:
                    batch, self._out = self._out, deque()
                    pipe = client.pipeline(transaction=False)
                    for topic, message in batch:
                        pipe.publish(PREFIX + topic, json.dumps(message, ensure_ascii=False))
                    try:
                        await pipe.execute()
                        self.up = True
                    except (RedisError, OSError, TimeoutError) as error:
                        # A tick is worth nothing later: what waited is let go, and counted.
                        self._mark_down(error)
                        self.dropped += len(batch) + len(self._out)
                        self._out.clear()
                await asyncio.sleep(GATHER_S)  # one round trip for all that happens meanwhile
        finally:
            await client.aclose()

    async def _listen(self) -> None:
        failures = 0
        while True:
            await self._wanted.wait()
            client = link(self._url)
            try:
                async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    while True:
                        await pubsub.subscribe(*(PREFIX + topic for topic in self._topics))
                        self._wanted.clear()
                        self.up, failures = True, 0
                        self.listening.set()
                        while not self._wanted.is_set():
                            _end_if_cancelled()
                            message = await pubsub.get_message(timeout=READ_S / 2)
                            if message is not None:
                                self._deliver(message)
            except (RedisError, OSError, TimeoutError) as error:
                self._mark_down(error)
                self.listening.clear()
                self._wanted.set()
                failures += 1
                await asyncio.sleep(min(5.0, 0.2 * 2**failures) * random.uniform(0.7, 1.3))  # noqa: S311 (spreads retries)
            finally:
                await client.aclose()

    def _deliver(self, message: Message) -> None:
        topic = message["channel"].decode().removeprefix(PREFIX)
        try:
            body = json.loads(message["data"])
        except ValueError:
            structlog.get_logger().warning("bus_message_refused", topic=topic)
            return
        for subscriber in self._topics.get(topic, []):
            subscriber.put(body)

    def _mark_down(self, error: Exception) -> None:
        _end_if_cancelled()
        if self.up:
            structlog.get_logger().warning("redis_unavailable", reason=str(error))
        self.up = False


def _end_if_cancelled() -> None:
    """The Redis client sometimes takes a cancellation of ours for its own time-out; it ends us all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
