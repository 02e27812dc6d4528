"""The same by REST where the roles live apart."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.world.outside import OutsideWorld
from tests.real.pbx.conftest import held
from tests.real.pbx.test_transfer import CALLER_HZ, FIRST_HZ, SECOND_HZ, has_music, hears, until
from tests.real.routing.conftest import SETTINGS
from tests.real.routing.test_control import opened

pytestmark = pytest.mark.asyncio(loop_scope="module")
APART = {**SETTINGS, "SPLIT__PROCESSES": '["telephony", "acd", "web,worker,transcriber"]'}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apart(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OutsideWorld]:
    async for it in held(OutsideWorld(tmp_path_factory.mktemp("apart") / "home", settings=APART)):
        yield it


async def test_hold_and_consult_go_the_same_way_between_processes(apart: OutsideWorld) -> None:
    async with opened(apart, 2) as desk:
        await desk.calls()
        assert (await desk.post("control", {"action": "hold"}))["doing"] == "held"
        await until(lambda: has_music(desk.caller))
        await desk.post("consult", {"agent": desk.ext(1)})
        second = await desk.picks_up()
        await until(lambda: hears(desk.first, SECOND_HZ) and hears(second, FIRST_HZ))
        assert "routing:not-now" in await desk.refused("control", {"action": "park"})
        assert (await desk.post("control", {"action": "complete"}))["doing"] == "gone"
        await until(lambda: hears(desk.caller, SECOND_HZ) and hears(second, CALLER_HZ))
        assert "routing:agent-not-free" in await desk.refused("transfer", {"agent": desk.ext(1)}, by=1)
