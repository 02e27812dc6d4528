"""What comes from outside and may be anything: rows of the corpora as bytes, and a phone that sends them as they are."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from app.softphone import Call, Softphone
from app.softphone.message import Message

CORPUS = Path(__file__).parent / "corpus"


def rows(name: str) -> list[dict[str, Any]]:
    return list(YAML(typ="safe", pure=True).load(CORPUS / f"{name}.yaml"))


def raw(text: str) -> bytes:
    """Text of a corpus, in which bytes stand as in Python."""
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")


def odd(text: str) -> str:
    """The same as text that a softphone can carry; what is no UTF-8 comes out of it as it went in."""
    return raw(text).decode("utf-8", "surrogateescape")


class Stranger(Softphone):
    """A phone that says of itself whatever it was told to."""

    sender = ""

    async def call_as(self, target: str, sender: str, headers: list[tuple[str, str]]) -> Call:
        self.sender = sender
        return await self.call(target, headers=headers)

    def _invite(self, call: Call, headers: list[tuple[str, str]]) -> None:
        if self.sender:
            call.local = f"{self.sender};tag={call.local_tag}"
        super()._invite(call, headers)

    def _send(self, message: Message) -> bytes:
        lines = [message.start, *(f"{key}: {value}" for key, value in message.headers)]
        body = message.body.encode()
        data = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("utf-8", "surrogateescape") + body
        if self._transport is not None:
            self._transport.sendto(data, self.server)
        return data


class Sender(asyncio.DatagramProtocol):
    """Sends datagrams and keeps what is answered."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.answers.append(data)

    @classmethod
    async def send_all(cls, server: tuple[str, int], corpus: list[dict[str, Any]]) -> list[str]:
        """Sends every row and returns the first lines of all answers, a moment after the last one."""
        transport, sender = await asyncio.get_running_loop().create_datagram_endpoint(cls, local_addr=("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        for row in corpus:
            data = raw(row["data"]) if "data" in row else "\r\n".join([*row["lines"], "", ""]).encode()
            for _ in range(row.get("times", 1)):
                filled = data
                known = {"to": f"{server[0]}:{server[1]}", "from": "127.0.0.1", "port": str(port),
                         "id": secrets.token_hex(6), "long": "A" * 8000}  # fmt: skip
                for name, text in known.items():
                    filled = filled.replace(b"{%s}" % name.encode(), text.encode())
                transport.sendto(filled, server)
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.3)
        transport.close()
        return [answer.split(b"\r\n")[0].decode("utf-8", "replace") for answer in sender.answers]
