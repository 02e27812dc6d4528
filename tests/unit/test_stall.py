"""A loop that is held is told once, with the place that holds it."""

from __future__ import annotations

import time

import structlog

from app.stall import StallWatch


def _holds_the_loop(watch: StallWatch, *, stalls: int) -> None:
    deadline = time.monotonic() + 10
    while watch.stalls < stalls and time.monotonic() < deadline:
        sum(range(1000))


def test_a_blocked_loop_is_told_once_with_the_place_that_blocks_it() -> None:
    with structlog.testing.capture_logs() as logs:
        watch = StallWatch(late_s=0.1, look_s=0.02)
        watch.start()
        _holds_the_loop(watch, stalls=1)
        watch.beat()
        beaten = time.monotonic()
        while watch.stalls == 1 and time.monotonic() - beaten < 0.06:
            watch.beat()
            time.sleep(0.02)
        _holds_the_loop(watch, stalls=2)
        watch.stop()
    assert [entry["event"] for entry in logs] == ["loop_blocked", "loop_blocked"]
    assert any("_holds_the_loop" in place for place in logs[0]["where"])
