"""Decides who makes a request and whether the request may have been made by a foreign page in their browser.

Does not look tokens up (the `Gatekeeper` does) and does not know operations.

Invariants: a write carried by the session cookie passes only with our own header and from our own origin; a Bearer
token is never read from a URL; whoever sends both a token and a cookie is the owner of the token.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web

from core.errors import AftercallError, Refused
from core.http.routes import Caller, Route

SESSION_COOKIE = "aftercall_session"
CSRF_HEADER = "X-Aftercall"
MAX_TOKEN = 512
NOBODY = Caller(user_id="", name="", roles=frozenset(), via="nobody")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Gatekeeper(Protocol):
    """Who knows the tokens. None = not (any longer) a token of anybody who may log in."""

    async def caller_for_session(self, token: str) -> Caller | None: ...

    async def caller_for_token(self, token: str) -> Caller | None: ...


class LoginNeeded(AftercallError):
    """Nobody is logged in, or the token is not (any longer) good."""

    def __init__(self, message: str = "Log in first.") -> None:
        super().__init__("http:login-needed", message, status=401)


async def caller_of(request: web.BaseRequest, gatekeeper: Gatekeeper, origins: Collection[str]) -> Caller | None:
    """Who makes the request; None when it carries no credentials. Raises LoginNeeded for bad ones, Refused for a write
    that a foreign page may have caused."""
    bearer = bearer_of(request)
    if bearer:
        caller = await gatekeeper.caller_for_token(bearer)
        if caller is None:
            raise LoginNeeded("This token is not known.")
        return caller
    session = request.cookies.get(SESSION_COOKIE, "")
    if not session or len(session) > MAX_TOKEN:
        return None
    if request.method not in _SAFE:
        refuse_foreign_write(request, origins)
    caller = await gatekeeper.caller_for_session(session)
    if caller is None:
        raise LoginNeeded("This session has ended.")
    return caller


def bearer_of(request: web.BaseRequest) -> str:
    """The token of `Authorization: Bearer TOKEN`; "" without such a header. Raises LoginNeeded for another scheme."""
    values = request.headers.getall("Authorization", [])
    if not values:
        return ""
    scheme, _, token = values[0].partition(" ")
    token = token.strip()
    if len(values) > 1 or scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
        raise LoginNeeded("Write `Authorization: Bearer TOKEN`.")
    return token


def own_origins(request: web.BaseRequest, origins: Collection[str]) -> frozenset[str]:
    """The origins a page of ours can have: the one this request was sent to, and those configured."""
    return frozenset(
        {f"{request.scheme}://{request.host}".lower(), *(origin.lower().rstrip("/") for origin in origins)}
    )


def is_foreign(request: web.BaseRequest, origins: Collection[str]) -> bool:
    """True when the browser says that another site's page is behind this request."""
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin.lower() not in own_origins(request, origins)
    site = request.headers.get("Sec-Fetch-Site")
    return site is not None and site not in ("same-origin", "none")


def refuse_foreign_write(request: web.BaseRequest, origins: Collection[str]) -> None:
    """Raises Refused unless the write comes from a page of ours: origin told and ours, and our header set."""
    told = "Origin" in request.headers or "Sec-Fetch-Site" in request.headers
    if not told or is_foreign(request, origins) or request.headers.get("Sec-Fetch-Site") == "none":
        raise Refused("This request did not come from the console.", error_id="http:foreign-origin")
    if not request.headers.get(CSRF_HEADER):
        raise Refused(f"The header {CSRF_HEADER} is missing.", error_id="http:csrf")


async def admitted(route: Route, request: web.BaseRequest, gatekeeper: Gatekeeper, origins: Collection[str]) -> Caller:
    """The caller, when they may use this route. Raises LoginNeeded or Refused."""
    if route.public:
        if request.method not in _SAFE and is_foreign(request, origins):
            raise Refused("This request did not come from the console.", error_id="http:foreign-origin")
        return NOBODY  # an old cookie must not keep anybody from logging in anew
    caller = await caller_of(request, gatekeeper, origins)
    if caller is None:
        raise LoginNeeded()
    if route.roles and not caller.may(*route.roles):
        needed = " or ".join(sorted(route.roles))
        raise Refused(f"This needs the role {needed}.", error_id="http:role-needed")
    return caller


def host_of(url: str) -> str:
    """The origin (scheme and host) of a configured public URL; "" for none."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") and parts.netloc else ""
