"""FastAGI without a menu: what a call costs when somebody else has thought of everything.

`Recorder` stands between Asterisk and our controller and writes down the commands of each call. `python -m bench.bare_agi
FILE` is the smallest server that sends such a list, line after line, and waits for each reply: the peer of B5.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path


class Recorder:
    """`async with Recorder(port) as recorder:` listens on `recorder.port`; `calls` has each call's commands."""

    def __init__(self, controller_port: int) -> None:
        self._controller_port = controller_port
        self.calls: list[list[str]] = []
        self.port = 0

    async def __aenter__(self) -> Recorder:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands: list[str] = []
        self.calls.append(commands)
        from_us, to_us = await asyncio.open_connection("127.0.0.1", self._controller_port)

        async def replies() -> None:
            while line := await reader.readline():
                to_us.write(line)
            to_us.close()

        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(replies())
                while line := await from_us.readline():
                    commands.append(line.decode().rstrip("\n"))
                    writer.write(line)
                reading.cancel()
        finally:
            writer.close()
            to_us.close()


async def serve(commands: Sequence[str]) -> None:
    """Prints its port; until its input is closed."""
    lines = [f"{command}\n".encode() for command in commands]

    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readline() not in (b"\n", b""):
                continue
            for line in lines:
                writer.write(line)
                reply = await reader.readline()
                if reply == b"HANGUP\n":
                    reply = await reader.readline()
                if not reply.startswith(b"200") or reply.startswith(b"200 result=-1"):
                    break
        except ConnectionError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(call, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def bare_server(commands: Sequence[str], folder: Path) -> AsyncIterator[tuple[int, int]]:
    """The server in a process of its own: its port and process id."""
    file = folder / "commands.json"
    file.write_text(json.dumps(list(commands)), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.bare_agi", str(file)), stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    try:
        yield int(await process.stdout.readline()), process.pid
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    asyncio.run(serve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
