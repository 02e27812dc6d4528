"""Work that may be tried again and again in one task, without what one try leaves behind.

Python 3.11 and 3.12 do not take back the cancellation by which a TaskGroup is woken when one of its tasks fails while it
waits for them (mended in 3.13). Every `asyncio.timeout` of the same task raises CancelledError from then on, and the task ends
without a word. Who goes on after a TaskGroup has failed runs it here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


async def apart(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs `work` in a task of its own and returns or raises what it does; is cancelled with us."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        raise
    return task.result()
