"""The HTTP door: bad input is refused with one clear error, nothing is lost and nothing is executed."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.edge.web.desk import Desk, raw, served

TOKEN = {"Authorization": "Bearer agent-token"}
JSON = {**TOKEN, "Content-Type": "application/json"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[aiohttp.ClientSession]:
    async with served(desk, body_deadline_s=0.3, handler_deadline_s=0.3) as client:
        yield client


async def _refused(answer: aiohttp.ClientResponse, status: int, error_id: str) -> dict[str, object]:
    text = await answer.text()
    assert answer.status == status, text
    assert answer.content_type == "application/problem+json"
    problem = json.loads(text)
    assert (problem["id"], problem["status"]) == (error_id, status)
    assert "Traceback" not in text and "/site-packages/" not in text
    return problem


async def test_a_good_body_reaches_the_handler(client: aiohttp.ClientSession, desk: Desk) -> None:
    async with client.post("/api/notes", json={"text": "你好", "stars": 5}, headers=TOKEN) as answer:
        assert answer.status == 200
        assert await answer.json() == {"text": "你好", "who": "Li Na"}
    assert desk.notes[0].stars == 5


@pytest.mark.parametrize(
    ("body", "status", "error_id"),
    [
        (b"{", 400, "http:bad-json"),
        (b'{"text": NaN}', 400, "http:bad-json"),
        (b'{"text":"a","text":"b"}', 400, "http:bad-json"),
        (b'{"text":"a","inner":' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, "http:bad-json"),
        (b'{"text":"\xff"}', 400, "http:bad-json"),
        (b"[]", 422, "http:invalid"),
        (b"", 400, "http:bad-json"),
        (b'{"text":"a","stars":6}', 422, "http:invalid"),
        (b'{"text":"a","stars":"5"}', 422, "http:invalid"),
        (b'{"text":"a","stars":true}', 422, "http:invalid"),
        (b'{"text":"a","admin":true}', 422, "http:invalid"),
        (b'{"text":1}', 422, "http:invalid"),
        (b'{"text":"' + b"a" * 1_100_000 + b'"}', 413, "http:too-large"),
    ],
)
async def test_a_bad_body_is_refused_and_nothing_is_done(
    client: aiohttp.ClientSession, desk: Desk, body: bytes, status: int, error_id: str
) -> None:
    async with client.post("/api/notes", data=io.BytesIO(body), headers=JSON) as answer:
        await _refused(answer, status, error_id)
    assert desk.notes == []


async def test_the_refusal_names_each_wrong_part_but_does_not_repeat_it(client: aiohttp.ClientSession) -> None:
    async with client.post("/api/notes", json={"text": 7, "pin": "hunter2"}, headers=TOKEN) as answer:
        problem = await _refused(answer, 422, "http:invalid")
    assert {fault["at"] for fault in problem["errors"]} == {"body.text", "body.pin"}
    assert "hunter2" not in json.dumps(problem)


async def test_a_gzip_bomb_is_not_unpacked(client: aiohttp.ClientSession, desk: Desk) -> None:
    bomb = gzip.compress(b'{"text":"' + b"a" * 50_000_000 + b'"}')
    async with client.post("/api/notes", data=bomb, headers={**JSON, "Content-Encoding": "gzip"}) as answer:
        await _refused(answer, 415, "http:encoded-body")
    assert desk.notes == []


async def test_a_form_is_not_json(client: aiohttp.ClientSession) -> None:
    async with client.post("/api/notes", data={"text": "a"}, headers=TOKEN) as answer:
        await _refused(answer, 415, "http:not-json")


async def test_twenty_megabytes_in_chunks_are_cut_off(client: aiohttp.ClientSession) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(320):
            yield b"a" * 65536

    try:
        async with client.post("/api/notes", data=endless(), headers=JSON) as answer:
            await _refused(answer, 413, "http:too-large")
    except aiohttp.ClientConnectionError:
        pass  # the server hung up while we were still sending: as good


async def test_a_body_that_never_comes_is_given_up(client: aiohttp.ClientSession) -> None:
    port = client._base_url.port
    head = b"POST /api/notes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer agent-token\r\nContent-Length: 90\r\n\r\n{"
    answer = await raw(port, head)
    assert answer.startswith(b"HTTP/1.1 408") and b"http:slow-body" in answer


async def test_a_handler_that_hangs_is_answered_for(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/slow", headers=TOKEN) as answer:
        await _refused(answer, 503, "http:deadline")
        assert answer.headers["Retry-After"]


async def test_our_own_fault_says_nothing_about_the_inside(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/broken", headers=TOKEN) as answer:
        problem = await _refused(answer, 500, "http:internal")
    assert "passwd" not in json.dumps(problem)


async def test_an_answer_that_breaks_its_promise_is_our_fault(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/wrong", headers=TOKEN) as answer:
        await _refused(answer, 500, "http:internal")


async def test_a_lost_database_is_a_503_without_its_address(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/gone", headers=TOKEN) as answer:
        problem = await _refused(answer, 503, "core:service-unavailable")
    assert "10.0.0.1" not in json.dumps(problem)


@pytest.mark.parametrize(
    "query",
    [
        "limit=1000000000",
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=5&limit=6",
        "sort=password",
        "limit=1e3",
        "after=%00",
    ],
)
async def test_queries_keep_their_bounds(client: aiohttp.ClientSession, query: str) -> None:
    async with client.get(f"/api/notes?{query}", headers=TOKEN) as answer:
        assert answer.status in (400, 422)
        assert answer.content_type == "application/problem+json"


async def test_errors_of_the_rooms_keep_their_ids(client: aiohttp.ClientSession) -> None:
    async with client.get("/api/notes/odd", headers=TOKEN) as answer:
        problem = await _refused(answer, 422, "notes:odd")
        assert problem["detail"] == "Be even."
    async with client.get("/api/notes/7", headers=TOKEN) as answer:
        await _refused(answer, 404, "core:note-not-found")


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/api/notes/%00", "/api/notes/a%0ab", "/api/sound/..%2f..%2fetc%2fpasswd"]
)
async def test_strange_addresses_lead_nowhere(client: aiohttp.ClientSession, path: str) -> None:
    from yarl import URL

    async with client.get(URL(path, encoded=True), headers=TOKEN) as answer:
        assert answer.status in (400, 404)
        assert answer.content_type == "application/problem+json"


async def test_another_method_is_told_what_is_allowed(client: aiohttp.ClientSession) -> None:
    async with client.delete("/api/notes", headers=TOKEN) as answer:
        await _refused(answer, 405, "http:method-not-allowed")
        assert set(answer.headers["Allow"].split(",")) >= {"GET", "POST"}


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    ],
)  # fmt: skip
async def test_bytes_that_are_no_request_do_not_disturb_the_next(client: aiohttp.ClientSession, sent: bytes) -> None:
    answer = await raw(client._base_url.port, sent)
    assert answer == b"" or answer.split(b" ", 2)[1] in (b"400", b"404", b"505"), answer[:200]
    assert b"Traceback" not in answer
    async with client.get("/api/notes", headers=TOKEN) as good:
        assert good.status == 200


async def test_every_answer_carries_the_protecting_headers(client: aiohttp.ClientSession) -> None:
    for path in ("/api/notes", "/api/nothing", "/api/broken"):
        async with client.get(path, headers=TOKEN) as answer:
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["X-Frame-Options"] == "DENY"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Request-Id"]
            assert answer.headers["Server"] == "aftercall"


async def test_a_file_is_served_whole_and_in_ranges(client: aiohttp.ClientSession, desk: Desk) -> None:
    (desk.folder / "a.wav").write_bytes(bytes(range(200)))
    async with client.get("/api/sound/a.wav", headers=TOKEN) as answer:
        assert (answer.status, answer.content_type, len(await answer.read())) == (200, "audio/wav", 200)
        assert "%E9%80%9A" in answer.headers["Content-Disposition"]
    async with client.get("/api/sound/a.wav", headers={**TOKEN, "Range": "bytes=10-19"}) as answer:
        assert answer.status == 206
        assert await answer.read() == bytes(range(10, 20))
        assert answer.headers["Content-Range"] == "bytes 10-19/200"
    async with client.get("/api/sound/a.wav", headers={**TOKEN, "Range": "bytes=900-"}) as answer:
        assert answer.status == 416
    async with client.get("/api/sound/b.wav", headers=TOKEN) as answer:
        await _refused(answer, 404, "core:file-not-found")
