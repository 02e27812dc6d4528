"""Both buses keep the same promises; and the one over Redis loses ticks, never time, when Redis is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import fakeredis
import pytest
from structlog.testing import capture_logs

from core.bus import redis_bus
from core.bus.memory import MemoryBus
from core.bus.redis_bus import RedisBus, link
from tests.suites.core.bus import BusPromises, Ends, all_listen, heard, running


class TestMemoryBus(BusPromises):
    @pytest.fixture
    async def ends(self) -> AsyncIterator[Ends]:
        bus = MemoryBus()
        async with running(bus):
            yield bus, bus


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> fakeredis.FakeServer:
    it = fakeredis.FakeServer()
    monkeypatch.setattr(redis_bus, "link", lambda _url: fakeredis.FakeAsyncRedis(server=it))
    monkeypatch.setattr(redis_bus, "BACKOFF_S", (0.01,))
    return it


class TestRedisBus(BusPromises):
    @pytest.fixture
    async def ends(self, server: fakeredis.FakeServer) -> AsyncIterator[Ends]:
        both = RedisBus(""), RedisBus("")
        async with running(*both):
            yield both

    async def test_while_redis_is_away_ticks_are_lost_and_counted_and_then_it_goes_on(
        self, ends: Ends, server: fakeredis.FakeServer
    ) -> None:
        here, there = ends
        assert isinstance(here, RedisBus)
        subscriber = there.subscribe("live")
        await all_listen(ends)
        here.publish("live", {"n": 0})
        assert await heard(subscriber, 1) == [{"n": 0}]
        async with asyncio.timeout(30):  # the other may hear it before we hear that it was taken
            while not here.up:
                await asyncio.sleep(0.001)
        with capture_logs() as logs:
            server.connected = False
            for n in range(100):
                here.publish("live", {"lost": n})
            async with asyncio.timeout(30):
                while here.dropped < 100 or here.up:
                    await asyncio.sleep(0.001)
                while there.listening.is_set():
                    await asyncio.sleep(0.001)
            server.connected = True
            await all_listen(ends)
            here.publish("live", {"n": 1})
            assert await heard(subscriber, 1) == [{"n": 1}]
            async with asyncio.timeout(30):
                while not here.up:
                    await asyncio.sleep(0.001)
        assert here.dropped == 100
        assert [entry["event"] for entry in logs] == ["redis_unavailable"] * 2, "once each, not for each try"

    async def test_what_strangers_say_on_our_topics_is_left_out_and_told(
        self, ends: Ends, server: fakeredis.FakeServer
    ) -> None:
        _, there = ends
        subscriber = there.subscribe("live")
        await all_listen(ends)
        stranger = fakeredis.FakeAsyncRedis(server=server)
        with capture_logs() as logs:
            for text in (b"no json", b"\xff\xfe", b"[1]", b"1", b'{"half": ', b'{"good": 1}'):
                await stranger.publish("aftercall:live", text)
            assert await heard(subscriber, 1) == [{"good": 1}]
        assert [entry["event"] for entry in logs] == ["bus_message_refused"] * 5
        await stranger.aclose()


def test_a_bus_that_does_not_run_keeps_a_bounded_number_of_the_newest() -> None:
    bus = RedisBus("")
    for n in range(redis_bus.BOUND + 10):
        bus.publish("live", {"n": n})
    assert (len(bus._out), bus.dropped) == (redis_bus.BOUND, 10)
    assert bus._out[-1][1] == f'{{"n": {redis_bus.BOUND + 9}}}'


async def test_every_link_has_deadlines_and_never_tries_again_by_itself() -> None:
    client = link("redis://:secret@127.0.0.1:1/0")
    how = client.connection_pool.make_connection()
    assert (how.socket_connect_timeout, how.socket_timeout) == (1.0, 2.0)
    assert how.retry.get_retries() == 0
    assert client.connection_pool.max_connections == 8
    await client.aclose()
