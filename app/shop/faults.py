"""How the sample shop can be made to misbehave: slow, silent, wrong, endless. Knobs, and what they do to an answer.

Does not touch the books. Invariant: with `fail_share` 0.25 exactly every fourth answer fails, so that a test can count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from typing import Any

from aiohttp import web

FAILS = ("none", "hang", "500", "429", "html", "half_json", "huge", "wrong_charset", "other_order")
HUGE = 50 * 1024 * 1024
_BLOCK = b'{"padding":"' + b"x" * 65524

Answer = Callable[[], Awaitable[web.StreamResponse]]


@dataclass
class Knobs:
    """`latency_ms` is waited before every answer; `fail` hits `fail_share` (0 to 1) of them."""

    latency_ms: int = 0
    fail: str = "none"
    fail_share: float = 1.0

    def turn(self, values: dict[str, Any]) -> None:
        """Sets the knobs named; the others stay. Raises ValueError for what is no knob or no value."""
        known = {field.name for field in fields(self)}
        if unknown := sorted(set(values) - known):
            raise ValueError(f"no such knob: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        latency = values.get("latency_ms", self.latency_ms)
        fail = str(values.get("fail", self.fail))
        share = values.get("fail_share", self.fail_share)
        if not isinstance(latency, int) or not 0 <= latency <= 600_000:
            raise ValueError("latency_ms is a whole number from 0 to 600000")
        if fail not in FAILS:
            raise ValueError(f"fail is one of {', '.join(FAILS)}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError("fail_share is from 0 to 1")
        self.latency_ms, self.fail, self.fail_share = latency, fail, float(share)


class Faults:
    """Stands between the shop and its answers."""

    def __init__(self) -> None:
        self.knobs = Knobs()
        self._due = 0.0
        self.failed = 0

    async def answer(self, request: web.Request, honest: Answer, other: bytes) -> web.StreamResponse:
        """The honest answer, or the one the knobs ask for. `other` is a purchase that was not asked for."""
        if self.knobs.latency_ms:
            await asyncio.sleep(self.knobs.latency_ms / 1000)
        fail = self.knobs.fail
        if fail == "none" or not self._hits():
            return await honest()
        self.failed += 1
        if fail == "hang":
            # Ends when the client goes away: the server cancels the handler then.
            await asyncio.get_running_loop().create_future()
        if fail == "huge":
            return await _huge(request)
        return _wrong(fail, other)

    def _hits(self) -> bool:
        self._due += self.knobs.fail_share
        if self._due < 1.0 - 1e-9:
            return False
        self._due -= 1.0
        return True


def _wrong(fail: str, other: bytes) -> web.Response:
    if fail == "500":
        return web.json_response({"error": {"code": "internal", "detail": "the shop stumbled"}}, status=500)
    if fail == "429":
        limit = {"error": {"code": "slow_down", "detail": "too many requests"}}
        return web.json_response(limit, status=429, headers={"Retry-After": "2"})
    if fail == "html":
        return web.Response(
            text="<!doctype html><title>Maintenance</title><h1>Back soon</h1>", content_type="text/html"
        )
    if fail == "half_json":
        return web.Response(body=other[: len(other) // 2], content_type="application/json")
    if fail == "wrong_charset":
        # Says UTF-8 and is not: what a shop behind an old gateway sends.
        body = other.decode().replace('"state"', '"备注":"编码","state"', 1).encode("gb18030")
        return web.Response(body=body, content_type="application/json", charset="utf-8")
    return web.Response(body=b'{"purchase":' + other + b"}", content_type="application/json")


async def _huge(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
    await response.prepare(request)
    for _ in range(HUGE // len(_BLOCK)):
        await response.write(_BLOCK)
    await response.write_eof()
    return response
