"""The desk: versions that never change, one after the other, in force everywhere as soon as they are committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from routing.policy.desk import PolicyDesk
from routing.policy.document import PolicyRefused
from routing.policy.text import read_policy
from tests.lots import lots
from tests.suites.core.place import Place
from tests.suites.routing.policies import FALLBACK, PolicyPromises
from tests.unit.routing.policy.documents import damaged


class TestDesk(PolicyPromises): ...


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


@settings(max_examples=lots(80), suppress_health_check=list(HealthCheck))
@given(damaged())
def test_a_damaged_text_is_published_only_when_it_is_good(loop: asyncio.AbstractEventLoop, text: str) -> None:
    class Never:
        """A database that must not be written."""

        def read(self) -> Any:
            return _nothing()

        def unit(self, actor: str) -> Any:
            raise AssertionError("a bad text was about to be published")

    async def known(_conn: Any) -> Any:
        return None

    desk = PolicyDesk(Never(), Place("").clock, FALLBACK, known=known)  # type: ignore[arg-type]
    if read_policy(text, "policy")[1]:
        with pytest.raises(PolicyRefused):
            loop.run_until_complete(desk.publish(text, revision=0, actor="user:x"))
        assert desk.policy == FALLBACK.policy


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield None
