"""Time without waiting: an event loop whose clock jumps to the next timer, and the product's clock on it.

A test marked `@in_virtual_time` lives through hours in milliseconds and never depends on how busy the machine is. Whoever
waits for something that no timer and no task will ever bring about fails at once, as Stuck. Not for threads (a database).
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec

P = ParamSpec("P")
LOOK_S = 0.01
START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Stuck(RuntimeError):
    """Every task waits, and there is no timer that could wake one of them."""


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]  # the platform's best, chosen at run time
    """Instead of waiting for as long as the loop would, moves the clock there."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Stuck("every task waits and no timer runs")
        self.now_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    def live(self, seconds: float) -> None:
        """From outside the loop: everything due in the next `seconds` happens."""
        self.run_until_complete(asyncio.sleep(seconds))


class LoopClock:
    """The product's clock on a loop's time; the wall clock can be moved alone, as an operator would."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._began = self._loop.time()
        self._moved = timedelta()

    def now(self) -> datetime:
        moment = START + self._moved + timedelta(seconds=self._loop.time() - self._began)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return self._loop.time()

    def jump(self, seconds: float) -> None:
        self._moved += timedelta(seconds=seconds)


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an async test on a VirtualLoop."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def until(holds: Callable[[], object], *, within_s: float = 60.0) -> None:
    """Virtual seconds go by until it holds; fails when it does not within `within_s`."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(LOOK_S)


async def never(holds: Callable[[], object], *, for_s: float) -> None:
    """Fails when it holds at any moment of the next `for_s` seconds (looked at every 10 ms of them)."""
    for _ in range(int(for_s / LOOK_S)):
        assert not holds()
        await asyncio.sleep(LOOK_S)
