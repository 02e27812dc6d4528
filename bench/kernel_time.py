"""When something arrived, by the kernel's clock and not by when a busy process came to look: SIP requests and live frames.

Linux keeps the time of arrival with each packet; on loopback that is the time of sending. Times are seconds of the wall
clock, comparable with each other within one machine.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import os
import secrets
import socket
import struct
from typing import Any
from urllib.parse import urlsplit

from app.softphone import Softphone

SIOCGSTAMPNS, SO_TIMESTAMPNS = 0x8907, 35
_TEXT, _PING, _PONG = 1, 9, 10


def _seconds(stamp: bytes) -> float:
    seconds, nanoseconds = struct.unpack("qq", stamp[:16])
    return float(seconds + nanoseconds / 1e9)


class StampedPhone(Softphone):
    """A softphone that knows when each INVITE arrived: `invited[Call-ID]`."""

    def __init__(self, server: tuple[str, int], user: str, password: str) -> None:
        super().__init__(server, user, password)
        self.invited: dict[str, float] = {}

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        stamp = self._stamp()
        if data.startswith(b"INVITE ") and stamp:
            for line in data.split(b"\r\n"):
                if line.lower().startswith(b"call-id:"):
                    self.invited.setdefault(line.partition(b":")[2].strip().decode(), stamp)
        super().datagram_received(data, addr)

    def _stamp(self) -> float:
        """Of the packet read last; 0.0 before the kernel was first asked, because it keeps none until then."""
        assert self._transport is not None
        try:
            return _seconds(fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), SIOCGSTAMPNS, bytes(16)))
        except FileNotFoundError:
            return 0.0


class StampedFeed:
    """A live feed read frame by frame: `frames` has (time of arrival, message). `await open(…)`, then `await run()`."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, dict[str, Any]]] = []
        self._socket = socket.socket()

    async def open(self, base_url: str, token: str) -> None:
        """Raises ConnectionError when the other side does not speak WebSocket with us."""
        loop, url = asyncio.get_running_loop(), urlsplit(base_url)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        await loop.sock_connect(self._socket, (url.hostname, url.port))
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        request = (
            f"GET /api/live HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        await loop.sock_sendall(self._socket, request.encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += (await self._take(1))[0]
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head.decode("latin-1"))

    async def run(self) -> None:
        """Until the feed ends or this is cancelled."""
        while True:
            (first, second), _ = await self._take(2)
            length = second & 0x7F
            if length >= 126:
                length = int.from_bytes((await self._take(2 if length == 126 else 8))[0], "big")
            body, stamp = await self._take(length)
            if first & 0x0F == _TEXT:
                self.frames.append((stamp, json.loads(body)))
            elif first & 0x0F == _PING:
                self._pong(body)

    async def _take(self, length: int) -> tuple[bytes, float]:
        """Exactly so many bytes, and when the last of them arrived."""
        data, stamp = b"", 0.0
        while len(data) < length:
            try:
                more, notes, _, _ = self._socket.recvmsg(length - len(data), socket.CMSG_SPACE(16))
            except BlockingIOError:
                await self._readable()
                continue
            if not more:
                raise ConnectionError("the live feed was closed")
            data += more
            stamp = next((_seconds(note) for _, kind, note in notes if kind == SO_TIMESTAMPNS), stamp)
        return data, stamp

    async def _readable(self) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._socket, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._socket)

    def _pong(self, body: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(body))
        self._socket.send(bytes([0x80 | _PONG, 0x80 | len(body)]) + mask + masked)

    def close(self) -> None:
        self._socket.close()
