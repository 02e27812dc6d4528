"""One bounded HTTP read: a GET that ends within its budget with at most so many bytes of JSON in UTF-8, or a ShopError.

Decides time, size, kind and repeats of an answer. Does not decide what its words mean (`wire.py`).

Invariants: the budget covers everything (waiting for a connection, repeats, Retry-After); never follows a redirect,
so the token never reaches another host; never unpacks a compressed body, so a small one cannot grow; only GETs are
repeated, and only after a broken connection or a 5xx.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import aiohttp

from core.breaker import Breaker
from core.clock import Clock
from orders_bridge.adapter import ShopBusy, ShopError, ShopSlow

CONNECT_S = 1.0
CAP_BYTES = 256 * 1024
MAX_CONNECTIONS = 20
TRIES = 2
PAUSE_S = 0.1
MAX_WAIT_S = 120.0

Sleep = Callable[[float], Awaitable[None]]


class Transport:
    """`get` → (status, body). One per shop; `close` when done."""

    def __init__(
        self, base_url: str, token: str, *, breaker: Breaker, clock: Clock, sleep: Sleep = asyncio.sleep
    ) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ValueError("the shop's address begins with http:// or https://")
        self._base = base_url.rstrip("/")
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "aftercall",
        }
        self._breaker = breaker
        self._clock = clock
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self._not_before = 0.0
        self.last_error = ""
        self.last_ms = 0.0

    @property
    def breaker_state(self) -> str:
        return self._breaker.state

    async def get(
        self, path: str, query: Mapping[str, str], *, budget_s: float, accept: Callable[[bytes], None]
    ) -> bool:
        """Reads `path` and hands the body to `accept`, which raises ShopError when it cannot use it.

        True = accepted, False = the shop answered 404. Whatever is wrong with the answer, also what `accept` finds
        wrong, counts against the shop in the circuit breaker. Raises ShopError.
        """
        wait = self._not_before - self._clock.monotonic()
        if wait > 0:
            raise ShopBusy(wait)
        if not self._breaker.allow():
            raise ShopError("shop-resting", "The shop failed several times; it is asked again shortly.")
        began = self._clock.monotonic()
        try:
            body = await self._within(path, query, budget_s)
            if body is not None:
                accept(body)
        except ShopError as error:
            self.last_error = error.error_id
            if error.answered:
                self._breaker.succeeded()
            else:
                self._breaker.failed()
            raise
        finally:
            self.last_ms = (self._clock.monotonic() - began) * 1000
        self._breaker.succeeded()
        self.last_error = ""
        return body is not None

    async def _within(self, path: str, query: Mapping[str, str], budget_s: float) -> bytes | None:
        ends = self._clock.monotonic() + budget_s
        try:
            async with asyncio.timeout(budget_s):
                return await self._repeat(path, query, ends)
        except TimeoutError:
            raise ShopSlow from None

    async def _repeat(self, path: str, query: Mapping[str, str], ends: float) -> bytes | None:
        for left in reversed(range(TRIES)):
            try:
                return await self._once(path, query)
            except ShopBusy as busy:
                self._not_before = self._clock.monotonic() + busy.retry_after_s
                if not left or self._not_before >= ends:
                    raise
                await self._sleep(busy.retry_after_s)
            except _Broken as broken:
                if not left:
                    raise ShopError(broken.error_id, broken.message) from None
                await self._sleep(PAUSE_S)
        raise AssertionError("the last try returns or raises")

    async def _once(self, path: str, query: Mapping[str, str]) -> bytes | None:
        session = self._opened()
        try:
            async with session.get(self._base + path, params=query, allow_redirects=False) as response:
                return await self._read(response)
        except aiohttp.ClientConnectionError as error:
            raise _Broken("shop-unreachable", "The shop cannot be reached.") from error
        except aiohttp.ClientError as error:  # a broken body, headers beyond bounds
            raise _Broken("shop-broken-answer", "The shop's answer broke off.") from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | None:
        status = response.status
        if status == 404:
            return None
        if status == 429:
            raise ShopBusy(_retry_after(response.headers.get("Retry-After", ""), self._clock))
        if status in (401, 403):
            raise ShopError("shop-refuses-us", "The shop refuses our token.")
        if status >= 500:
            raise _Broken("shop-failing", f"The shop failed ({status}).")
        if status != 200:
            raise ShopError("shop-wrong-answer", f"The shop answered {status}.")
        kind = response.content_type
        if kind != "application/json" and not kind.endswith("+json"):
            raise ShopError("shop-wrong-type", "The shop's answer is no JSON.")
        if (response.charset or "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
            raise ShopError("shop-wrong-charset", "The shop's answer is not in UTF-8.")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise ShopError("shop-wrong-type", "The shop's answer is compressed, which was not asked for.")
        if (response.content_length or 0) > CAP_BYTES:
            raise ShopError("shop-too-big", "The shop's answer is too big.")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > CAP_BYTES:
                raise ShopError("shop-too-big", "The shop's answer is too big.")
        return bytes(body)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
                headers=self._headers,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class _Broken(Exception):
    """Worth a second try: the connection broke, or the shop failed inside."""

    def __init__(self, error_id: str, message: str) -> None:
        super().__init__(message)
        self.error_id = error_id
        self.message = message


def _retry_after(text: str, clock: Clock) -> float:
    """Seconds from a Retry-After header (a number or an HTTP date); 1 when unreadable, never beyond two minutes."""
    wait = 1.0
    if text.isascii() and text.isdigit():
        wait = float(text[:9])
    else:
        try:
            moment = parsedate_to_datetime(text)
            moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            wait = (moment - clock.now()).total_seconds()
        except (ValueError, TypeError, IndexError):
            pass
    return min(max(wait, 0.05), MAX_WAIT_S)
