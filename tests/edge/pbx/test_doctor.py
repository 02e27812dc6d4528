"""The second opinion never hangs and never raises, whatever answers at the door."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator

import pytest

from pbx import doctor
from tests.edge.pbx.manager import Manager

pytestmark = [  # pyst2 is of 2019, and leaves a socket to the collector when it is refused
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
LEFT = ("doctor", "asyncio")  # a doctor whom a frozen switch keeps waiting ends with its process


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    """What pyst2's finalizers warn of is told within their own test."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 10
    while [thread for thread in set(threading.enumerate()) - before if not thread.name.startswith(LEFT)]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    gc.collect()


async def ask(port: int) -> list[doctor.Finding]:
    return await asyncio.to_thread(
        doctor.ask, "127.0.0.1", port, "doctor", "a-secret", believed_calls=[], trunk="trunk", agents=[]
    )


async def test_a_switch_that_is_down_is_a_finding() -> None:
    async with Manager().listening() as manager:
        port = manager.port
    (found,) = await ask(port)
    assert not found.ok and "refused" in found.what and found.fix


@pytest.mark.parametrize("silent_at", ["greeting", "login"])
async def test_a_frozen_switch_is_a_finding_after_a_few_seconds(
    silent_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "DEADLINE_S", 0.3)
    async with Manager().listening() as manager:
        manager.frozen = True
        manager.banner = b"" if silent_at == "greeting" else manager.banner
        begun = time.monotonic()
        (found,) = await ask(manager.port)
        assert not found.ok and "does not answer" in found.what and "a-secret" not in found.what
        assert time.monotonic() - begun < 2
