"""Asks the switch from outside, as a phone would, whether SIP answers: an OPTIONS now and then, any answer counts.

Does not decide what silence means (`world/switch_watch.py`) and needs no account: that it is refused is an answer.
Invariant: time is this process's monotonic clock, and time in which nobody asked is no silence.
"""

from __future__ import annotations

import asyncio
import secrets

EVERY_S = 2.0
AGAIN_S = 0.5  # while it is silent


class SipProbe(asyncio.DatagramProtocol):
    """`await run()` for ever. `silent_s`: for how long questions have had no answer; 0 while they have."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._loop = asyncio.get_running_loop()
        self._asked_at: float | None = None  # the first question since the last answer
        self._transport: asyncio.DatagramTransport | None = None
        self.answers = 0

    @property
    def silent_s(self) -> float:
        return 0.0 if self._asked_at is None else self._loop.time() - self._asked_at

    def forget(self) -> None:
        """A new life of the switch: what the old one did not answer is not its fault."""
        self._asked_at = None
        self.answers = 0

    async def run(self) -> None:
        self._transport, _ = await self._loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1" if self._address[0].startswith("127.") else "0.0.0.0", 0)
        )
        try:
            while True:
                before = self._loop.time()
                self._ask()
                await asyncio.sleep(AGAIN_S)
                if self._asked_at is None:
                    await asyncio.sleep(EVERY_S - AGAIN_S)
                if self._loop.time() - before > 2 * EVERY_S:
                    self.forget()  # we slept ourselves
        finally:
            self._transport.close()

    def _ask(self) -> None:
        assert self._transport is not None
        if self._asked_at is None:
            self._asked_at = self._loop.time()
        port = self._transport.get_extra_info("sockname")[1]
        host, number = self._address
        mark = secrets.token_hex(6)
        lines = (
            f"OPTIONS sip:probe@{host}:{number} SIP/2.0", f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{mark};rport",
            "Max-Forwards: 70", f"From: <sip:probe@{host}>;tag={mark}", f"To: <sip:probe@{host}>", f"Call-ID: {mark}",
            "CSeq: 1 OPTIONS", "User-Agent: Aftercall probe", "Content-Length: 0", "", "",
        )  # fmt: skip
        self._transport.sendto("\r\n".join(lines).encode("ascii"), self._address)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        if data.startswith(b"SIP/2.0 "):
            self._asked_at = None
            self.answers += 1

    def error_received(self, error: Exception) -> None:
        """Nobody listens there: silence, as far as we are concerned."""
