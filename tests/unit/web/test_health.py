"""What is said about the state of the house is true, in time, and in words."""

from __future__ import annotations

import asyncio

from app.web.auth_http import Brake
from app.web.health import Finding, Health
from core.clock import ManualClock


async def _good() -> Finding:
    return Finding()


async def _bad() -> Finding:
    raise ConnectionRefusedError("10.0.0.1")


async def _hangs() -> Finding:
    await asyncio.Event().wait()
    return Finding()


async def test_all_well_is_ok_and_without_words() -> None:
    health = Health()
    health.watch("database", _good, means="x")
    report = await health.report()
    assert (report.state, report.parts[0].words, report.parts[0].means) == ("ok", "", "")


async def test_a_check_that_hangs_or_fails_is_told_and_delays_nobody() -> None:
    health = Health(deadline_s=0.02)
    health.watch("redis", _hangs, means="Live push stops; calls go on.")
    health.watch("asterisk", _bad, means="No calls.", worst="down")
    health.watch("database", _good, means="x")
    report = await health.report()
    assert report.state == "down"
    assert [part.state for part in report.parts] == ["degraded", "down", "ok"]
    assert report.parts[0].means == "Live push stops; calls go on."
    assert "10.0.0.1" not in report.model_dump_json()


async def test_a_thousand_consoles_cost_one_look_a_second() -> None:
    clock = ManualClock()
    looks = 0

    async def count() -> Finding:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        clock.advance(5)  # a look may take longer than it stays fresh
        return Finding()

    health = Health(fresh_s=1.0, now=clock.monotonic)
    health.watch("database", count, means="x")
    await asyncio.gather(*(health.report() for _ in range(1000)))
    assert looks == 1
    clock.advance(1.1)
    await health.report()
    assert looks == 2


def test_a_brake_holds_after_its_limit_and_lets_go_in_time() -> None:
    clock = ManualClock()
    brake = Brake(clock, limit=3, window_s=60, keys=2)
    for _ in range(3):
        assert not brake.holds("li")
        brake.failed("li")
    assert brake.holds("li") and not brake.holds("wang")
    clock.jump(3600)  # the wall clock does not matter
    assert brake.holds("li")
    clock.advance(61)
    assert not brake.holds("li")
    for key in ("a", "b", "c"):
        brake.failed(key)
    assert len(brake._failures) == 2
