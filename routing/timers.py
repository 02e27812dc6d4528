"""Timers by name: starting one anew replaces the one before, stopping one that is not there is nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timers:
    """To be used inside a running loop. `call` runs in the loop, synchronously, when the time is over."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.TimerHandle] = {}

    def start(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        self.stop(name)

        def over() -> None:
            self._running.pop(name, None)
            call()

        self._running[name] = asyncio.get_running_loop().call_later(seconds, over)

    def stop(self, name: str) -> None:
        timer = self._running.pop(name, None)
        if timer is not None:
            timer.cancel()

    def runs(self, name: str) -> bool:
        return name in self._running

    def stop_all(self, prefix: str = "") -> None:
        for name in [name for name in self._running if name.startswith(prefix)]:
            self.stop(name)
