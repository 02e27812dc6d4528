"""Serves a list of `Route`s on aiohttp: reads, validates, asks the handler, writes; every fault becomes a problem.

Does not know what any operation means, and not what the console looks like.

Invariants: a handler sees only validated input; no request is without an answer after its deadline; no answer carries a
stack trace; an answer of the API is never cached; the body of a request is never decompressed.
"""

from __future__ import annotations

import asyncio
import errno
import json
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import Any
from urllib.parse import quote

import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError

from core.errors import AftercallError, NotFound, Unavailable
from core.http import problem, strict_json
from core.http.guard import MAX_TOKEN, SESSION_COOKIE, Gatekeeper, admitted
from core.http.routes import FileAnswer, Nothing, Request, Route, SessionAnswer
from core.ids import IdMaker
from core.metrics import Metrics

MAX_BODY = 1_000_000
BODY_DEADLINE_S = 5.0
HANDLER_DEADLINE_S = 10.0
BIND_AGAIN_S = 0.1
Translate = Callable[[Exception], AftercallError | None]
log = structlog.get_logger("http")

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'"
)
HEADERS = {
    "Server": "aftercall",
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
}


def _nothing(_: Exception) -> AftercallError | None:
    return None


@dataclass(frozen=True)
class HttpOptions:
    """`origins`: further origins the console may be served from; `translate`: what an exception of a library means;
    while `crowded()`, there is no room for more connections: everything but the state of health is refused."""

    ids: IdMaker
    origins: Collection[str] = ()
    secure: bool = False
    body_deadline_s: float = BODY_DEADLINE_S
    handler_deadline_s: float = HANDLER_DEADLINE_S
    max_body: int = MAX_BODY
    translate: Translate = _nothing
    crowded: Callable[[], bool] = lambda: False
    metrics: Metrics = field(default_factory=Metrics)


class TooLarge(AftercallError):
    """The body is larger than any operation takes."""

    def __init__(self, limit: int) -> None:
        super().__init__("http:too-large", f"A body may have {limit} bytes at most.", status=413)


def new_app(options: HttpOptions) -> web.Application:
    """An application whose every answer, also an error outside all routes, has our form and headers."""
    app = web.Application(middlewares=[_outermost(options)], client_max_size=options.max_body)
    return app


def mount(app: web.Application, routes: Iterable[Route], gatekeeper: Gatekeeper, options: HttpOptions) -> None:
    """Adds the routes to the application. Raises ValueError when two of them are the same operation."""
    seen: set[tuple[str, str]] = set()
    for route in routes:
        key = (route.method.upper(), route.path)
        if key in seen:
            raise ValueError(f"{route.method} {route.path} is declared twice")
        seen.add(key)
        handler = _handler(route, gatekeeper, options)
        if key[0] == "GET":
            app.router.add_get(route.path, handler, allow_head=True)
        else:
            app.router.add_route(key[0], route.path, handler)


@asynccontextmanager
async def serve(
    app: web.Application, host: str, port: int, *, tls: SSLContext | None = None, wait_for_port: bool = False
) -> AsyncIterator[int]:
    """Listens until the block ends; yields the port (the system's choice for 0). Raises OSError when it is in use, or
    waits until it is free (whoever is frozen, or ends, may still have it)."""
    runner = web.AppRunner(
        app, access_log=None, auto_decompress=False, keepalive_timeout=75.0, lingering_time=1.0, handle_signals=False,
        shutdown_timeout=0.5,
    )  # fmt: skip
    await runner.setup()
    try:
        while True:
            site = web.TCPSite(runner, host, port, ssl_context=tls, reuse_address=True)
            try:
                await site.start()
                break
            except OSError as error:
                if not wait_for_port or error.errno != errno.EADDRINUSE:
                    raise
                await site.stop()
                await asyncio.sleep(BIND_AGAIN_S)
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


# --- around every request


def _outermost(options: HttpOptions) -> Any:
    requests = options.metrics.counter("http_requests", "Requests answered", ("route", "method", "status"))
    seconds = options.metrics.histogram("http_request_seconds", "Time to answer", ("route",))

    @web.middleware
    async def outermost(request: web.Request, handler: Any) -> web.StreamResponse:
        begun = time.perf_counter()
        request_id = options.ids()
        if options.crowded():
            crowd = Unavailable("service", "Too many connections are open.")
            may_ask = request.path in _HEALTH
            answer = await _answer(request, handler, request_id, options) if may_ask else _problem(crowd, request_id)
            answer.force_close()
        else:
            answer = await _answer(request, handler, request_id, options)
        resource = request.match_info.route.resource
        pattern = resource.canonical if resource is not None else "none"
        method = request.method if request.method in _METHODS else "OTHER"
        requests.labels(pattern, method, str(answer.status)).inc()
        seconds.labels(pattern).observe(time.perf_counter() - begun)
        if not answer.prepared:
            _dress(request, answer, request_id, options)
        return answer

    return outermost


