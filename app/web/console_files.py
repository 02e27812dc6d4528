"""Serves the built console: its files, and its one page for every address of its own.

Does not build it. Invariants: nothing outside the folder is ever served; an address of the API is never answered with
the page; files with a hash in their name may be kept for ever, the page itself is asked for anew each time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_MISSING = "The console has not been built. Run `make setup`, then load this page again.\n"


def console_handler(folder: Path) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler for every address that is nobody else's."""
    root = folder.resolve()

    async def handle(request: web.Request) -> web.StreamResponse:
        name = request.match_info["path"]
        if name == "api" or name.startswith("api/"):
            raise web.HTTPNotFound
        file = _file(root, name)
        if file is None:
            if Path(name).suffix in _TYPES:  # a call's id has a dot in it, too
                raise web.HTTPNotFound
            file = root / "index.html"
        if not file.is_file():
            return web.Response(status=503, text=_MISSING)
        hashed = file.parent.name == "assets"
        headers = {
            "Content-Type": _TYPES[file.suffix],
            "Cache-Control": "public, max-age=31536000, immutable" if hashed else "no-cache",
        }
        return web.FileResponse(file, headers=headers)

    return handle


def _file(root: Path, name: str) -> Path | None:
    """The file of this name inside the folder, of a kind we serve; None otherwise."""
    if not name or len(name) > 300 or any(part in ("", ".", "..") or part.startswith(".") for part in name.split("/")):
        return None
    file = (root / name).resolve()
    if not file.is_relative_to(root) or file.suffix not in _TYPES or not file.is_file():
        return None
    return file
