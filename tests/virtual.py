"""Virtual time: a loop whose clock jumps to its next timer as soon as there is nothing else to do.

A test of a five-second silence takes no five seconds, and no busy machine makes it late: the clock stands still while
anybody works. Sockets on loopback work as usual (what was sent is there before the clock moves on).
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec

P = ParamSpec("P")

IN_FLIGHT_S = 0.004  # what the kernel may need, on a busy machine, to carry bytes from one socket of ours to the other
STUCK_S = 10.0


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
            ready = super().select(STUCK_S)
            if not ready:
                raise RuntimeError("everybody waits, and nothing is left that could wake anybody")
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
