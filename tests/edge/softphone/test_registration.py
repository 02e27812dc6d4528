"""A phone that is left alone stays registered, as phones on desks do."""

from __future__ import annotations

import asyncio

from app.softphone import Softphone
from app.softphone.message import parse


class Registrar(asyncio.DatagramProtocol):
    """Takes every registration and counts them."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[str] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        asked = parse(data)
        self.asked.put_nowait(asked.get("expires"))
        same = "".join(f"{name}: {asked.get(name)}\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
        self.transport.sendto(f"SIP/2.0 200 OK\r\n{same}Content-Length: 0\r\n\r\n".encode(), addr)  # type: ignore[attr-defined]


async def test_a_registration_is_renewed_before_it_ends_and_not_after_the_phone_is_closed() -> None:
    loop = asyncio.get_running_loop()
    transport, registrar = await loop.create_datagram_endpoint(Registrar, local_addr=("127.0.0.1", 0))
    try:
        async with await Softphone.open(transport.get_extra_info("sockname"), "101", "secret") as phone:
            await phone.register(1)
            async with asyncio.timeout(5):
                assert [await registrar.asked.get() for _ in range(3)] == ["1", "1", "1"]
        async with asyncio.timeout(5):
            while (asked := await registrar.asked.get()) != "0":  # taken back
                assert asked == "1"
        assert phone._again is None or phone._again.cancelled()
    finally:
        transport.close()
