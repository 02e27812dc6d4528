"""The sample shop's HTTP API (`/v2`), its knobs (`/knobs`) and its samples (`/sample`). Bearer token everywhere.

Decides how purchases are served: pages, revisions as ETags, errors as `{"error": {"code", "detail"}}`. Knows nothing
of the product that calls it, not even its words.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from app.shop.books import Books
from app.shop.faults import Faults

NAME = "lantern"
MOST = 100


class Shop:
    def __init__(self, books: Books, token: str, now: Callable[[], datetime], state: Path | None = None) -> None:
        self.books = books
        self.faults = Faults()
        self._token = token.encode()
        self._now = now
        self._state = state

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=16 * 1024)
        app.router.add_get("/v2/ping", self._ping)
        app.router.add_get("/v2/purchases", self._list)
        app.router.add_get("/v2/purchases/{number}", self._one)
        app.router.add_post("/knobs", self._turn)
        app.router.add_get("/knobs", self._knobs)
        app.router.add_get("/sample/kinds", self._kinds)
        app.router.add_post("/sample/advance", self._advance)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            return _error(401, "who_are_you", "a bearer token is needed")
        if not request.path.startswith("/v2/"):
            return await handler(request)  # type: ignore[no-any-return]

        async def honest() -> web.StreamResponse:
            return await handler(request)  # type: ignore[no-any-return]

        other = self.books.another(request.match_info.get("number", ""))
        return await self.faults.answer(request, honest, other)

    async def _ping(self, request: web.Request) -> web.Response:
        return web.json_response({"pong": True, "shop": NAME, "purchases": len(self.books)})

    async def _one(self, request: web.Request) -> web.Response:
        document = self.books.document(request.match_info["number"])
        if document is None:
            return _error(404, "purchase_unknown", "there is no such purchase")
        tag = f'W/"{json.loads(document)["rev"]}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.Response(
            body=b'{"purchase":' + document + b"}", content_type="application/json", headers={"ETag": tag}
        )

    async def _list(self, request: web.Request) -> web.Response:
        query = request.query
        if mobile := query.get("mobile"):
            return _page(self.books.by_mobile(mobile)[:MOST], None)
        limit = query.get("per_page", "50")
        if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:6]) <= MOST:
            return _error(400, "bad_per_page", f"per_page is from 1 to {MOST}")
        since = query.get("modified_from", "")
        try:
            if since:
                zone = self.books.opened.tzinfo
                since = datetime.fromisoformat(since).astimezone(zone).isoformat(timespec="seconds")
            after = base64.b64decode(query.get("page", ""), altchars=b"-_", validate=True).decode()
        except (ValueError, OverflowError, binascii.Error):
            return _error(400, "bad_query", "modified_from is an ISO time, page a mark from an earlier answer")
        documents, mark = self.books.changed(since, after, int(limit))
        return _page(documents, base64.urlsafe_b64encode(mark.encode()).decode() if mark else None)

    # --- for trying things out

    async def _turn(self, request: web.Request) -> web.Response:
        values = await _body(request)
        try:
            if not isinstance(values, dict):
                raise ValueError("send an object of knobs")
            self.faults.knobs.turn(values)
        except ValueError as fault:
            return _error(422, "bad_knob", str(fault))
        return await self._knobs(request)

    async def _knobs(self, request: web.Request) -> web.Response:
        return web.json_response(vars(self.faults.knobs) | {"failed": self.faults.failed})

    async def _kinds(self, request: web.Request) -> web.Response:
        return web.json_response(self.books.samples)

    async def _advance(self, request: web.Request) -> web.Response:
        values = await _body(request)
        number = values.get("order_no") if isinstance(values, dict) else None
        doc = self.books.advance(str(number), self._now())
        if doc is None:
            return _error(404, "purchase_unknown", "there is no such purchase")
        if self._state is not None:
            self.books.save(self._state)
        return web.json_response({"order_no": doc["number"], "rev": doc["rev"], "state": doc["state"]})


async def _body(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except (ValueError, RecursionError):
        return None


def _error(status: int, code: str, detail: str) -> web.Response:
    return web.json_response({"error": {"code": code, "detail": detail}}, status=status)


def _page(documents: list[bytes], mark: str | None) -> web.Response:
    body = b'{"data":[' + b",".join(documents) + b'],"paging":{"next":' + json.dumps(mark).encode() + b"}}"
    return web.Response(body=body, content_type="application/json")
