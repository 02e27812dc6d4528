"""What a bench needs of the world's Asterisk beside the product: its command line, and peers' configuration added to it.

Works on the running instance through its own control socket; nothing of the product knows of it.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from app.world.outside import OutsideWorld
from app.world.switch import WATCHDOG

PEER_SECRET = "bench-peer-Zk4Wq9Lx2Rv7"


class Switch:
    """The Asterisk of a world by its process id."""

    def __init__(self, world: OutsideWorld) -> None:
        raw = Path(f"/proc/{world.facts['asterisk']['pid']}/cmdline").read_bytes()
        words = [word.decode() for word in raw.split(b"\0") if word]
        conf = Path(words[words.index("-C") + 1])
        self._cli = [*words[: words.index("-C")], "-C", str(conf)]
        found = re.search(r"^\s*astetcdir\s*=>?\s*(\S+)", conf.read_text(encoding="utf-8"), re.M)
        self.etc = Path(found.group(1)) if found else conf.parent

    async def cli(self, command: str) -> str:
        """One command's output. Raises RuntimeError when Asterisk does not take it within 10 s."""
        process = await asyncio.create_subprocess_exec(
            *self._cli, "-rx", command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(10):
            output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{command}: {output.decode('utf-8', 'replace')}")
        return output.decode("utf-8", "replace")

    async def quiet(self, *, timeout_s: float = 30.0) -> None:
        """Returns when nobody is on the line. The dialplan's watchdog is always there and is nobody; so is a `Surrogate/`:
        Asterisk 22.10.1 forgets one after some of a thousand Bridge()s of a waiting channel, whoever asked for it.
        Raises TimeoutError that names who is."""
        until = asyncio.get_running_loop().time() + timeout_s
        while True:
            rows = (await self.cli("core show channels concise")).splitlines()
            left = [row for row in rows if "!" in row and WATCHDOG not in row and not row.startswith("Surrogate/")]
            if not left:
                return
            if asyncio.get_running_loop().time() > until:
                raise TimeoutError("; ".join(left))
            await asyncio.sleep(0.1)

    async def heard(self, *, timeout_s: float = 5.0) -> None:
        """Returns when the dialplan has heard our controller's heartbeat: from then on callers get the menu. Raises
        TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while "AC_QUIET=0" not in await self.cli("dialplan show globals"):
                await asyncio.sleep(0.05)

    async def add(self, **files: str) -> None:
        """Appends text to `extensions`, `queues`, `manager` …, and loads them."""
        reload = {"extensions": "dialplan reload", "queues": "queue reload all", "manager": "manager reload"}
        for name, text in files.items():
            with (self.etc / f"{name}.conf").open("a", encoding="utf-8") as file:
                file.write("\n" + text)
            await self.cli(reload[name])


class BareAmi:
    """An AMI client as short as it can be: the measure of what the wire alone costs."""

    def __init__(self) -> None:
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self, host: str, port: int, user: str, secret: str) -> None:
        self._reader, self._writer = await asyncio.open_connection(host, port, limit=1 << 20)
        await self._reader.readline()
        self.send(f"Action: Login\r\nUsername: {user}\r\nSecret: {secret}\r\nEvents: call,user\r\n\r\n")

    def send(self, action: str) -> None:
        assert self._writer is not None
        self._writer.write(action.encode())

    async def next(self) -> dict[str, str]:
        """The next event or response as a dictionary. Raises IncompleteReadError at the end."""
        assert self._reader is not None
        block = (await self._reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
        return dict(line.partition(": ")[::2] for line in block.split("\r\n") if line)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
