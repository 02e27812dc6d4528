"""`WS /api/live`: who may open it, what may be said on it, and when it ends.

Does not know the board. Says what a client may send: {"type": "shown", "offer_id": …}, {"type": "dismiss", "offer_id": …}
and {"type": "ping"}.

Invariants: nobody listens without a login, none whose login has ended listens longer than `RECHECK_S`; a page of
another site cannot open it; whoever sends nonsense, too much or too often gets one error and is let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from socket import SO_SNDBUF, SOL_SOCKET
from typing import Annotated, Literal

import structlog
from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import Field, TypeAdapter, ValidationError

from app.live.hub import Hub
from app.live.seat import Seat, SlowReader, encode
from core.errors import AftercallError, Refused
from core.http import strict_json
from core.http.guard import Gatekeeper, LoginNeeded, caller_of, is_foreign
from core.http.routes import Strict

MAX_MESSAGE = 4096
MESSAGES_PER_S = 20
RECHECK_S = 60.0
HEARTBEAT_S = 15.0
WRITER_LIMIT = 16 * 1024  # bytes between two looks whether the other side still reads
KERNEL_LIMIT = 64 * 1024  # bytes the kernel holds for us; left alone it takes megabytes, and nobody sees a slow reader
log = structlog.get_logger("live")


class Dismiss(Strict):
    """The agent has put a card away."""

    type: Literal["dismiss"]
    offer_id: Annotated[str, Field(min_length=1, max_length=200)]


class Shown(Strict):
    """The card of this offer stands in the client's page; only clients that open with `?tells=shown` are waited for."""

    type: Literal["shown"]
    offer_id: Annotated[str, Field(min_length=1, max_length=200)]


class Ping(Strict):
    """Asks for a `pong` with the server's time."""

    type: Literal["ping"]


_SAID: TypeAdapter[Dismiss | Shown | Ping] = TypeAdapter(Annotated[Dismiss | Shown | Ping, Field(discriminator="type")])


class SocketWire:
    """An aiohttp socket as a `Wire`."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request

    async def send(self, text: str) -> None:
        if not self._socket.closed:
            await self._socket.send_str(text)

    @property
    def drained(self) -> bool:
        transport = self._request.transport
        return transport is not None and transport.get_write_buffer_size() == 0

    def abort(self, reason: str) -> None:
        log.info("live socket ended", reason=reason)
        if self._request.transport is not None:
            self._request.transport.abort()


class _Ended(Exception):
    """The conversation is over; `code` and `why` go into the close frame."""

    def __init__(self, code: int, error_id: str, why: str) -> None:
        super().__init__(why)
        self.code, self.error_id, self.why = code, error_id, why


def live_handler(
    hub: Hub, gatekeeper: Gatekeeper, origins: Collection[str] = (), *, recheck_s: float = RECHECK_S
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of the live feed."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if is_foreign(request, origins):
            raise Refused("This page may not listen.", error_id="http:foreign-origin")
        async with asyncio.timeout(5.0):
            caller = await caller_of(request, gatekeeper, origins)
        if caller is None:
            raise LoginNeeded()
        since, feed = _resume_point(request)
        socket = web.WebSocketResponse(
            max_msg_size=MAX_MESSAGE,
            heartbeat=HEARTBEAT_S,
            compress=False,
            autoping=True,
            timeout=1.0,
            writer_limit=WRITER_LIMIT,
        )
        if not socket.can_prepare(request).ok:
            raise AftercallError("live:not-a-websocket", "Open this address as a WebSocket.", status=426)
        await socket.prepare(request)
        _bound_kernel(request)
        seat = Seat(caller, SocketWire(socket, request), tells=request.query.get("tells") == "shown")
        hub.open(seat, since=since, feed=feed)
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(seat.run(hub.texts))
                checker = group.create_task(_recheck(request, gatekeeper, origins, recheck_s))
                await _listen(socket, hub, seat)
                writer.cancel()
                checker.cancel()
        except* SlowReader:
            log.info("live socket ended", reason="does not read")
        except* _Ended as ends:
            hub.close(seat)
            end = next(error for error in ends.exceptions if isinstance(error, _Ended))
            await _say_goodbye(socket, end)
        except* ConnectionError:
            pass  # gone while we were writing
        finally:
            hub.close(seat)
        return socket

    return handle


def _bound_kernel(request: web.Request) -> None:
    raw = request.transport.get_extra_info("socket") if request.transport is not None else None
    if raw is not None:
        raw.setsockopt(SOL_SOCKET, SO_SNDBUF, KERNEL_LIMIT)


def _resume_point(request: web.Request) -> tuple[int | None, str]:
    """`?since=SEQ&feed=ID` of a client that was here before; anything unreadable means a fresh snapshot."""
    text = request.query.get("since", "")
    since = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
    return since, request.query.get("feed", "")[:64]


async def _recheck(request: web.Request, gatekeeper: Gatekeeper, origins: Collection[str], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            async with asyncio.timeout(5.0):
                caller = await caller_of(request, gatekeeper, origins)
        except LoginNeeded:
            caller = None
        except (TimeoutError, ConnectionError, AftercallError):
            continue  # not known now is not logged out
        if caller is None:
            raise _Ended(4401, "http:login-needed", "This session has ended.")


async def _listen(socket: web.WebSocketResponse, hub: Hub, seat: Seat) -> None:
    loop = asyncio.get_running_loop()
    allowance, last = float(MESSAGES_PER_S), loop.time()
    async for frame in socket:
        now = loop.time()
        allowance = min(float(MESSAGES_PER_S), allowance + (now - last) * MESSAGES_PER_S) - 1
        last = now
        if allowance < 0:
            raise _Ended(WSCloseCode.POLICY_VIOLATION, "live:too-many", "Too many messages.")
        if frame.type is not WSMsgType.TEXT:
            raise _Ended(WSCloseCode.UNSUPPORTED_DATA, "live:not-json", "Only JSON texts are understood here.")
        _heed(frame.data, hub, seat)


def _heed(text: str, hub: Hub, seat: Seat) -> None:
    try:
        raw = text.encode("utf-8", "surrogatepass")
        strict_json.parse(raw)
        said = _SAID.validate_json(raw, strict=True)
    except (strict_json.BadJson, ValidationError) as error:
        raise _Ended(WSCloseCode.UNSUPPORTED_DATA, "live:not-understood", "This is not understood here.") from error
    if isinstance(said, Dismiss):
        hub.dismiss(seat.caller.extension, said.offer_id)
    elif isinstance(said, Shown):
        hub.shown(seat.caller.extension, said.offer_id)
    else:
        seat.note(encode({"type": "pong"}))


async def _say_goodbye(socket: web.WebSocketResponse, end: _Ended) -> None:
    if socket.closed:
        return
    try:
        async with asyncio.timeout(1.0):
            await socket.send_str(encode({"type": "error", "id": end.error_id, "title": end.why}))
            await socket.close(code=end.code, message=end.why.encode())
    except (TimeoutError, ConnectionError):
        return
