"""Who may: tokens, sessions, roles, and pages of other sites."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.edge.web.desk import Desk, served

NOTE = {"text": "a"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[aiohttp.ClientSession]:
    async with served(desk, origins=("https://desk.example",)) as client:
        yield client


def _own(client: aiohttp.ClientSession) -> str:
    return str(client._base_url.origin())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer nobody"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4ifQ."},
        {"Authorization": "Bearer " + "a" * 5000},
        {"Cookie": "aftercall_session=nobody-session-x"},
        {"Cookie": "aftercall_session=agent-token"},
        {"Authorization": "Bearer agent-session"},
    ],
)
async def test_who_is_not_logged_in_learns_nothing(client: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    async with client.get("/api/notes", headers=headers) as answer:
        assert answer.status == 401
        assert (await answer.json(content_type=None))["id"] == "http:login-needed"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_token_in_the_address_is_not_a_login(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/notes?token=agent-token") as answer:
        assert answer.status == 401


async def test_a_role_that_may_not_is_refused_before_the_body_is_read(
    client: aiohttp.ClientSession, desk: Desk
) -> None:
    async with client.post("/api/boss", data=b"{", headers={"Authorization": "Bearer agent-token"}) as answer:
        assert answer.status == 403
        assert (await answer.json(content_type=None))["id"] == "http:role-needed"
    for who in ("boss", "admin"):
        async with client.post("/api/boss", json=NOTE, headers={"Authorization": f"Bearer {who}-token"}) as answer:
            assert answer.status == 200
    assert len(desk.notes) == 2


async def test_the_console_writes_with_cookie_origin_and_header(client: aiohttp.ClientSession, desk: Desk) -> None:
    headers = {"Cookie": "aftercall_session=agent-session", "Origin": _own(client), "X-Aftercall": "1"}
    async with client.post("/api/notes", json=NOTE, headers=headers) as answer:
        assert answer.status == 200
    async with client.post("/api/notes", json=NOTE, headers={**headers, "Origin": "https://desk.example"}) as answer:
        assert answer.status == 200
    assert len(desk.notes) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Aftercall": "1"},
        {"Origin": "https://evil.example", "X-Aftercall": "1"},
        {"Origin": "null", "X-Aftercall": "1"},
        {"Origin": "OWN"},
        {"Sec-Fetch-Site": "cross-site", "X-Aftercall": "1"},
        {"Sec-Fetch-Site": "same-site", "X-Aftercall": "1"},
        {"Sec-Fetch-Site": "none", "X-Aftercall": "1"},
        {"Origin": "OWN.evil.example", "X-Aftercall": "1"},
    ],
)
async def test_a_foreign_page_cannot_write_with_the_cookie(
    client: aiohttp.ClientSession, desk: Desk, headers: dict[str, str]
) -> None:
    told = {name: value.replace("OWN", _own(client)) for name, value in headers.items()}
    async with client.post(
        "/api/notes", json=NOTE, headers={**told, "Cookie": "aftercall_session=agent-session"}
    ) as answer:
        assert answer.status == 403
        assert (await answer.json(content_type=None))["id"] in ("http:foreign-origin", "http:csrf")
    assert desk.notes == []


async def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(client: aiohttp.ClientSession) -> None:
    async with client.post("/api/enter") as answer:
        cookie = answer.headers["Set-Cookie"]
    assert "aftercall_session=boss-session" in cookie
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=600"} <= {part.strip() for part in cookie.split(";")}
    assert "Secure" not in cookie  # plain HTTP on loopback


async def test_over_tls_the_cookie_is_secure(desk: Desk) -> None:
    async with served(desk, secure=True) as client, client.post("/api/enter") as answer:
        assert "Secure" in answer.headers["Set-Cookie"]
        assert "max-age" in answer.headers["Strict-Transport-Security"]
