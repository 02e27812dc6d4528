"""Redis Streams: written without waiting, commands served once, and nothing of it relies on Redis remembering."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from core.bus.redis_bus import PREFIX
from core.bus.streams import Commands, Outlet, RedisTime, Tail
from tests.unit.roles.wires import Wire, until

KEY = "to:telephony"


@asynccontextmanager
async def going(*works: Any) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        yield
        for task in tasks:
            task.cancel()


async def write(wire: Wire, *numbers: int) -> None:
    for number in numbers:
        await wire.connect().xadd(PREFIX + KEY, {"m": json.dumps({"n": number})})


async def test_who_holds_a_place_hears_everything_after_it_in_order() -> None:
    wire, heard = Wire(), [[], []]  # type: ignore[var-annotated]
    await write(wire, 0)
    outlet = Outlet(wire.connect, RedisTime())
    tails = [Tail(wire.connect, [KEY], lambda _key, message, mine=mine: mine.append(message["n"])) for mine in heard]
    async with going(outlet.run(), *(tail.run() for tail in tails)):
        for tail in tails:
            await tail.started.wait()
        for number in range(1, 600):
            outlet.put(KEY, {"n": number})
        await until(lambda: all(len(mine) == 599 for mine in heard))
    assert heard == [list(range(1, 600))] * 2


async def test_a_message_that_nobody_can_read_stops_nobody() -> None:
    wire, heard = Wire(), []  # type: ignore[var-annotated]
    tail = Tail(wire.connect, [KEY], lambda _key, message: heard.append(1 // message["n"]))
    async with going(tail.run()):
        await tail.started.wait()
        for text in ("no json", "[1]", '{"n":0}', '{"n":1}'):
            await wire.connect().xadd(PREFIX + KEY, {"m": text})
        await until(lambda: heard == [1])


async def test_without_redis_nothing_waits_and_what_is_not_sent_is_counted() -> None:
    wire = Wire()
    outlet = Outlet(wire.connect, RedisTime())
    wire.cut()
    async with going(outlet.run()):
        for number in range(30):
            outlet.put(KEY, {"n": number})
        await until(lambda: outlet.dropped == 30)
        assert not outlet.up
        wire.cut(off=False)
        outlet.put(KEY, {"n": 99})
        await until(lambda: outlet.up)
    assert [json.loads(fields[b"m"]) for _, fields in await wire.connect().xrange(PREFIX + KEY)] == [{"n": 99}]


async def test_a_command_is_served_by_one_of_its_group() -> None:
    wire, served = Wire(), []  # type: ignore[var-annotated]

    async def serve(message: dict[str, Any]) -> None:
        served.append(message["n"])

    both = [Commands(wire.connect, KEY, f"telephony-{slot}", serve) for slot in (1, 2)]
    async with going(*(one.run() for one in both)):
        for one in both:
            await until(one.started.is_set)
        await write(wire, *range(40))
        await until(lambda: len(served) >= 40)
    assert sorted(served) == list(range(40))


async def test_what_a_dead_one_took_and_did_not_serve_is_served_by_the_next() -> None:
    wire, served = Wire(), []  # type: ignore[var-annotated]
    client = wire.connect()
    await client.xgroup_create(PREFIX + KEY, "telephony", id="0", mkstream=True)
    await write(wire, 1, 2)
    await client.xreadgroup("telephony", "telephony-1", {PREFIX + KEY: ">"})  # and died

    async def serve(message: dict[str, Any]) -> None:
        served.append(message["n"])

    after = Commands(wire.connect, KEY, "telephony-2", serve)
    async with going(after.run()):
        await until(lambda: served == [1, 2])
        await write(wire, 3)
        await until(lambda: served == [1, 2, 3])
    assert after.claimed == 2
    assert (await client.xpending(PREFIX + KEY, "telephony"))["pending"] == 0


async def test_commands_are_served_again_after_redis_came_back_empty() -> None:
    wire, served = Wire(), []  # type: ignore[var-annotated]

    async def serve(message: dict[str, Any]) -> None:
        served.append(message["n"])

    commands = Commands(wire.connect, KEY, "telephony-1", serve)
    async with going(commands.run()):
        await until(commands.started.is_set)
        await wire.connect().flushall()
        await write(wire, 1)
        await until(lambda: served == [1])


def test_redis_s_clock_is_carried_on_by_ours_that_does_not_jump() -> None:
    mine = [100.0]
    clock = RedisTime(lambda: mine[0])
    clock.heard((1_000, 500_000))
    assert clock.now_ms() == 1_000_500
    mine[0] += 2.5
    assert clock.now_ms() == 1_003_000
