"""A world seen from outside: starts `aftercall run` as a program and knows of it only what `world.json` says.

What the demo, the black-box tests and the benches share. It is a client like any other: SIP, REST, live feed.
Invariant: whatever it started is stopped when the block ends, also after an error.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from app.softphone import Softphone

Json = dict[str, Any]


class LiveFeed:
    """A live feed's messages with the loop time of their arrival; `until` waits for one that fits."""

    def __init__(self) -> None:
        self.messages: list[tuple[float, Json]] = []
        self.closed = False
        self._news = asyncio.Event()

    async def read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        async for frame in socket:
            if frame.type is aiohttp.WSMsgType.TEXT:
                self.messages.append((loop.time(), json.loads(frame.data)))
                self._news.set()
        self.closed = True
        self._news.set()

    async def until(
        self, fits: Callable[[Json], bool], *, timeout_s: float = 10.0, after: int = 0
    ) -> tuple[float, Json]:
        """The first message from position `after` on for which `fits` holds. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                for at, message in self.messages[after:]:
                    if fits(message):
                        return at, message
                if self.closed:
                    raise ConnectionError("the live feed was closed")
                self._news.clear()
                await self._news.wait()


class OutsideWorld:
    """`async with OutsideWorld(home) as world:`; `settings` go in as environment (`{"SAMPLE__AGENTS": "20"}`)."""

    def __init__(
        self, home: Path, *, settings: dict[str, str] | None = None, echo: Callable[[str], None] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.home = home
        self.facts: Json = {}
        self.ready_s = 0.0
        self.output: list[str] = []
        self._settings = {f"AFTERCALL_{key}": value for key, value in (settings or {}).items()}
        self._settings |= environment or {}
        self._echo = echo
        self._process: asyncio.subprocess.Process | None = None
        self._group = asyncio.TaskGroup()
        self._session: aiohttp.ClientSession | None = None
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []
        self._phones: list[Softphone] = []

    # --- life

    async def __aenter__(self) -> OutsideWorld:
        await self._group.__aenter__()
        try:
            await self.start()
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        for phone in self._phones:
            await phone.close()
        for socket in self._sockets:
            await socket.close()
        if self._session is not None:
            await self._session.close()
        await self.stop()
        await self._group.__aexit__(None, None, None)

    async def start(self, *, timeout_s: float = 300.0) -> None:
        """Starts (or, after a kill, starts again) and returns when `world.json` of this start is there."""
        begun = time.monotonic()
        file = self.home / "run" / "world.json"
        file.unlink(missing_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "run", "--home", str(self.home)),
            env={**os.environ, **self._settings}, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._group.create_task(self._read_output(self._process))
        async with asyncio.timeout(timeout_s):
            while not file.exists():
                if self._process.returncode is not None:
                    raise RuntimeError("the world did not start:\n" + "\n".join(self.output[-30:]))
                await asyncio.sleep(0.02)
        self.facts = json.loads(file.read_text(encoding="utf-8"))
        self.ready_s = time.monotonic() - begun
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15))

    async def _read_output(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            text = line.decode("utf-8", "replace").rstrip()
            self.output.append(text)
            if self._echo is not None:
                self._echo(text)

    async def stop(self, *, timeout_s: float = 15.0) -> float:
        """SIGTERM to the launcher; returns the seconds it took to end. Kills it when it does not."""
        if self._process is None or self._process.returncode is not None:
            return 0.0
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise
        return time.monotonic() - begun

    async def kill(self) -> None:
        """kill -9 of every process of ours (launcher first): Asterisk, Redis and the databases are not ours."""
        assert self._process is not None
        self._process.kill()
        for role, pid in self.facts["pids"].items():
            if pid and role not in ("asterisk", "redis", "launcher"):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue  # it died with its launcher
        await self._process.wait()

    # --- as a client

    async def get(self, path: str, *, token: str | None = None) -> Any:
        """The JSON answer of `GET /api/{path}` as the admin (or the owner of `token`). Raises on an error status."""
        return await self._ask("GET", path, token, None)

    async def post(self, path: str, body: Json, *, token: str | None = None) -> Any:
        return await self._ask("POST", path, token, body)

    async def _ask(self, method: str, path: str, token: str | None, body: Json | None) -> Any:
        assert self._session is not None
        headers = {"Authorization": f"Bearer {token or self.facts['admin']['token']}"}
        url = f"{self.facts['http']}/api/{path}"
        async with self._session.request(method, url, json=body, headers=headers) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {await answer.text()}")
            return await answer.json() if answer.status != 204 else None

    async def figures(self) -> str:
        """What `/metrics` says, as the admin."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {self.facts['admin']['token']}"}
        async with self._session.get(f"{self.facts['http']}/metrics", headers=headers) as answer:
            return await answer.text()

    def shop_token(self) -> str:
        """The sample shop's token: it stands in the plan, for whoever may read it."""
        plan = json.loads((self.home / "run" / "plan.json").read_text(encoding="utf-8"))
        return str(plan["shop"]["token"])

    async def download(self, path: str) -> bytes:
        """The bytes behind a path that the API gave, as the admin. Raises RuntimeError on an error status."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {self.facts['admin']['token']}"}
        async with self._session.get(self.facts["http"] + path, headers=headers) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"GET {path}: {answer.status}")
            return await answer.read()

    async def get_until(self, path: str, fits: Callable[[Any], bool], *, timeout_s: float = 10.0) -> Any:
        """Asks until the answer fits. Raises TimeoutError naming the last answer."""
        last: Any = None
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                last = await self.get(path)
                if fits(last):
                    return last
            except (RuntimeError, aiohttp.ClientError) as error:
                last = error
            await asyncio.sleep(0.05)
        raise TimeoutError(f"{path}: {last}")

    async def live(self, *, token: str | None = None) -> LiveFeed:
        """A live feed as the admin (or the owner of `token`)."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {token or self.facts['admin']['token']}"}
        url = self.facts["http"].replace("http", "ws", 1) + "/api/live"
        socket = await self._session.ws_connect(url, headers=headers, max_msg_size=16 * 1024 * 1024)
        self._sockets.append(socket)
        feed = LiveFeed()
        self._group.create_task(feed.read(socket))
        return feed

    # --- as phones

    @property
    def sip(self) -> tuple[str, int]:
        return self.facts["sip"]["host"], self.facts["sip"]["port"]

    async def caller(self) -> Softphone:
        """A phone on the trunk account; any number may call from it (`from_user`)."""
        return await self._phone(self.facts["trunk"]["user"], self.facts["trunk"]["password"])

    async def agent(self, number: int = 0, *, ready: bool = True) -> Softphone:
        """The registered phone of the world's n-th agent, READY unless told otherwise."""
        agent = self.facts["agents"][number]
        phone = await self._phone(agent["extension"], agent["sip_password"])
        await phone.register()
        if ready:
            await self.ready(number)
        return phone

    async def ready(self, number: int = 0) -> None:
        """Makes the agent READY and returns when the board says so too."""
        agent = self.facts["agents"][number]
        await self.post(f"agents/{agent['extension']}/state", {"state": "READY"}, token=agent["token"])

    async def _phone(self, user: str, password: str) -> Softphone:
        phone = await Softphone.open(self.sip, user, password)
        self._phones.append(phone)
        return phone
