"""One whole world for all tests here: real callers, real phones, REST from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.world.outside import OutsideWorld
from tests.real.pbx.conftest import held

SETTINGS = {
    "SPEECH__ENABLED": "false",
    "SUPERVISOR__STANDBY": "false",
    "QUEUES": '{"service":{"wrap_up_s":2,"whisper":true},"express":{"wrap_up_s":2}}',
    "OUTBOUND__ALLOW": '["1390000"]',
}


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OutsideWorld]:
    async for it in held(OutsideWorld(tmp_path_factory.mktemp("world") / "home", settings=SETTINGS)):
        yield it
