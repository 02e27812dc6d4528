"""The loop of the tests keeps its own promises: order of timers, no real waiting, no silent dead end."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.virtual import LoopClock, Stuck, VirtualLoop, never, until, virtual_time


@virtual_time
async def test_an_hour_goes_by_in_an_instant_and_timers_keep_their_order() -> None:
    began, clock, order = time.monotonic(), LoopClock(), []
    at_first = clock.now()
    loop = asyncio.get_running_loop()
    loop.call_later(3600, order.append, "hour")
    loop.call_later(0.5, order.append, "half")
    await asyncio.sleep(3600.1)
    assert order == ["half", "hour"]
    assert (clock.now() - at_first).total_seconds() == pytest.approx(3600.1, abs=0.002)
    assert time.monotonic() - began < 5


@virtual_time
async def test_a_clock_that_is_moved_moves_the_wall_alone() -> None:
    clock = LoopClock()
    wall, steady = clock.now(), clock.monotonic()
    clock.jump(-3600)
    assert (clock.now() - wall).total_seconds() == -3600 and clock.monotonic() == steady


def test_whoever_waits_for_ever_is_told_so() -> None:
    loop = VirtualLoop()
    try:
        with pytest.raises(Stuck):
            loop.run_until_complete(asyncio.Event().wait())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.live(0.001)
        loop.close()


@virtual_time
async def test_conditions_are_awaited_and_refuted_virtual_time() -> None:
    seen: list[int] = []
    asyncio.get_running_loop().call_later(30, seen.append, 1)
    await never(lambda: seen, for_s=29)
    await until(lambda: seen)
    with pytest.raises(TimeoutError):
        await until(lambda: len(seen) > 1, within_s=5)
