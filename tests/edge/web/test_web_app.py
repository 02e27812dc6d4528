"""The whole web application on a stage: logging in, calls, sound, health, figures, the console's files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.edge.web.stage import PASSWORD, Stage, stage

CHEN = {"Authorization": "Bearer chen-token"}
LI = {"Authorization": "Bearer li.na-token"}


@pytest.fixture
def console(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Aftercall</title>")
    (folder / "assets" / "index-abc.js").write_text("1")
    (folder / ".secret").write_text("secret")
    (tmp_path / "outside.js").write_text("secret")
    (folder / "assets" / "link.js").symlink_to(tmp_path / "outside.js")
    return folder


@pytest.fixture
async def played(tmp_path: Path, console: Path) -> AsyncIterator[tuple[Stage, str]]:
    async with stage(tmp_path, console=console) as (play, url):
        yield play, url


@pytest.fixture
async def client(played: tuple[Stage, str]) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(played[1], cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        yield client


async def _log_in(client: aiohttp.ClientSession, user: str, password: str = PASSWORD) -> int:
    async with client.post("/api/login", json={"user": user, "password": password}) as answer:
        return answer.status


async def test_a_session_begins_with_the_password_and_ends_with_the_log_out(client: aiohttp.ClientSession) -> None:
    assert await _log_in(client, "li.na") == 200
    async with client.get("/api/me") as answer:
        me = await answer.json()
        assert (me["extension"], me["roles"], me["via"]) == ("101", ["agent"], "session")
    headers = {"Origin": str(client._base_url.origin()), "X-Aftercall": "1"}
    async with client.post("/api/logout", headers=headers) as answer:
        assert answer.status == 204
    async with client.get("/api/me") as answer:
        assert answer.status == 401


async def test_an_old_cookie_does_not_keep_anybody_out(client: aiohttp.ClientSession) -> None:
    client.cookie_jar.update_cookies({"aftercall_session": "of-yesterday"}, client._base_url)
    assert await _log_in(client, "li.na") == 200


async def test_a_foreign_page_cannot_log_anybody_in(client: aiohttp.ClientSession) -> None:
    body = {"user": "li.na", "password": PASSWORD}
    async with client.post("/api/login", json=body, headers={"Origin": "https://evil.example"}) as answer:
        assert answer.status == 403 and "Set-Cookie" not in answer.headers


async def test_guessing_is_braked_and_tells_nothing(client: aiohttp.ClientSession) -> None:
    async with client.post("/api/login", json={"user": "li.na", "password": "x"}) as wrong_password:
        one = await wrong_password.json(content_type=None)
    async with client.post("/api/login", json={"user": "nobody", "password": "x"}) as wrong_name:
        two = await wrong_name.json(content_type=None)
    assert {**one, "request_id": ""} == {**two, "request_id": ""} and one["id"] == "auth:wrong-login"
    statuses = [await _log_in(client, "li.na", "x") for _ in range(8)]
    assert statuses[-1] == 429
    assert await _log_in(client, "li.na") == 429  # the right one too, for a minute
    assert await _log_in(client, "chen") == 200


async def test_the_list_of_calls_is_walked_page_by_page_newest_first(client: aiohttp.ClientSession) -> None:
    seen: list[str] = []
    times: list[str] = []
    after = ""
    while True:
        query = {"limit": "20", **({"after": after} if after else {})}
        async with client.get("/api/calls", params=query, headers=CHEN) as answer:
            page = await answer.json()
        seen += [row["id"] for row in page["items"]]
        times += [row["arrived_at"] for row in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert len(seen) == len(set(seen)) == 64
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("after", ["x", "W10", "../..", "e30"])
async def test_a_made_up_place_in_the_list_is_refused(client: aiohttp.ClientSession, after: str) -> None:
    async with client.get("/api/calls", params={"after": after}, headers=CHEN) as answer:
        assert answer.status == 422


async def test_an_agent_sees_the_own_call_whole_and_others_without_personal_data(
    client: aiohttp.ClientSession, played: tuple[Stage, str]
) -> None:
    calls = played[0].past.calls
    own = next(call for call in calls if call.agents == ("101",) and call.has_transcript and call.ended_at)
    other = next(call for call in calls if call.agents == ("102",) and call.has_transcript and call.ended_at)
    async with client.get(f"/api/calls/{own.id}", headers=LI) as answer:
        story = await answer.json()
        assert story["ani"] == own.ani and story["transcript"]["turns"] and not story["hidden"]
        assert any(moment["data"].get("note") for moment in story["timeline"])
    async with client.get(f"/api/calls/{other.id}", headers=LI) as answer:
        text = await answer.text()
        story = await answer.json()
    assert story["hidden"] and story["recording"] is None and story["transcript"] is None
    assert other.ani not in text and "will call back" not in text and "58117004" not in text
    async with client.get(f"/api/calls/{other.id}", headers=CHEN) as answer:
        assert (await answer.json())["ani"] == other.ani


async def test_the_timeline_says_what_happened_in_order(
    client: aiohttp.ClientSession, played: tuple[Stage, str]
) -> None:
    call = next(call for call in played[0].past.calls if call.has_recording and call.ended_at)
    async with client.get(f"/api/calls/{call.id}", headers=CHEN) as answer:
        story = await answer.json()
    kinds = [moment["kind"] for moment in story["timeline"]]
    assert kinds[0] == "CallArrived" and kinds.index("CardPushed") < kinds.index("OfferRinging")
    assert "session" not in str(story["timeline"])
    async with client.get(story["recording"]["url"], headers={**CHEN, "Range": "bytes=0-43"}) as answer:
        assert answer.status == 206 and (await answer.read())[:4] == b"RIFF"


async def test_a_call_that_is_not_there_is_a_404(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/calls/n9-1.1", headers=CHEN) as answer:
        assert answer.status == 404 and (await answer.json(content_type=None))["id"] == "core:call-not-found"


async def test_health_says_in_words_what_is_wrong_and_what_it_means(
    client: aiohttp.ClientSession, played: tuple[Stage, str]
) -> None:
    played[0].health_words = "Redis does not answer."
    for path, headers in (("/health", {}), ("/api/health", LI)):
        async with client.get(path, headers=headers) as answer:
            report = await answer.json()
            assert answer.status == 200 and report["state"] == "degraded"
            assert report["parts"][0]["means"] == "Live push between processes stops; calls go on."
    async with client.get("/api/health") as answer:
        assert answer.status == 401


async def test_figures_are_for_this_machine_and_for_supervisors(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics") as answer:
        text = await answer.text()
        assert answer.status == 200 and "aftercall_live_sockets" in text
    async with client.get("/metrics") as answer:
        assert 'aftercall_http_requests_total{method="GET",route="/metrics",status="200"} 1.0' in await answer.text()
    away = {"X-Forwarded-For": "203.0.113.9"}
    for headers, status in ((away, 403), ({**away, **LI}, 403), ({**away, **CHEN}, 200)):
        async with client.get("/metrics", headers=headers) as answer:
            assert answer.status == status


@pytest.mark.parametrize("path", ["/", "/wallboard", "/calls/n1-17.1/", "/agent"])
async def test_the_console_answers_its_own_addresses(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        expected = 404 if path.endswith(".1/") else 200
        assert answer.status in (200, expected)
        if answer.status == 200:
            assert "Aftercall" in await answer.text() and answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["/.secret", "/../outside.js", "/..%2foutside.js", "/assets/link.js", "/%2e%2e/outside.js", "/assets/..%5c..%5cx.js",
     "//etc/passwd", "/api/unknown", "/nothing.js"],
)  # fmt: skip
async def test_nothing_outside_the_console_is_served(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(URL(str(client._base_url.origin()) + path, encoded=True)) as answer:
        text = await answer.text()
        assert "secret" not in text and "root:" not in text
        assert answer.status in (401, 404) or "Aftercall" in text


async def test_files_with_a_hash_may_be_kept(client: aiohttp.ClientSession) -> None:
    async with client.get("/assets/index-abc.js") as answer:
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.content_type == "text/javascript"
