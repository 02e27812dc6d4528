"""One open socket of the live feed: what it has been told, what it still has to be told, and when it is too slow.

Does not know the board or who else is connected (`hub.py` does).

Invariants: what waits for a socket is one merged patch, however long it takes; a card is written past it at once;
a write that takes longer than `SLOW_S` ends the socket.
"""

from __future__ import annotations

import asyncio
import json
from typing import Protocol

from app.live import views
from app.live.patch import EMPTY, Json, Patch, merge
from app.live.views import Viewer
from core.http.routes import Caller

SLOW_S = 5.0
CARD_DEADLINE_S = 0.05


class Wire(Protocol):
    """A socket as far as a seat is concerned. `send` returns when the frame has left our buffers, or nearly."""

    async def send(self, text: str) -> None: ...

    @property
    def drained(self) -> bool:
        """True when nothing written stands in our buffers any more."""
        ...

    def abort(self, reason: str) -> None:
        """Ends the socket without waiting for the other side."""
        ...


class SlowReader(Exception):
    """The other side does not read."""


class Seat:
    """`run` writes until it is cancelled; raises SlowReader. `tells`: this page says when it has shown a card."""

    def __init__(self, caller: Caller, wire: Wire, *, slow_s: float = SLOW_S, tells: bool = False) -> None:
        self.caller = caller
        self.tells = tells
        self.viewer = Viewer.of(caller)
        self.sent = 0  # the number of the last patch the other side has been given
        self._wire = wire
        self._slow_s = slow_s
        self._pending: Patch = EMPTY
        self._pending_seq = 0
        self._notes: list[str] = []
        self._whole: str | None = None
        self._writing = False
        self._news = asyncio.Event()

    def greet(self, seq: int, whole: str) -> None:
        """The first thing to be sent: a snapshot, or what was missed (`seq` = how far it reaches)."""
        self._whole, self.sent = whole, seq
        self._news.set()

    def tell(self, seq: int, change: Patch) -> None:
        """A change of the board; merged with what still waits."""
        self._pending, self._pending_seq = merge(self._pending, change), seq
        self._news.set()

    def note(self, text: str) -> None:
        """A message besides the board, in its place after what waits; at most the last eight are kept."""
        self._notes = [*self._notes[-7:], text]
        self._news.set()

    @property
    def waits(self) -> bool:
        """True while a frame has not left or something stands before it."""
        return self._writing or self._whole is not None

    async def write_now(self, text: str) -> bool:
        """Writes a frame past everything that waits; True when it has left this process. A socket that cannot take it
        at once gets it after what stands before it."""
        if self.waits:
            self.note(text)
            return False
        try:
            async with asyncio.timeout(CARD_DEADLINE_S):
                await self._wire.send(text)
        except (TimeoutError, ConnectionError, RuntimeError):
            return False  # it stands in the socket's buffer, or the socket is gone
        return self._wire.drained

    async def run(self, text_of: TextOf) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while texts := self._take(text_of):
                await self._write(texts)

    def _take(self, text_of: TextOf) -> list[str]:
        texts: list[str] = []
        if self._whole is not None:
            texts.append(self._whole)
            self._whole = None
        if self._pending:
            if self._pending_seq > self.sent:
                texts.append(text_of(self._pending_seq, self._pending, self.viewer))
                self.sent = self._pending_seq
            self._pending = EMPTY
        texts += self._notes
        self._notes = []
        return texts

    async def _write(self, texts: list[str]) -> None:
        self._writing = True
        try:
            async with asyncio.timeout(self._slow_s):
                for text in texts:
                    await self._wire.send(text)
        except TimeoutError as error:
            self._wire.abort("slow")
            raise SlowReader from error
        finally:
            self._writing = False

    def abort(self, reason: str) -> None:
        self._wire.abort(reason)


class TextOf(Protocol):
    """Writes a patch for a viewer."""

    def __call__(self, seq: int, change: Patch, viewer: Viewer) -> str: ...


def encode(message: Json) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def patch_text(seq: int, change: Patch, viewer: Viewer) -> str:
    return encode({"type": "patch", "seq": seq, **views.patch(change, viewer)})
