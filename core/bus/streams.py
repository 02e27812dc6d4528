"""Redis Streams between processes: written without waiting, read in order, commands taken once by a group.

Carries; does not know what is said. Redis never owns: while it is away, what would be sent is let go and counted, and
whoever numbers its messages is found out by its readers, who then ask for the whole anew (`app/roles/links.py`).

Keys, all under `aftercall:`, all with a bound and a time to live that every writing renews:
`told:facts`, `told:events`, `beats`, `to:<role>` (an hour), `to:<process>` (a minute).

Invariants: `put` neither blocks nor raises; a deadline is a moment of Redis's own clock (`RedisTime`), so that what lay in
a frozen Redis, or in its socket, is known to be too late when it comes out; a command is served by one of its group, and
what a dead one left is taken over by the next.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import redis.asyncio as redis
import structlog
from redis.exceptions import RedisError, ResponseError

from core.bus.model import Message
from core.bus.redis_bus import PREFIX, end_if_cancelled, link

FIELD = b"m"
BLOCK_MS = 800  # less than half of the connection's read deadline
BATCH, AT_ONCE = 200, 500
LONGEST_OUT = 20_000
LONG_S, SHORT_S = 3600, 60
CLAIM_EVERY_S, CLAIM_IDLE_MS = 2.0, 2000
KEEP_REPLIES = 2000
LOST = (RedisError, OSError, TimeoutError)
Connect = Callable[[], redis.Redis]


def factory(url: str) -> Connect:
    return lambda: link(url)


def most_of(key: str) -> tuple[int, int]:
    """How many entries a stream keeps (about), and its time to live in seconds."""
    if key.startswith("told:"):
        return 20_000, LONG_S
    if key == "beats":
        return 1000, LONG_S
    return (2000, LONG_S) if key in ("to:telephony", "to:acd") else (2000, SHORT_S)


class RedisTime:
    """Redis's clock as this process last heard it, carried on by our monotonic clock: milliseconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._ahead: float | None = None

    def heard(self, answer: tuple[int, int]) -> None:
        """`answer` of TIME: seconds, microseconds."""
        self._ahead = answer[0] * 1000 + answer[1] / 1000 - self._monotonic() * 1000

    def now_ms(self) -> int:
        return int(time.time() * 1000 if self._ahead is None else self._monotonic() * 1000 + self._ahead)


class Outlet:
    """Everything this process writes, in order, from one task: `put(key, message)` at any time, `run()` for ever."""

    def __init__(self, connect: Connect, clock: RedisTime) -> None:
        self._connect, self._clock = connect, clock
        self._out: deque[tuple[str, Message]] = deque()
        self._news = asyncio.Event()
        self.up = False
        self.sent = 0
        self.dropped = 0

    def put(self, key: str, message: Message) -> None:
        if len(self._out) >= LONGEST_OUT:
            self._out.popleft()
            self.dropped += 1
        self._out.append((key, message))
        self._news.set()

    async def run(self) -> None:
        client = self._connect()
        try:
            while True:
                end_if_cancelled()
                await self._news.wait()
                self._news.clear()
                while self._out:
                    batch = [self._out.popleft() for _ in range(min(BATCH, len(self._out)))]
                    try:
                        await self._write(client, batch)
                        self.up = True
                        self.sent += len(batch)
                    except LOST as error:
                        # Sent again it could be said twice, later it is worth nothing: the numbers show what is missing.
                        self._lost(error, len(batch))
        finally:
            await client.aclose()

    async def _write(self, client: redis.Redis, batch: list[tuple[str, Message]]) -> None:
        async with client.pipeline(transaction=False) as pipe:
            pipe.time()
            for key, message in batch:
                text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
                pipe.xadd(PREFIX + key, {FIELD: text}, maxlen=most_of(key)[0], approximate=True)
            for key in {key for key, _ in batch}:
                pipe.expire(PREFIX + key, most_of(key)[1])
            answers = await pipe.execute()
        self._clock.heard(answers[0])

    def _lost(self, error: Exception, of_batch: int) -> None:
        end_if_cancelled()
        if self.up:
            structlog.get_logger().warning("redis_unavailable", reason=str(error))
        self.up = False
        self.dropped += of_batch + len(self._out)
        self._out.clear()


