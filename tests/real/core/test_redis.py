"""The bus over a real Redis: dead, frozen, back again."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from app.world.bundle import ensure
from app.world.children import dies_with_us
from app.world.ports import Claims, choose
from core.bus import redis_bus
from core.bus.redis_bus import RedisBus
from tests.suites.core.bus import BusPromises, Ends, all_listen, heard, running


class Server:
    def __init__(self, folder: Path) -> None:
        self._bundle, self._folder, self._claims = ensure("redis"), folder, Claims()
        self.port = choose("redis", "127.0.0.1", 0, self._claims)
        self._password = secrets.token_urlsafe(18)
        self.url = f"redis://:{self._password}@127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--requirepass", self._password]
        with (self._folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                dies_with_us([*self._bundle.command("redis-server"), *arguments]), cwd=self._folder, stdout=log, stderr=log,
                env={**os.environ, **self._bundle.environment}, stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            try:
                with redis.Redis.from_url(self.url) as client:
                    client.ping()
                return
            except redis.ConnectionError:
                assert self.process.poll() is None and time.monotonic() < deadline, (
                    self._folder / "redis.log"
                ).read_text()
                time.sleep(0.02)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait(30)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self._claims.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    it = Server(tmp_path_factory.mktemp("redis"))
    yield it
    it.close()


class TestRedisBus(BusPromises):
    @pytest.fixture
    async def ends(self, server: Server) -> AsyncIterator[Ends]:
        both = RedisBus(server.url), RedisBus(server.url)
        async with running(*both):
            yield both


async def until_down(bus: RedisBus) -> None:
    async with asyncio.timeout(30):
        while bus.up or bus.listening.is_set():
            await asyncio.sleep(0.01)


async def publish_unhindered(bus: RedisBus, count: int) -> None:
    """Publishes while the loop goes on turning; fails when either is held up."""
    slowest = 0.0
    for n in range(count):
        begun = time.perf_counter()
        bus.publish("live", {"lost": n})
        slowest = max(slowest, time.perf_counter() - begun)
        await asyncio.sleep(0)
    assert slowest < 0.3


async def test_a_frozen_redis_holds_up_nobody_is_known_in_seconds_and_is_used_again_when_it_thaws(
    server: Server,
) -> None:
    """Nothing is published at first: the listening side must find it out by itself."""
    bus = RedisBus(server.url)
    subscriber = bus.subscribe("live")
    async with running(bus):
        await all_listen([bus])
        server.process.send_signal(signal.SIGSTOP)
        frozen_at = time.monotonic()
        try:
            await until_down(bus)
            assert time.monotonic() - frozen_at < 3 * (redis_bus.READ_S + 1)
            await publish_unhindered(bus, 2 * redis_bus.BOUND)
            assert bus.dropped >= redis_bus.BOUND - 1  # one is on its way
        finally:
            server.process.send_signal(signal.SIGCONT)
        await all_listen([bus])
        bus.publish("live", {"again": 1})
        async with asyncio.timeout(30):
            async for message in subscriber:
                if message == {"again": 1}:
                    break
        assert bus.up


async def test_a_killed_redis_that_comes_back_empty_is_used_again_without_a_restart_of_ours(server: Server) -> None:
    bus, other = RedisBus(server.url), RedisBus(server.url)
    subscriber = other.subscribe("live")
    async with running(bus, other):
        await all_listen([other])
        bus.publish("live", {"n": 1})
        assert await heard(subscriber, 1) == [{"n": 1}]
        server.kill()
        await publish_unhindered(bus, 1000)
        await until_down(other)
        async with asyncio.timeout(30):
            while bus.up or bus.dropped < 1000:
                await asyncio.sleep(0.01)
        server.start()
        await all_listen([other])
        bus.publish("live", {"n": 2})
        assert await heard(subscriber, 1) == [{"n": 2}]


async def test_a_wrong_password_is_a_redis_that_is_away(server: Server) -> None:
    bus = RedisBus(f"redis://:wrong@127.0.0.1:{server.port}/0")
    bus.subscribe("live")
    async with running(bus):
        bus.publish("live", {"n": 1})
        async with asyncio.timeout(30):
            while not bus.dropped:
                await asyncio.sleep(0.01)
        assert not bus.up
        assert not bus.listening.is_set()
