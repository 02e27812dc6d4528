"""A scripted Asterisk Manager on loopback: greets, lets in, answers, tells events, and fails in every way a link can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from core.errors import AftercallError
from pbx.ami import ActionRefused, AmiAddress, AmiLink
from pbx.ami_events import AmiEvent
from pbx.ami_wire import Block, Framer, first

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
SECRET = "a-secret-of-sixteen"
Answer = Callable[[Block], str | None]


def block(*lines: str) -> str:
    return "".join(f"{line}\r\n" for line in lines) + "\r\n"


def hangup(number: int) -> str:
    """An event that says which one it is."""
    return block("Event: Hangup", f"Uniqueid: n1-{number}.1", "Channel: c", f"Cause: {number % 128}")


class Manager:
    """`got` has every action of every connection in order; `answers` says what is said to an action (None = nothing)."""

    def __init__(self) -> None:
        self.banner = BANNER
        self.boots = True
        self.globals: dict[str, str] = {}  # empty after a restart
        self.frozen = False
        self.drop_after: Callable[[Block], bool] = lambda _action: False
        self.got: list[tuple[int, Block]] = []
        self.raw = b""
        self.connections = 0
        self.connected_at: list[float] = []
        self.answers: dict[str, Answer] = {}
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Manager]:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self._server.close()
            self.drop()
            await asyncio.sleep(0.01)

    def names(self, connection: int | None = None) -> list[str]:
        return [first(action, "action") for number, action in self.got if connection in (None, number)]

    def tell(self, *events: str | bytes) -> None:
        """To everybody who is connected, in one write."""
        data = b"".join(event.encode() if isinstance(event, str) else event for event in events)
        for writer in self._writers:
            writer.write(data)

    def drop(self) -> None:
        """Every connection breaks."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.connected_at.append(asyncio.get_running_loop().time())
        number, framer = self.connections, Framer()
        self._writers.append(writer)
        writer.write(self.banner)
        try:
            while data := await reader.read(65536):
                self.raw += data
                for action in framer.feed(data):
                    self.got.append((number, action))
                    self._answer(writer, action)
        except ConnectionError:
            return
        finally:
            writer.close()
            if writer in self._writers:
                self._writers.remove(writer)

    def _answer(self, writer: asyncio.StreamWriter, action: Block) -> None:
        if self.frozen:
            return
        if self.drop_after(action):
            writer.transport.abort()
            return
        name, action_id = first(action, "action"), first(action, "actionid")
        answer = self.answers.get(name)
        said = answer(action) if answer is not None else self._usual(name, action_id, action)
        if said is not None:
            writer.write(said.encode())

    def _usual(self, name: str, action_id: str, action: Block) -> str:
        more = []
        if name == "Setvar" and "channel" not in action:
            self.globals[first(action, "variable")] = first(action, "value")
        if name == "Getvar":
            more = [f"Value: {self.globals.get(first(action, 'variable'), '')}"]
        said = block("Response: Success", f"ActionID: {action_id}", *more)
        booted = block("Event: FullyBooted", "Privilege: system,all", "Uptime: 5", "Status: Fully Booted")
        return said + (booted if name == "Login" and self.boots else "")


def answered(said: str) -> Answer:
    """Success, and `said` as it is behind it; `{id}` is the action's id."""
    return lambda action: said.replace("{id}", first(action, "actionid"))


def refused(reason: str) -> Answer:
    return answered(block("Response: Error", "ActionID: {id}", f"Message: {reason}"))


def listed(items: Iterable[str], *, between: str = "") -> Answer:
    """A list of channels with these ids; `between` is told after each item (events come in between)."""
    told = "".join(
        block("Event: Status", "ActionID: {id}", f"Uniqueid: {item}", "Channel: c") + between for item in items
    )
    start = block("Response: Success", "ActionID: {id}", "EventList: start", "Message: Channel status will follow")
    return answered(start + told + block("Event: StatusComplete", "ActionID: {id}", "EventList: Complete"))


class Ours:
    """Our link, and what it told."""

    def __init__(self, manager: Manager) -> None:
        self.events: list[AmiEvent] = []
        self.ups = 0
        self.downs: list[str] = []
        self.up = asyncio.Event()
        self.on_up: Callable[[], object] = lambda: None
        self.handle: Callable[[AmiEvent], None] = self.events.append
        self.address = AmiAddress("127.0.0.1", manager.port, "controller", SECRET)
        self.link = AmiLink(
            lambda: self.address, on_event=lambda event: self.handle(event), on_up=self._on_up, on_down=self._on_down
        )

    async def _on_up(self) -> None:
        made = self.on_up()
        if asyncio.iscoroutine(made):
            await made
        self.ups += 1
        self.up.set()

    def _on_down(self, reason: str) -> None:
        self.downs.append(reason)
        self.up.clear()

    def causes(self) -> list[int]:
        return [getattr(event, "cause", -1) for event in self.events]

    @asynccontextmanager
    async def running(self, *, up: bool = True) -> AsyncIterator[Ours]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.link.run())
            try:
                if up:
                    await self.is_up()
                yield self
            finally:
                task.cancel()

    async def is_up(self) -> None:
        async with asyncio.timeout(60):
            await self.up.wait()
            while not self.link.up:
                await asyncio.sleep(0)


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Manager, Ours]]:
    """A manager, and our link up on it."""
    async with Manager().listening() as manager, Ours(manager).running() as ours:
        yield manager, ours


async def until(fits: Callable[[], bool], *, step_s: float = 0.05, timeout_s: float = 120.0) -> None:
    """`step_s`: how often to look, in virtual seconds (each look costs some real milliseconds)."""
    async with asyncio.timeout(timeout_s):
        while not fits():
            await asyncio.sleep(step_s)


async def error_of(action: object) -> AftercallError | ActionRefused:
    """What an action that must fail raised."""
    try:
        await action  # type: ignore[misc]
    except (AftercallError, ActionRefused) as error:
        return error
    raise AssertionError("it did not fail")
