"""The live feed's door of the real rooms: everything in the corpus ends one socket, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from ruamel.yaml import YAML

from core.clock import SystemClock
from core.events import pbx
from tests.edge.web.house import House, real_house

pytestmark = pytest.mark.asyncio(loop_scope="module")
CORPUS: dict[str, dict[str, Any]] = YAML(typ="safe").load(Path(__file__).parent / "corpus" / "live.yaml")
CARD = {"offer_id": "o1", "pop": None}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with real_house(tmp_path_factory.mktemp("house")) as it:
        yield it


class Socket:
    """A WebSocket byte by byte, for what no client library would send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def until_closed(self) -> tuple[list[dict[str, Any]], int | None]:
        """All texts the server still sent, and its close code; None when it just hung up."""
        texts = []
        try:
            async with asyncio.timeout(5):
                while True:
                    opcode, payload = await self._frame()
                    if opcode == 8:
                        return texts, struct.unpack("!H", payload[:2])[0]
                    if opcode == 1:
                        texts.append(json.loads(payload))
        except (asyncio.IncompleteReadError, ConnectionError):
            return texts, None

    async def _frame(self) -> tuple[int, bytes]:
        first, length = await self._reader.readexactly(2)
        if length == 126:
            (length,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self._reader.readexactly(8))
        return first & 0x0F, await self._reader.readexactly(length)


def frame(first: int, payload: bytes) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([first]) + length + bytes(4) + payload


@asynccontextmanager
async def socket(house: House, who: str, query: str = "") -> AsyncIterator[Socket]:
    port = int(house.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        key = base64.b64encode(bytes(16)).decode()
        head = {"Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key,
                "Sec-WebSocket-Version": "13", **house.token(who)}  # fmt: skip
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        writer.write(f"GET /api/live{query} HTTP/1.1\r\n{lines}\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        yield Socket(reader, writer)
    finally:
        writer.close()


def sent_of(case: dict[str, Any]) -> bytes:
    if "raw" in case:
        return bytes.fromhex(case["raw"])
    if "text" in case:
        return frame(129, case["text"].encode())
    return b"".join(frame(first, (text * times).encode()) for first, text, times in case["frames"]) * case.get(
        "times", 1
    )


@pytest.mark.parametrize("name", CORPUS)
async def test_what_is_in_the_corpus_ends_its_socket_with_one_error_and_nothing_else(house: House, name: str) -> None:
    case = CORPUS[name]
    code, error_id = case["expect"]
    before = await house.rows(), await house.states()
    await house.hub.push_card("101", CARD)
    async with (
        socket(house, "agent") as bad,
        house.client.ws_connect("/api/live", headers=house.token("agent")) as good,
    ):
        bad.send(sent_of(case))
        texts, closed = await bad.until_closed()
        errors = [text["id"] for text in texts if text["type"] == "error"]
        assert errors == ([error_id] if error_id else [])
        assert closed == code
        await good.send_json({"type": "ping"})
        while (await good.receive_json(timeout=3))["type"] != "pong":
            continue
    assert house.hub.card_of("101") == CARD
    assert (await house.rows(), await house.states()) == before


async def test_nobody_gets_puts_away_or_vouches_for_another_agents_card(house: House) -> None:
    async with (
        house.client.ws_connect("/api/live?tells=shown", headers=house.token("agent")) as mine,
        house.client.ws_connect("/api/live?tells=shown", headers=house.token("other")) as theirs,
        asyncio.TaskGroup() as group,
    ):
        card = {"offer_id": "o2", "pop": None}
        pushed = group.create_task(house.hub.push_card("101", card))
        while (await mine.receive_json(timeout=3)).get("card") != card:
            continue
        for kind in ("shown", "dismiss"):
            await theirs.send_json({"type": kind, "offer_id": "o2"})
        await theirs.send_json({"type": "ping"})
        heard = []
        while "pong" not in heard:
            heard.append((await theirs.receive_json(timeout=3))["type"])
        assert heard == ["snapshot", "pong"]
        assert not pushed.done() and house.hub.card_of("101") == card
        await mine.send_json({"type": "shown", "offer_id": "o2"})
        assert await pushed == 1


@pytest.mark.parametrize("since", ["0", "-1", "99999999999999999999", "1e3", "%E4%BA%94"])
async def test_the_place_of_another_persons_feed_shows_only_the_own_view(house: House, since: str) -> None:
    async with house.client.ws_connect("/api/live", headers=house.token("boss")) as boss:
        feed = (await boss.receive_json(timeout=3))["feed"]
    house.hub.handle(
        pbx.CallArrived(
            interaction_id="n1-9.9",
            at=SystemClock().now(),
            ani="+8613812345678",
            dnis="800",
            channel="c",
            caller_name="Li",
        )
    )
    async with house.client.ws_connect(f"/api/live?since={since}&feed={feed}", headers=house.token("other")) as other:
        told = (await other.receive(timeout=3)).data
    assert "n1-9.9" in told
    assert "+8613812345678" not in told and '"Li"' not in told
