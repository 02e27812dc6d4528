"""Virtual time: a loop whose clock jumps to its next timer as soon as there is nothing else to do.

A test of a five-second silence takes no five seconds, and no busy machine makes it late: the clock stands still while
anybody works. Sockets on loopback work as usual (what was sent is there before the clock moves on). Whoever waits for something
that nothing will ever bring about fails, as Stuck. Not for threads (a database).
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec

P = ParamSpec("P")

IN_FLIGHT_S = 0.004  # what the kernel may need, on a busy machine, to carry bytes from one socket of ours to the other
STUCK_S = 10.0
LOOK_S = 0.01
START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Stuck(RuntimeError):
    """Every task waits, and there is no timer and no socket that could wake one of them."""


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Waits in virtual time: a timeout passes at once when nothing is ready."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        sockets = len(self.get_map()) > 1  # one is the loop's own
        ready = super().select(0)
        if not ready and sockets and timeout != 0:
            ready = super().select(IN_FLIGHT_S)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            ready = super().select(STUCK_S if sockets else 0)
            if not ready:
                raise Stuck("everybody waits, and nothing is left that could wake anybody")
            return ready
        self.loop.jump(max(0.0, timeout))
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self._now = 1000.0
        super().__init__(selector)

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds

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


def virtual_time(test: Callable[P, Awaitable[Any]]) -> Callable[P, None]:
    """Runs an async test on a loop of virtual time."""

    async def whole(*args: Any, **kwargs: Any) -> None:
        try:
            await test(*args, **kwargs)
        finally:
            for _ in range(4):
                await asyncio.sleep(0)  # closed sockets are let go of in the loop's next turns

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(whole(*args, **kwargs))

    return run


def now() -> float:
    """Seconds on the running loop's clock."""
    return asyncio.get_running_loop().time()


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
