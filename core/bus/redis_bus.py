"""The bus over Redis pub/sub. Redis carries and never owns: while it is away, ticks are lost and counted, nothing waits.

One connection factory for the whole product (`link`): explicit deadlines, small pool. A link on which nothing comes is
asked whether it still lives; a Redis that is frozen is known to be so within READ_S and a second.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Sequence

import redis.asyncio as redis
import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from core.bus.model import Message, Subscriber, Topics, written

CONNECT_S, READ_S = 1.0, 2.0
QUIET_S = READ_S / 2
PREFIX = "aftercall:"
BOUND = 5000
GATHER_S = 0.1
BACKOFF_S = (0.4, 0.8, 1.6, 3.2, 5.0)


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
        self._topics = Topics()
        self._out: deque[tuple[str, str]] = deque()
        self._news = asyncio.Event()
        self._wanted = asyncio.Event()
        self.listening = asyncio.Event()
        self.listening.set()  # to nothing
        self.up = False
        self.dropped = 0

    def publish(self, topic: str, message: Message) -> None:
        text = written(topic, message)
        if text is None:
            self.dropped += 1
            return
        if len(self._out) >= BOUND:
            self._out.popleft()
            self.dropped += 1
        self._out.append((topic, text))
        self._news.set()

    def subscribe(self, topic: str, *, bound: int = 1000) -> Subscriber:
        new = topic not in self._topics.names()
        subscriber = self._topics.add(topic, bound)
        if new:
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
                end_if_cancelled()
                await self._news.wait()
                self._news.clear()
                while self._out:
                    batch, self._out = self._out, deque()
                    pipe = client.pipeline(transaction=False)
                    for topic, text in batch:
                        pipe.publish(PREFIX + topic, text)
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
            if not self._topics.names():  # everybody has closed meanwhile
                self._wanted.clear()
                self.listening.set()
                continue
            client = link(self._url)
            try:
                async with client.pubsub() as pubsub:
                    while names := self._topics.names():
                        self._wanted.clear()
                        await pubsub.subscribe(*(PREFIX + topic for topic in names))
                        await self._hear(pubsub, names)
            except (RedisError, OSError, TimeoutError) as error:
                self._mark_down(error)
                if self.listening.is_set():
                    failures = 0
                self.listening.clear()
                self._wanted.set()
                pause = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
                failures += 1
                await asyncio.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311 (spreads retries)
            finally:
                await client.aclose()

    async def _hear(self, pubsub: PubSub, topics: Sequence[str]) -> None:
        """Delivers until more is wanted. Raises TimeoutError when the link does not even say that it lives."""
        missing = {(PREFIX + topic).encode() for topic in topics}
        asked = False
        while not self._wanted.is_set():
            end_if_cancelled()
            message = await pubsub.get_message(timeout=QUIET_S)
            if message is None:
                if asked or missing:
                    raise TimeoutError("Redis does not answer")
                await pubsub.ping()
                asked = True
                continue
            asked = False
            if message["type"] == "message":
                self._topics.deliver(message["channel"].decode().removeprefix(PREFIX), message["data"])
            elif message["type"] == "subscribe":
                missing.discard(message["channel"])
                if not missing:
                    self.up = True
                    self.listening.set()
            elif message["type"] == "pong":
                self.up = True

    def _mark_down(self, error: Exception) -> None:
        end_if_cancelled()
        if self.up:
            structlog.get_logger().warning("redis_unavailable", reason=str(error))
        self.up = False


def end_if_cancelled() -> None:
    """The Redis client sometimes takes a cancellation of ours for its own time-out; it ends us all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
