"""Puts the web together: every room's routes, the live feed, health, figures, the document of it all, the console.

Does not make any of the parts (`app/wiring.py` does) and knows none of their rules.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from pathlib import Path

from aiohttp import web

from app.live.hub import Hub
from app.live.socket import live_handler
from app.web import health as health_http
from app.web.console_files import console_handler
from app.web.health import Health
from core.errors import AftercallError, Refused
from core.http import openapi
from core.http.guard import Gatekeeper, bearer_of, host_of
from core.http.routes import Role, Route
from core.http.server import HttpOptions, Translate, mount, new_app
from core.ids import IdMaker
from core.metrics import CONTENT_TYPE, Metrics

VERSION = "0.1.0"


def build_app(
    *,
    routes: Sequence[Route],
    gatekeeper: Gatekeeper,
    hub: Hub,
    health: Health,
    metrics: Metrics,
    ids: IdMaker,
    console_dir: Path,
    public_url: str = "",
    secure: bool = False,
    translate: Translate | None = None,
    crowded: Callable[[], bool] = lambda: False,
) -> web.Application:
    """The whole web application; serve it with `core.http.server.serve`. `public_url`: where browsers reach us when
    that is not what the request says (behind a proxy); `secure`: cookies only over TLS; `translate`: what an exception
    of a library means (a database that is down)."""
    origin = host_of(public_url)
    options = HttpOptions(
        ids=ids,
        origins=(origin,) if origin else (),
        secure=secure or origin.startswith("https:"),
        metrics=metrics,
        translate=translate or _unknown,
        crowded=crowded,
    )
    every = [*routes, *health_http.routes(health)]
    document = openapi.document(every, title="Aftercall", version=VERSION)
    app = new_app(options)
    mount(app, every, gatekeeper, options)

    async def openapi_json(request: web.Request) -> web.StreamResponse:
        return web.json_response(document)

    async def health_page(request: web.Request) -> web.StreamResponse:
        report = await health.report()
        status = 503 if report.state == "down" else 200
        return web.Response(status=status, body=report.model_dump_json().encode(), content_type="application/json")

    async def figures(request: web.Request) -> web.StreamResponse:
        if not _from_this_machine(request):
            bearer = bearer_of(request)
            caller = await gatekeeper.caller_for_token(bearer) if bearer else None
            if caller is None or not caller.may(Role.SUPERVISOR):
                raise Refused("Figures need a token of a supervisor or an admin.")
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    app.router.add_get("/api/openapi.json", openapi_json)
    app.router.add_get("/api/live", live_handler(hub, gatekeeper, options.origins))
    app.router.add_get("/health", health_page)
    app.router.add_get("/metrics", figures)
    app.router.add_get("/{path:.*}", console_handler(console_dir))
    return app


def _unknown(_: Exception) -> AftercallError | None:
    return None


def _from_this_machine(request: web.Request) -> bool:
    """True for a client on this machine that is not a proxy speaking for somebody else."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers or not request.remote:
        return False
    return ipaddress.ip_address(request.remote.partition("%")[0]).is_loopback
