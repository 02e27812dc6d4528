"""Shops on loopback: a scripted one that answers exactly what a test says, and the sample shop itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone

from aiohttp import web
from aiohttp.test_utils import TestServer

from app.shop.books import Books
from app.shop.server import Shop
from core.breaker import Breaker
from core.clock import ManualClock, SystemClock
from orders_bridge.http_adapter import HttpShopAdapter

TOKEN = "a-token-of-the-tests-1"
NOW = datetime.now(timezone(timedelta(hours=8))).replace(microsecond=0)
BOOKS = Books(orders=60, seed=1, opened=NOW)

Script = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CountingBreaker(Breaker):
    """Opens after three failures in a row, for as long as `clock` is not moved. Notes every verdict."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        super().__init__(self.clock, threshold=3, rest_s=5)
        self.verdicts: list[str] = []

    def succeeded(self) -> None:
        self.verdicts.append("good")
        super().succeeded()

    def failed(self) -> None:
        self.verdicts.append("bad")
        super().failed()


class Scripted:
    """A shop whose every answer is `script`; counts what it was asked."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[web.Request] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self.script(request)


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[tuple[HttpShopAdapter, Scripted, CountingBreaker]]:
    """An adapter before a scripted shop."""
    shop, breaker = Scripted(script), CountingBreaker()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", shop.answer)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(shutdown_timeout=0.1)
    adapter = HttpShopAdapter(str(server.make_url("")), TOKEN, breaker=breaker, clock=SystemClock())
    try:
        yield adapter, shop, breaker
    finally:
        await adapter.close()
        await server.close()


@asynccontextmanager
async def sample_shop(books: Books = BOOKS) -> AsyncIterator[tuple[HttpShopAdapter, Shop, str]]:
    """An adapter before the sample shop; with the shop's address."""
    shop = Shop(books, TOKEN, lambda: datetime.now(NOW.tzinfo))
    server = TestServer(shop.application(), host="127.0.0.1")
    await server.start_server(shutdown_timeout=0.1)
    url = str(server.make_url("")).rstrip("/")
    adapter = HttpShopAdapter(url, TOKEN, breaker=CountingBreaker(), clock=SystemClock())
    try:
        yield adapter, shop, url
    finally:
        await adapter.close()
        await server.close()


@asynccontextmanager
async def raw(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A shop that speaks bytes, for answers no decent server would give."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()
        await server.wait_closed()