_HEALTH = frozenset({"/health", "/api/health"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _dress(request: web.Request, answer: web.StreamResponse, request_id: str, options: HttpOptions) -> None:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers["X-Request-Id"] = request_id
    if request.path.startswith("/api/"):
        answer.headers.setdefault("Cache-Control", "no-store")
    if options.secure or request.secure:
        answer.headers.setdefault("Strict-Transport-Security", "max-age=31536000")


async def _answer(request: web.Request, handler: Any, request_id: str, options: HttpOptions) -> web.StreamResponse:
    try:
        if "\x00" in request.path or "%00" in request.raw_path:
            raise AftercallError("http:bad-path", "The address holds NUL.")
        result: web.StreamResponse = await handler(request)
        return result
    except web.HTTPException as error:
        return error if error.status < 400 else _problem(_of_aiohttp(error), request_id, error.headers.get("Allow"))
    except AftercallError as error:
        return _problem(error, request_id)
    except asyncio.CancelledError:
        raise
    except Exception as error:
        known = options.translate(error)
        if known is None and isinstance(error, ConnectionError | TimeoutError):
            known = Unavailable("service")
        if known is None:
            log.exception("request failed", request_id=request_id, route=_pattern(request))
            known = AftercallError("http:internal", "This went wrong on our side. It has been noted.", status=500)
        else:
            log.warning("request failed", request_id=request_id, route=_pattern(request), reason=type(error).__name__)
        return _problem(known, request_id)


def _pattern(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"


def _of_aiohttp(error: web.HTTPException) -> AftercallError:
    named = {
        404: ("http:not-found", "There is nothing at this address."),
        405: ("http:method-not-allowed", "This address does not take that method."),
        413: ("http:too-large", "The request is too large."),
    }
    error_id, message = named.get(error.status, ("http:bad-request", "The request cannot be understood."))
    return AftercallError(error_id, message, status=error.status)


def _problem(error: AftercallError, request_id: str, allow: str | None = None) -> web.Response:
    document = problem.problem_of(error, request_id)
    headers = {"Content-Type": problem.CONTENT_TYPE}
    if allow is not None:
        headers["Allow"] = allow
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="aftercall"'
    if error.status in (429, 503):
        headers["Retry-After"] = "5"
    answer = web.Response(status=error.status, body=document.model_dump_json().encode(), headers=headers)
    if error.status in (408, 413, 415):
        answer.force_close()  # what is left of the body is not worth reading
    return answer


# --- one route


def _handler(route: Route, gatekeeper: Gatekeeper, options: HttpOptions) -> Any:
    async def handle(request: web.Request) -> web.StreamResponse:
        async with _deadline(options.handler_deadline_s):
            caller = await admitted(route, request, gatekeeper, options.origins)
        query = _query(route, request)
        body = await _body(route, request, options)
        asked = Request(
            caller=caller, path=_path(request), query=query, body=body, remote=request.remote or "",
            session=request.cookies.get(SESSION_COOKIE, "")[:MAX_TOKEN],
        )  # fmt: skip
        async with _deadline(options.handler_deadline_s):
            result = await route.handler(asked)
        return _written(route, result, options.secure or request.secure)

    return handle


@asynccontextmanager
async def _deadline(seconds: float) -> AsyncIterator[None]:
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            yield
    except TimeoutError as error:
        if scope.expired():
            raise AftercallError(
                "http:deadline", "This takes too long now.", hint="Try again in a moment.", status=503
            ) from error
        raise


def _path(request: web.Request) -> dict[str, str]:
    for name, value in request.match_info.items():
        if not value or len(value) > 200 or any(ord(sign) < 32 or "\ud800" <= sign <= "\udfff" for sign in value):
            raise NotFound(name, value[:40].encode("ascii", "replace").decode())
    return dict(request.match_info)


def _query(route: Route, request: web.Request) -> BaseModel:
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name in values:
            raise problem.InvalidInput([problem.Fault(at=f"query.{name[:60]}", message="given more than once")])
        if any(ord(sign) < 32 or "\ud800" <= sign <= "\udfff" for sign in value):
            raise problem.InvalidInput([problem.Fault(at=f"query.{name[:60]}", message="holds a control character")])
        values[name] = value
    try:
        return route.query.model_validate(values)
    except ValidationError as error:
        raise problem.invalid("query", error) from error


async def _body(route: Route, request: web.Request, options: HttpOptions) -> BaseModel:
    if route.method.upper() in ("GET", "HEAD", "DELETE") and route.body is Nothing:
        return Nothing()
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise AftercallError("http:encoded-body", "Send the body without Content-Encoding.", status=415)
    if request.content_length is not None and request.content_length > options.max_body:
        raise TooLarge(options.max_body)
    try:
        async with asyncio.timeout(options.body_deadline_s):
            raw = await request.read()
    except TimeoutError as error:
        raise AftercallError("http:slow-body", "The body did not arrive in time.", status=408) from error
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLarge(options.max_body) from error
    if not raw and route.body is Nothing:
        return Nothing()
    if request.content_type != "application/json":
        raise AftercallError("http:not-json", "Send the body as application/json.", status=415)
    value = strict_json.parse(raw)
    try:  # as JSON once more, because strictness towards JSON is not strictness towards Python (a date is a text there)
        return route.body.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise problem.invalid("body", error) from error


def _written(route: Route, result: Any, secure: bool) -> web.StreamResponse:
    if isinstance(result, FileAnswer):
        return _file(result)
    session = result if isinstance(result, SessionAnswer) else None
    answer = _document(route, session.body if session is not None else result)
    if session is not None:
        answer.set_cookie(
            SESSION_COOKIE, session.session, max_age=session.seconds, path="/", httponly=True, samesite="Strict",
            secure=secure,
        )  # fmt: skip
    return answer


def _document(route: Route, result: Any) -> web.Response:
    if route.status == 204:
        return web.Response(status=204)
    if not issubclass(route.answer, BaseModel):
        raise TypeError(f"{route.method} {route.path} promised a file")
    document = result if isinstance(result, route.answer) else route.answer.model_validate(result, from_attributes=True)
    body = document.model_dump_json(by_alias=True).encode()
    return web.Response(status=route.status, body=body, content_type="application/json", charset="utf-8")


def _file(answer: FileAnswer) -> web.StreamResponse:
    path = Path(answer.path)
    if not path.is_file():
        raise NotFound("file", path.name)
    headers = {"Content-Type": answer.content_type, "Cache-Control": "private, no-store"}
    if answer.download_name:
        headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(answer.download_name)}"
    return web.FileResponse(path, headers=headers)
