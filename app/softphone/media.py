"""The sound of one call: RTP out at 20 ms, RTP in put on a time line, digits by RFC 4733.

Needs no task: the loop's timer paces it. What was heard is kept as samples at 8 kHz, in the order of their time
stamps, with the arrival time of every packet, so that gaps can be measured and words recognised.
"""

from __future__ import annotations

import asyncio
import struct

import numpy as np

from app.softphone import g711
from app.softphone.g711 import Pcm

FRAME = 160  # samples in 20 ms
DIGITS = "0123456789*#ABCD"
_SILENCE = np.zeros(FRAME, dtype=np.int16)


class Media(asyncio.DatagramProtocol):
    """Open with `await Media.open(host)`; `play`, `send_digits`, `heard()`; `stop` before letting go."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.DatagramTransport | None = None
        self._remote: tuple[str, int] | None = None
        self._codec = 8
        self._out: list[Pcm] = []
        self._events: list[tuple[int, int]] = []  # (digit, frames left) being sent
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0
        self._sequence = 1
        self._stamp = 0
        self._event_stamp = 0
        self._blocks: list[tuple[int, Pcm]] = []
        self._base: tuple[int, int, int] | None = None  # ssrc, first stamp, sample position
        self._idle: asyncio.Future[None] | None = None
        self._arrived: list[tuple[int, asyncio.Future[None]]] = []
        self.port = 0
        self.arrivals: list[float] = []
        self.keys_sent: list[float] = []  # the loop time at which each key's end went out
        self.started_at = 0.0
        self.sending = True

    @classmethod
    async def open(cls, host: str) -> Media:
        loop = asyncio.get_running_loop()
        transport, media = await loop.create_datagram_endpoint(lambda: cls(loop), local_addr=(host, 0))
        media._transport = transport
        media.port = transport.get_extra_info("sockname")[1]
        return media

    def start(self, host: str, port: int, codec: int) -> None:
        """Begins (or redirects) the sending side."""
        self._remote, self._codec = (host, port), codec
        if self._timer is None and self._transport is not None:
            self.started_at = self._next_at = self._loop.time()
            self._tick()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        for future in [self._idle, *(f for _, f in self._arrived)]:
            if future is not None and not future.done():
                future.cancel()

    # --- sending

    def play(self, samples: Pcm) -> None:
        """Queues samples (8 kHz, int16) behind what is still to be said."""
        for at in range(0, len(samples), FRAME):
            frame = samples[at : at + FRAME]
            self._out.append(frame if len(frame) == FRAME else np.pad(frame, (0, FRAME - len(frame))))

    def send_digits(self, digits: str, *, tone_ms: int = 100, gap_ms: int = 80) -> None:
        """Queues digits as RFC 4733 events; they go out one after another."""
        for digit in digits:
            self._events += [(DIGITS.index(digit), tone_ms // 20), (-1, gap_ms // 20)]

    async def said(self) -> None:
        """Returns when everything queued has been sent."""
        if self._out or self._events:
            self._idle = self._loop.create_future()
            await self._idle

    def _tick(self) -> None:
        self._send_frame()
        self._next_at += 0.02
        self._timer = self._loop.call_at(self._next_at, self._tick)

    def _send_frame(self) -> None:
        if self._events:
            self._send_event()
        elif self._out:
            self._send(self._codec, g711.encode(self._out.pop(0), self._codec), self._stamp)
        elif self.sending:
            self._send(self._codec, g711.encode(_SILENCE, self._codec), self._stamp)
        self._stamp = (self._stamp + FRAME) & 0xFFFFFFFF
        if self._idle is not None and not self._out and not self._events and not self._idle.done():
            self._idle.set_result(None)

    def _send_event(self) -> None:
        digit, left = self._events[0]
        if digit >= 0:
            first = self._event_stamp == 0
            if first:
                self._event_stamp, self._event_length = self._stamp or 1, 0
            self._event_length += FRAME
            packet = struct.pack("!BBH", digit, 10 | (0x80 if left <= 1 else 0), self._event_length)
            for _ in range(3 if left <= 1 else 1):
                self._send(101, packet, self._event_stamp, marker=first)
            if left <= 1:
                self.keys_sent.append(self._loop.time())
        if left <= 1:
            self._events.pop(0)
            self._event_stamp = 0
        else:
            self._events[0] = (digit, left - 1)

    _event_length = 0

    def _send(self, kind: int, payload: bytes, stamp: int, *, marker: bool = False) -> None:
        if self._transport is None or self._remote is None:
            return
        head = struct.pack(
            "!BBHII", 0x80, kind | (0x80 if marker else 0), self._sequence, stamp, 0xAF7E0000 | self.port
        )
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._transport.sendto(head + payload, self._remote)

    # --- receiving

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        if len(data) < 13 or data[0] >> 6 != 2 or data[1] & 0x7F not in (0, 8):
            return
        self.arrivals.append(self._loop.time())
        stamp, ssrc = struct.unpack("!II", data[4:12])
        samples = g711.decode(data[12:], data[1] & 0x7F)
        if self._base is None or self._base[0] != ssrc:
            # A new source: anchored at the time it was first heard.
            position = int((self.arrivals[-1] - self.arrivals[0]) * 8000)
            self._base = (ssrc, stamp, position)
        at = self._base[2] + ((stamp - self._base[1] + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        self._blocks.append((at, samples))
        for count, future in self._arrived:
            if len(self._blocks) >= count and not future.done():
                future.set_result(None)
        self._arrived = [(c, f) for c, f in self._arrived if not f.done()]

    def heard(self) -> Pcm:
        """All that was heard so far, silence where nothing came. 8 kHz; second 0 = the first packet."""
        end = max((at + len(block) for at, block in self._blocks), default=0)
        sound = np.zeros(max(end, 0), dtype=np.int16)
        for at, block in self._blocks:
            if at >= 0:
                sound[at : at + len(block)] = block
        return sound

    def came_at(self, second: float) -> float:
        """The loop time at which the sound at `second` of `heard()` arrived. Raises LookupError when none did."""
        sample = round(second * 8000)
        for (at, block), arrived in zip(self._blocks, self.arrivals, strict=False):
            if at <= sample < at + len(block):
                return arrived
        raise LookupError(f"nothing was heard at second {second:.3f}")

    async def more(self, packets: int = 1) -> None:
        """Returns when `packets` more packets of sound have come."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._arrived.append((len(self._blocks) + packets, future))
        await future

    def longest_gap_s(self, since: float = 0.0) -> float:
        """The longest time between two packets after the loop time `since`, in seconds."""
        times = [t for t in self.arrivals if t >= since]
        return max((b - a for a, b in zip(times, times[1:], strict=False)), default=0.0)
