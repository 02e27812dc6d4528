"""Whatever the OpenAPI document allows or forbids, the server answers as the document says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.edge.web.house import real_house


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real rooms in a thread of their own: schemathesis asks synchronously."""
    folder: Path = tmp_path_factory.mktemp("house")
    ready = threading.Event()
    box: dict[str, Any] = {}

    async def play() -> None:
        async with real_house(folder) as house:
            box.update(url=house.url, end=asyncio.Event(), loop=asyncio.get_running_loop())
            ready.set()
            await box["end"].wait()

    thread = threading.Thread(target=asyncio.run, args=(play(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield box["url"]
    box["loop"].call_soon_threadsafe(box["end"].set)
    thread.join(10)


def test_generated_requests_get_the_answers_the_document_promises(url: str) -> None:
    document = requests.get(f"{url}/api/openapi.json", timeout=5).json()
    assert document["openapi"] == "3.1.0"
    schema = schemathesis.openapi.from_dict(document)
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path == "/api/logout":
            continue

        @given(case=operation.as_strategy())
        @settings(
            max_examples=3, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            if isinstance(case.query, dict):
                case.query.pop("after", None)  # a place in the list comes from the list before
            headers = {"Authorization": "Bearer boss-token-of-the-tests"}
            answer = case.call_and_validate(
                base_url=url, headers=headers, timeout=5, excluded_checks=[positive_data_acceptance]
            )
            # What the document allows may break a room's own rule, told by its own id; never the document's.
            assert answer.status_code != 422 or answer.json()["id"] != "http:invalid", answer.text

        ask()
    assert asked > 100
