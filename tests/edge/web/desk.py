"""A small application on loopback for these tests: a few operations, three people, and raw sockets for what clients
libraries would never send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import aiohttp
from pydantic import Field

from core.errors import BadInput, NotFound
from core.http.paging import PageQuery
from core.http.routes import Caller, FileAnswer, Nothing, Page, Request, Role, Route, SessionAnswer, Strict
from core.http.server import HttpOptions, mount, new_app, serve
from core.ids import CountingIds

AGENT = Caller(user_id="u-1", name="Li Na", roles=frozenset({Role.AGENT}), extension="101")
BOSS = Caller(user_id="u-2", name="Chen", roles=frozenset({Role.SUPERVISOR}))
ADMIN = Caller(user_id="u-3", name="Root", roles=frozenset({Role.ADMIN}))


class People:
    """Tokens and sessions by name: `agent-token`, `agent-session`, …"""

    known = {"agent": AGENT, "boss": BOSS, "admin": ADMIN}

    async def caller_for_session(self, token: str) -> Caller | None:
        return self.known.get(token.removesuffix("-session")) if token.endswith("-session") else None

    async def caller_for_token(self, token: str) -> Caller | None:
        return self.known.get(token.removesuffix("-token")) if token.endswith("-token") else None


class Note(Strict):
    text: Annotated[str, Field(max_length=200)]
    stars: Annotated[int, Field(ge=0, le=5)] = 0
    inner: Any = None


class Echo(Strict):
    text: str
    who: str


class Desk:
    """The operations; `notes` counts what truly reached a handler."""

    def __init__(self, folder: Path) -> None:
        self.notes: list[Note] = []
        self.folder = folder

    async def write(self, request: Request) -> Echo:
        self.notes.append(request.body)
        return Echo(text=request.body.text, who=request.caller.name)

    async def slow(self, request: Request) -> Nothing:
        await asyncio.sleep(30)
        return Nothing()

    async def broken(self, request: Request) -> Nothing:
        raise RuntimeError("secret detail /etc/passwd")

    async def gone(self, request: Request) -> Nothing:
        raise ConnectionRefusedError("database at 10.0.0.1")

    async def lists(self, request: Request) -> dict[str, Any]:
        return {"items": ["x"] * min(3, request.query.limit), "next": None}

    async def one(self, request: Request) -> Echo:
        if request.path["id"] == "odd":
            raise BadInput("notes:odd", "Odd.", hint="Be even.")
        raise NotFound("note", request.path["id"])

    async def sound(self, request: Request) -> FileAnswer:
        return FileAnswer(str(self.folder / request.path["name"]), "audio/wav", "通话.wav")

    async def wrong_shape(self, request: Request) -> dict[str, Any]:
        return {"unexpected": 1}

    async def enter(self, request: Request) -> SessionAnswer:
        return SessionAnswer(Nothing(), "boss-session", 600)

    def routes(self) -> list[Route]:
        return [
            Route("POST", "/api/notes", self.write, "Write", Echo, body=Note),
            Route("GET", "/api/notes", self.lists, "List", Page[str], query=PageQuery),
            Route("GET", "/api/notes/{id}", self.one, "One", Echo),
            Route("GET", "/api/slow", self.slow, "Slow", Nothing),
            Route("GET", "/api/broken", self.broken, "Broken", Nothing),
            Route("GET", "/api/gone", self.gone, "Gone", Nothing),
            Route("GET", "/api/wrong", self.wrong_shape, "Wrong", Echo),
            Route("GET", "/api/sound/{name}", self.sound, "Sound", FileAnswer),
            Route("POST", "/api/boss", self.write, "Bosses", Echo, body=Note, roles=frozenset({Role.SUPERVISOR})),
            Route("POST", "/api/enter", self.enter, "Enter", Nothing, public=True),
        ]


@asynccontextmanager
async def served(desk: Desk, **options: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose paths lead to the desk; it keeps no cookies."""
    chosen = HttpOptions(ids=CountingIds("req"), **options)
    app = new_app(chosen)
    mount(app, desk.routes(), People(), chosen)
    async with serve(app, "127.0.0.1", 0) as port:
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", cookie_jar=jar) as client:
            yield client


async def raw(port: int, sent: bytes, *, deadline_s: float = 5.0) -> bytes:
    """What the server answers to these bytes until it closes or nothing more comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(deadline_s):
            await writer.drain()
            return await reader.read(65536)
    finally:
        writer.close()
