"""Ten of two hundred consoles stop reading: what waits for them is bounded and merged, they are let go after five
seconds, and nobody else notices."""

from __future__ import annotations

import asyncio
import itertools
import socket
import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta

import aiohttp
import pytest

from app.live.board import apply
from app.live.hub import Hub
from app.live.model import Board, new_board
from app.live.seat import SLOW_S
from app.live.socket import WRITER_LIMIT, live_handler
from core.clock import SystemClock
from core.events import pbx
from core.http.routes import Caller, Role
from core.http.server import HttpOptions, new_app, serve
from core.ids import CountingIds

CLIENTS, STALLED = 200, 10
CALLS = 300


class Crowd:
    """Everybody with a token of their own name is a supervisor of that name."""

    async def caller_for_session(self, token: str) -> Caller | None:
        return None

    async def caller_for_token(self, token: str) -> Caller | None:
        return Caller(user_id=token, name=token, roles=frozenset({Role.SUPERVISOR}))


def busy_board() -> Board:
    """Some 150 KB of calls: what a stalled client has to be told in one piece."""
    board = new_board(agents={}, queues=["service"])
    now = SystemClock().now() - timedelta(minutes=1)
    for number in range(CALLS):
        event = pbx.CallArrived(
            interaction_id=f"n1-{number}.1", at=now, ani=f"+86{number:011d}", dnis="800", channel="c"
        )
        board, _ = apply(board, event)
    return board


@dataclass
class Audience:
    hub: Hub
    port: int
    mark: str = ""
    seen: dict[str, list[float]] = field(default_factory=dict)

    async def listen(self, client: aiohttp.ClientSession, who: str) -> None:
        async with client.ws_connect("/api/live", headers={"Authorization": f"Bearer {who}"}, max_msg_size=0) as feed:
            loop = asyncio.get_running_loop()
            told = ""
            async for frame in feed:
                if self.mark != told and f'"{self.mark}"' in frame.data:
                    told = self.mark
                    self.seen[told].append(loop.time())

    async def stall(self, who: str) -> socket.socket:
        """A client that opens the feed and never reads; its system takes a few kilobytes for it."""
        loop = asyncio.get_running_loop()
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.setblocking(False)
        await loop.sock_connect(made, ("127.0.0.1", self.port))
        head = (
            "GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {who}\r\n\r\n"
        )
        await loop.sock_sendall(made, head.encode())
        return made

    async def latencies_ms(self, marks: list[str], readers: int) -> list[float]:
        """How long each mark (a new call) took to each reader."""
        loop = asyncio.get_running_loop()
        took: list[float] = []
        for mark in marks:
            self.mark, self.seen[mark] = mark, []
            begun = loop.time()
            self.hub.handle(
                pbx.CallArrived(interaction_id=mark, at=SystemClock().now(), ani="1", dnis="800", channel="c")
            )
            async with asyncio.timeout(5):
                while len(self.seen[mark]) < readers:
                    await asyncio.sleep(0.001)
            took += [(at - begun) * 1000 for at in self.seen[mark]]
        return took

    async def until_seats(self, count: int, *, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while self.hub.seats != count:
                await asyncio.sleep(0.01)


@pytest.fixture
async def audience() -> AsyncIterator[Audience]:
    hub = Hub(busy_board(), clock=SystemClock(), ids=CountingIds("feed"))
    app = new_app(HttpOptions(ids=CountingIds("req")))
    app.router.add_get("/api/live", live_handler(hub, Crowd()))
    async with serve(app, "127.0.0.1", 0) as port:
        yield Audience(hub, port)


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


async def test_ten_of_two_hundred_stop_reading_and_nobody_else_notices(audience: Audience) -> None:
    hub, readers = audience.hub, CLIENTS - STALLED
    marks = (f"n1-mark{number}" for number in itertools.count())
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{audience.port}", connector=connector) as client,
        AsyncExitStack() as left,
        asyncio.TaskGroup() as group,
    ):
        listening = [group.create_task(audience.listen(client, f"reader{number}")) for number in range(readers)]
        await audience.until_seats(readers, timeout_s=10)
        calm = await audience.latencies_ms(list(itertools.islice(marks, 20)), readers)
        for number in range(STALLED):
            left.enter_context(await audience.stall(f"stalled{number}"))
        await audience.until_seats(CLIENTS, timeout_s=10)
        seats = [seat for seat in hub._seats if seat.caller.name.startswith("stalled")]
        begun = asyncio.get_running_loop().time()
        waiting, held = [0], [0]
        for round_number in range(20):  # until the kernel takes no more, and something waits behind that
            calls = {key: replace(call, node=f"node-{round_number}") for key, call in hub.board.calls.items()}
            hub.replace(replace(hub.board, calls=calls))
            await asyncio.sleep(0.05)
            waiting = [seat._wire._request.transport.get_write_buffer_size() for seat in seats]  # type: ignore[attr-defined]
            held = [len(seat._pending.set.get("calls", {})) for seat in seats]
            if all(waiting) and all(held):
                break
        await audience.latencies_ms([next(marks)], readers)  # the others have the flood behind them
        troubled: list[float] = []
        while hub.seats == CLIENTS and len(troubled) < len(calm):  # as long as they are there
            troubled += await audience.latencies_ms([next(marks)], readers)
        await audience.until_seats(readers, timeout_s=3 * SLOW_S)
        let_go_s = asyncio.get_running_loop().time() - begun
        for task in listening:
            assert not task.done()
            task.cancel()
    print(
        f"\np99 {p99(calm):.1f} ms, with ten stalled {p99(troubled):.1f} ms; let go after {let_go_s:.1f} s; {waiting} {held}"
    )
    assert let_go_s >= SLOW_S
    whole = len(hub.board.calls)
    assert all(0 < size <= WRITER_LIMIT + 1000 * whole for size in waiting)  # one merged frame at most
    assert all(0 < calls <= whole for calls in held)
    assert p99(troubled) <= 3 * 1.2 * p99(calm) + 20
