"""The event loop of a server process: uvloop's, which waits and wakes in C; Python's own where that cannot be imported."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_Answer = TypeVar("_Answer")


def run(work: Coroutine[Any, Any, _Answer]) -> _Answer:
    """`asyncio.run`, on the quicker loop."""
    with asyncio.Runner(loop_factory=_quick_loop) as runner:
        return runner.run(work)


def _quick_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
