"""The HTTP door of the real rooms: everything in the corpus, and whatever Hypothesis thinks of, gets one clear refusal."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from yarl import URL

from tests.edge.web.house import House, real_house
from tests.lots import lots

pytestmark = pytest.mark.asyncio(loop_scope="module")
CORPUS: dict[str, dict[str, Any]] = YAML(typ="safe").load(Path(__file__).parent / "corpus" / "http.yaml")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with real_house(tmp_path_factory.mktemp("house")) as it:
        yield it


def body_of(case: dict[str, Any]) -> bytes | None:
    if "text" in case:
        return str(case["text"]).encode()
    if "hex" in case:
        return bytes.fromhex(case["hex"])
    if "bomb" in case:
        return gzip.compress(b'{"state":"' + b"a" * case["bomb"] + b'"}')
    if "made" in case:
        return "".join(piece * times for piece, times in case["made"]).encode()
    return None


def headers_of(case: dict[str, Any], house: House) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    for name, value in case.get("headers", {}).items():
        headers[name] = (
            value["repeat"][0] + value["repeat"][1] * value["repeat"][2] if isinstance(value, dict) else value
        )
    if "as" in case:
        headers |= house.token(case["as"])
    if "cookie" in case:
        headers["Cookie"] = f"aftercall_session={house.sessions[case['cookie']]}"
    if "session-as-token" in case:
        headers["Authorization"] = f"Bearer {house.sessions[case['session-as-token']]}"
    if case.get("own-origin"):
        headers["Origin"] = house.url
    return headers


@pytest.mark.parametrize("name", CORPUS)
async def test_what_is_in_the_corpus_is_refused_once_and_clearly_and_nothing_is_done(house: House, name: str) -> None:
    case = CORPUS[name]
    method, _, path = case["send"].partition(" ")
    before = await house.rows(), await house.states()
    body = body_of(case)
    address = URL(house.url + path, encoded=True)
    data = io.BytesIO(body) if body is not None else None
    status, error_id = case["expect"]
    async with house.client.request(method, address, data=data, headers=headers_of(case, house)) as answer:
        text = await answer.text()
        assert answer.status == status, text
        assert answer.content_type == "application/problem+json"
        assert "Set-Cookie" not in answer.headers
    problem = json.loads(text)
    assert problem["status"] == status and problem["title"]
    assert error_id is None or problem["id"] == error_id
    for secret in (
        "Traceback",
        "site-packages",
        "sqlite",
        "root:",
        "SELECT ",
        "+8613812345678",
        "a-password-of-the-tests",
    ):
        assert secret not in text
    assert (await house.rows(), await house.states()) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["state", "reason", "action", "disposition", "note", "seconds", "user", "password"])
WRITES = st.sampled_from([
    "/api/agents/101/state", "/api/agents/101/wrap-up", "/api/agents/102/state", "/api/login",
])  # fmt: skip
READS = st.sampled_from(
    ["/api/calls", "/api/recordings", "/api/orders", "/api/agents", "/api/queues", "/api/me", "/health"]
)
QUERY = st.sampled_from(["limit", "after", "queue", "agent", "phone", "order_no", "interaction_id", "sort"])
SEARCH = settings(
    max_examples=lots(120), deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(path=WRITES, body=JSON | st.dictionaries(NAMES, JSON, max_size=3) | st.binary(max_size=60))
@SEARCH
async def test_no_body_is_our_fault(house: House, path: str, body: Any) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **house.token("agent")}
    async with house.client.post(path, data=io.BytesIO(data), headers=headers) as answer:
        await _answered(answer)


@given(path=READS, query=st.lists(st.tuples(QUERY, st.text(max_size=40)), max_size=3), tail=st.text(max_size=20))
@SEARCH
async def test_no_address_is_our_fault(house: House, path: str, query: list[tuple[str, str]], tail: str) -> None:
    sound = [(name, value.encode("utf-8", "replace").decode()) for name, value in query]
    address = (
        URL(house.url + path, encoded=True) / quote(tail, safe="", errors="replace") if tail else URL(house.url + path)
    )
    async with house.client.get(address.with_query(sound), headers=house.token("boss")) as answer:
        await _answered(answer)


async def _answered(answer: aiohttp.ClientResponse) -> None:
    text = await answer.text()
    assert answer.status < 500, text
    assert answer.status < 400 or answer.content_type == "application/problem+json"


async def test_after_all_that_the_house_works(house: House) -> None:
    headers = {"Cookie": f"aftercall_session={house.sessions['agent']}", "Origin": house.url, "X-Aftercall": "1"}
    async with house.client.post("/api/agents/101/state", json={"state": "READY"}, headers=headers) as answer:
        assert answer.status == 200
    assert (await house.states())[0] == "101 READY"
    async with house.client.get("/api/calls/n1-1.1", headers=house.token("agent")) as answer:
        assert (await answer.json())["ani"] == "+8613812345678"
    async with house.client.get("/api/calls/n1-2.1", headers=house.token("agent")) as answer:
        assert answer.status == 200 and "+8613812345678" not in await answer.text()
    assert house.switch.asked == []
