"""What is tried again in one task is not spoilt by how it failed before."""

from __future__ import annotations

import asyncio

import pytest

from core.tasks import apart


async def _a_group_fails() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise OSError("gone")

    async with asyncio.TaskGroup() as group:
        group.create_task(fail())
        group.create_task(asyncio.sleep(60))


async def test_a_deadline_after_a_failed_group_is_a_timeout_and_no_cancellation() -> None:
    with pytest.raises(ExceptionGroup):
        await apart(_a_group_fails())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)


async def test_work_apart_returns_its_result_and_ends_with_us() -> None:
    ended = asyncio.Event()

    async def long() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def answer() -> int:
        return 42

    assert await apart(answer()) == 42
    task = asyncio.get_running_loop().create_task(apart(long()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
