"""One Asterisk with two agents' phones and a trunk, for all tests here that want no other settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import pytest
import pytest_asyncio

from tests.real.pbx.room import Room, open_room

T = TypeVar("T")


async def held(context: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Opens and closes the context in one task of its own: a fixture's beginning and end are run in two."""
    ready: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def hold() -> None:
        try:
            async with context as value:
                ready.set_result(value)
                await over.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    task = asyncio.get_running_loop().create_task(hold())
    yield await ready
    over.set()
    await task


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def room(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    async for it in held(open_room(tmp_path_factory.mktemp("lab"), {})):
        yield it
