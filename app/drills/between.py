"""A TCP proxy of the drill's own between the controllers and the switch's AMI: it can fall silent, break off, talk too much."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator

from app.drills.field import Field
from app.world.plan import Endpoint, plan_file, read_plan

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_EVENT = (
    "Event: UserEvent\r\nPrivilege: user,all\r\nTimestamp: {at:.6f}\r\nUserEvent: AcFlood\r\nNumber: {number}\r\n\r\n"
)


class Between:
    """`await open()` gives the port; `accepted` counts connections, `longest_unread_s` how long a reader let us wait."""

    def __init__(self, to: Endpoint) -> None:
        self._to = to
        self._writers: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}  # controller's → switch's
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server
        self.accepted = 0
        self.longest_unread_s = 0.0

    async def open(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        # Small buffers: what a controller leaves unread is felt here at once.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
        writer.transport.set_write_buffer_limits(0)
        with contextlib.suppress(OSError):
            theirs, ours = await asyncio.open_connection(self._to.host, self._to.port)
            self._writers[writer] = ours
            pumps = [
                asyncio.get_running_loop().create_task(pump)
                for pump in (self._orders(reader, ours), self._messages(theirs, writer))
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            ours.transport.abort()
        self._writers.pop(writer, None)
        writer.transport.abort()

    async def _orders(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(data)

    async def _messages(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Whole messages only: between two of them others may be put in."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            writer.write(await reader.readline())  # the banner has no empty line behind it
            while True:
                message = await reader.readuntil(b"\r\n\r\n")
                await self._flows.wait()
                writer.write(message)

    # --- faults

    def cut(self) -> None:
        """Every link breaks off."""
        for writer, ours in list(self._writers.items()):
            writer.transport.abort()
            ours.transport.abort()

    @contextlib.contextmanager
    def half_open(self) -> Iterator[None]:
        """Inside the block connections stand and nothing comes through, either way."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    async def flood(self, per_s: int, seconds: float) -> int:
        """Events between the switch's own, to every controller. Returns how many each was told."""
        loop = asyncio.get_running_loop()
        begun, told = loop.time(), 0
        while (now := loop.time()) - begun < seconds:
            due = int((now - begun) * per_s)
            batch = "".join(_EVENT.format(at=now, number=number) for number in range(told, due)).encode("ascii")
            told = due
            for writer in list(self._writers):
                before = loop.time()
                with contextlib.suppress(OSError):
                    writer.write(batch)
                    await writer.drain()
                self.longest_unread_s = max(self.longest_unread_s, loop.time() - before)
            await asyncio.sleep(0.01)
        return told


@contextlib.asynccontextmanager
async def between(field: Field) -> AsyncIterator[Between]:
    """Both controllers reach the switch through the proxy inside the block: they are restarted for it, before and after."""
    plan = read_plan(field.world.home)
    proxy = Between(Endpoint(host=plan.ami.host, port=plan.ami.port))
    port = await proxy.open()
    try:
        await _restarted_with(field, port)
        yield proxy
    finally:
        await _restarted_with(field, plan.ami.port)
        await proxy.close()


async def _restarted_with(field: Field, ami_port: int) -> None:
    plan = read_plan(field.world.home)
    owner = plan_file(plan.home).stat()
    plan.model_copy(update={"ami": plan.ami.model_copy(update={"port": ami_port})}).write()
    os.chown(plan_file(plan.home), owner.st_uid, owner.st_gid)  # as root we run a world that is somebody else's
    before = {field.pid("controller"), field.pid("standby")}
    for role in ("standby", "controller"):
        field.kill(role, signal.SIGKILL)
    await field.until(
        lambda: not before & {field.told()["pids"].get(role, 0) for role in ("controller", "standby")},
        "both controllers are new", timeout_s=45,
    )  # fmt: skip
    await field.both_controllers()