class Tail:
    """Reads some streams from now on, each message in its stream's order: `take(key, message)`.

    `started` is set when a place is held in each: whatever is written afterwards is heard, unless it is trimmed away.
    """

    def __init__(self, connect: Connect, keys: Iterable[str], take: Callable[[str, Message], None]) -> None:
        self._connect, self._take = connect, take
        self._places: dict[str, str] = dict.fromkeys(keys, "")  # in this order they are read
        self.started = asyncio.Event()
        self.behind = False  # more was there than was read at once

    def forget_places(self) -> None:
        """Redis was emptied and its clock set back: the places we hold mean nothing. From the beginning, then."""
        self._places = dict.fromkeys(self._places, "0-0")

    async def run(self) -> None:
        failures = 0
        while True:
            client = self._connect()
            try:
                await self._take_places(client)
                self.started.set()
                while True:
                    end_if_cancelled()
                    await self._read(client)
                    failures = 0
            except LOST as error:
                end_if_cancelled()
                if not failures:
                    structlog.get_logger().warning("streams_not_read", reason=str(error))
                failures += 1
                await asyncio.sleep(min(1.0, 0.1 * 2**failures) * random.uniform(0.7, 1.3))  # noqa: S311 (spreads retries)
            finally:
                await client.aclose()

    async def _take_places(self, client: redis.Redis) -> None:
        for key, place in self._places.items():
            if not place:
                newest: Any = await client.xrevrange(PREFIX + key, count=1)
                self._places[key] = newest[0][0].decode() if newest else "0-0"

    async def _read(self, client: redis.Redis) -> None:
        wanted: Any = {PREFIX + key: place for key, place in self._places.items()}
        streams = _streams(await client.xread(wanted, count=AT_ONCE, block=BLOCK_MS))
        self.behind = any(len(entries) >= AT_ONCE for _, entries in streams)
        for name, entries in streams:
            key = name.decode().removeprefix(PREFIX)
            for number, (place, fields) in enumerate(entries):
                self._places[key] = place.decode()
                _hand(lambda message, key=key: self._take(key, message), fields)  # type: ignore[misc]
                if number % 50 == 49:
                    await asyncio.sleep(0)


class Commands:
    """The commands to one role, each served by one process of the group: `serve(message)` is awaited, then it is done.

    Whoever begins takes over first what the one before left unserved.
    """

    def __init__(
        self, connect: Connect, key: str, consumer: str, serve: Callable[[Message], Awaitable[None]]
    ) -> None:  # fmt: skip
        self._connect, self._name, self._group = connect, PREFIX + key, key.removeprefix("to:")
        self._consumer, self._serve = consumer, serve
        self.started = asyncio.Event()
        self.claimed = 0
        self._acking = asyncio.Lock()  # one connection for it, however many commands end at once

    async def run(self) -> None:
        failures = 0
        while True:
            client = self._connect()
            try:
                async with asyncio.TaskGroup() as group:
                    await self._read(client, group)
            except BaseExceptionGroup as errors:
                lost, rest = errors.split(LOST)
                if rest is not None or lost is None:
                    raise
                end_if_cancelled()
                if not failures:
                    structlog.get_logger().warning("commands_not_read", reason=str(lost.exceptions[0]))
                failures += 1
            finally:
                await client.aclose()
            await asyncio.sleep(min(1.0, 0.1 * 2 ** min(failures, 5)) * random.uniform(0.7, 1.3))  # noqa: S311

    async def _read(self, client: redis.Redis, group: asyncio.TaskGroup) -> None:
        await self._join(client)
        claim_at, idle_ms = 0.0, 0  # at the beginning everything: who begins is the only one who serves
        while True:
            end_if_cancelled()
            try:
                if time.monotonic() >= claim_at:
                    await self._claim(client, group, idle_ms)
                    claim_at, idle_ms = time.monotonic() + CLAIM_EVERY_S, CLAIM_IDLE_MS
                    self.started.set()
                answer = await client.xreadgroup(
                    self._group, self._consumer, {self._name: ">"}, count=BATCH, block=BLOCK_MS
                )
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
                await self._join(client)  # Redis was emptied
                continue
            for _, entries in _streams(answer):
                for place, fields in entries:
                    group.create_task(self._one(client, place, fields))

    async def _join(self, client: redis.Redis) -> None:
        try:
            await client.xgroup_create(self._name, self._group, id="0", mkstream=True)
            await client.expire(self._name, LONG_S)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _claim(self, client: redis.Redis, group: asyncio.TaskGroup, idle_ms: int) -> None:
        found = await client.xautoclaim(self._name, self._group, self._consumer, idle_ms, "0-0", count=BATCH)
        for place, fields in found[1]:
            self.claimed += 1
            group.create_task(self._one(client, place, fields or {}))

    async def _one(self, client: redis.Redis, place: bytes, fields: dict[bytes, bytes]) -> None:
        messages: list[Message] = []
        _hand(messages.append, fields)
        for message in messages:
            await self._serve(message)
        async with self._acking:
            await client.xack(self._name, self._group, place)


def _streams(answer: Any) -> list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]:
    """What XREAD answers, whichever protocol it was asked by: (key, entries)."""
    if isinstance(answer, dict):
        return [(name, [entry for part in parts for entry in part]) for name, parts in answer.items()]
    return list(answer or [])


def _hand(take: Callable[[Message], None], fields: dict[bytes, bytes]) -> None:
    """One message to whoever takes it; what cannot be read, or is not borne, is told and left behind."""
    try:
        message = json.loads(fields[FIELD])
        if not isinstance(message, dict):
            raise ValueError("no message")
    except (KeyError, ValueError):
        structlog.get_logger().warning("stream_message_refused")
        return
    try:
        take(message)
    except Exception:
        structlog.get_logger().exception("stream_message_failed")
