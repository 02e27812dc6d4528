"""The live feed's door: who gets in, what they get, and what happens to nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from app.live.hub import Hub
from app.live.model import new_board
from app.live.socket import live_handler
from core.clock import SystemClock
from core.events import pbx
from core.http.routes import Caller
from core.http.server import HttpOptions, new_app, serve
from core.ids import CountingIds
from tests.edge.web.desk import People

LI = {"Authorization": "Bearer agent-token"}
BOSS = {"Authorization": "Bearer boss-token"}
CARD = {"offer_id": "o1", "order": {"order_no": "A1"}}


class Leavers(People):
    """People who can be logged out."""

    def __init__(self) -> None:
        self.out = False

    async def caller_for_token(self, token: str) -> Caller | None:
        return None if self.out else await super().caller_for_token(token)


class Feed:
    def __init__(self) -> None:
        board = new_board(agents={"101": "Li Na"}, queues=["service"])
        self.hub = Hub(board, clock=SystemClock(), ids=CountingIds("feed"))
        self.people = Leavers()
        self.client: aiohttp.ClientSession

    def arrive(self, number: int) -> None:
        event = pbx.CallArrived(
            interaction_id=f"n1-{number}.1", at=SystemClock().now(), ani="+8613812345678", dnis="800", channel="c"
        )
        self.hub.handle(event)

    @asynccontextmanager
    async def socket(self, headers: dict[str, str], **query: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        async with self.client.ws_connect("/api/live", headers=headers, params=query, max_msg_size=0) as socket:
            yield socket


@pytest.fixture
async def feed() -> AsyncIterator[Feed]:
    made = Feed()
    options = HttpOptions(ids=CountingIds("req"))
    app = new_app(options)
    app.router.add_get("/api/live", live_handler(made.hub, made.people, ["https://desk.example"], recheck_s=0.05))
    jar = aiohttp.DummyCookieJar()
    async with (
        serve(app, "127.0.0.1", 0) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}", cookie_jar=jar) as c,
    ):
        made.client = c
        yield made


async def until(socket: aiohttp.ClientWebSocketResponse, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    async with asyncio.timeout(3):
        while True:
            message: dict[str, Any] = await socket.receive_json()
            if fits(message):
                return message


async def ended(socket: aiohttp.ClientWebSocketResponse) -> tuple[list[dict[str, Any]], int | None]:
    """All messages up to the end, and the close code."""
    messages = []
    async with asyncio.timeout(3):
        async for frame in socket:
            messages.append(frame.json())
    return messages, socket.close_code


async def test_a_snapshot_then_what_changes(feed: Feed) -> None:
    async with feed.socket(BOSS) as socket:
        first = await socket.receive_json(timeout=3)
        assert first["type"] == "snapshot" and first["me"]["name"] == "Chen"
        assert first["board"]["queues"]["service"]["waiting"] == 0
        feed.arrive(1)
        patch = await socket.receive_json(timeout=3)
        assert patch["type"] == "patch" and patch["seq"] == first["seq"] + 1
        assert patch["set"]["calls"]["n1-1.1"]["ani"] == "+8613812345678"


async def test_an_agent_sees_numbers_masked(feed: Feed) -> None:
    async with feed.socket(LI) as socket:
        feed.arrive(1)
        patch = await until(socket, lambda message: message["type"] == "patch")
        assert patch["set"]["calls"]["n1-1.1"]["ani"] == "+86*******5678"


async def test_who_comes_back_gets_what_was_missed(feed: Feed) -> None:
    feed.arrive(1)
    async with feed.socket(BOSS) as socket:
        first = await socket.receive_json(timeout=3)
    feed.arrive(2)
    feed.arrive(3)
    async with feed.socket(BOSS, since=str(first["seq"]), feed=first["feed"]) as socket:
        missed = await socket.receive_json(timeout=3)
        assert missed["type"] == "patch" and missed["set"]["calls"].keys() == {"n1-2.1", "n1-3.1"}
    async with feed.socket(BOSS, since="banana") as socket:
        assert (await socket.receive_json(timeout=3))["type"] == "snapshot"


async def test_the_card_is_on_the_wire_when_push_returns_and_can_be_dismissed(feed: Feed) -> None:
    async with feed.socket(LI) as li, feed.socket(BOSS) as boss:
        await li.receive_json(timeout=3)
        await boss.receive_json(timeout=3)
        assert await feed.hub.push_card("101", CARD) == 1
        assert (await li.receive_json(timeout=3))["card"] == CARD
        await li.send_json({"type": "dismiss", "offer_id": "o1"})
        assert (await li.receive_json(timeout=3))["type"] == "card_dismissed"
        assert feed.hub.card_of("101") is None
        feed.arrive(1)
        assert (await boss.receive_json(timeout=3))["type"] == "patch"  # and no card before it


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer nobody"}, 401),
        ({**LI, "Origin": "https://evil.example"}, 403),
        ({"Cookie": "aftercall_session=agent-session", "Origin": "null"}, 403),
    ],
)
async def test_strangers_do_not_listen(feed: Feed, headers: dict[str, str], status: int) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with feed.socket(headers):
            pass
    assert caught.value.status == status
    assert feed.hub.seats == 0


async def test_a_token_in_the_address_opens_nothing(feed: Feed) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with feed.socket({}, token="agent-token"):
            pass
    assert caught.value.status == 401


async def test_the_console_listens_with_its_cookie(feed: Feed) -> None:
    headers = {"Cookie": "aftercall_session=agent-session", "Origin": str(feed.client._base_url.origin())}
    async with feed.socket(headers) as socket:
        assert (await socket.receive_json(timeout=3))["me"]["extension"] == "101"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "hello",
        "[]",
        '{"type":"become_admin"}',
        '{"type":"dismiss"}',
        '{"type":"dismiss","offer_id":1}',
        '{"a":NaN}',
    ],
)
async def test_nonsense_gets_one_error_and_the_end(feed: Feed, text: str) -> None:
    async with feed.socket(LI) as socket:
        await socket.send_str(text)
        messages, code = await ended(socket)
        assert [message["id"] for message in messages if message["type"] == "error"] == ["live:not-understood"]
        assert code == 1003


async def test_a_frame_of_sixteen_megabytes_is_not_taken(feed: Feed) -> None:
    async with feed.socket(LI) as socket:
        try:
            await socket.send_str("a" * 16_000_000)
            _, code = await ended(socket)
        except ConnectionError:
            return
        assert code in (1009, 1006)


async def test_a_thousand_messages_at_once_are_too_many(feed: Feed) -> None:
    async with feed.socket(LI) as socket:
        try:
            for _ in range(1000):
                await socket.send_str('{"type":"ping"}')
            messages, code = await ended(socket)
        except ConnectionError:
            return
        assert code == 1008 and messages[-1]["id"] == "live:too-many"


async def test_binary_is_not_understood(feed: Feed) -> None:
    async with feed.socket(LI) as socket:
        await socket.send_bytes(b"\x00\x01")
        _, code = await ended(socket)
        assert code == 1003


async def test_who_is_logged_out_stops_hearing(feed: Feed) -> None:
    async with feed.socket(LI) as socket:
        await socket.receive_json(timeout=3)
        feed.people.out = True
        messages, code = await ended(socket)
        assert code == 4401 and messages[-1]["id"] == "http:login-needed"
    assert feed.hub.seats == 0


async def test_the_address_without_an_upgrade_says_what_it_is(feed: Feed) -> None:
    async with feed.client.get("/api/live", headers=LI) as answer:
        assert answer.status == 426
        assert (await answer.json(content_type=None))["id"] == "live:not-a-websocket"
