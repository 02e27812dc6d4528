"""A FastAGI server: Asterisk asks us what to do with a call, step by step.

Does not know menus: `handler(session)` does. Invariants: every step has a deadline; a caller who hangs up is a value
(`HungUp`), not a surprise; a peer that says nothing, too much, or something else costs one socket for two seconds; when
the handler returns or raises, the dialplan goes on (it checks AC_DONE itself); when the server ends, so does every session.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from pbx.agi_wire import ENV_BOUND, LINE_BOUND, BadAgi, Reply, command, environment, reply_of

GREET_S = 2.0
STEP_S = 5.0
SLACK_S = 5.0  # how much later than asked for Asterisk may answer a wait
MAX_SESSIONS = 2000
LONGEST_PROMPT_S = 600.0


@dataclass(frozen=True)
class HungUp:
    """The caller is gone."""


@dataclass(frozen=True)
class Played:
    """A file was played; `digit` is the key that stopped it ("" = to the end), `endpos` where, in samples."""

    digit: str = ""
    endpos: int = 0


@dataclass(frozen=True)
class Digit:
    digit: str


@dataclass(frozen=True)
class NoDigit:
    """Nothing was pressed in time."""


@dataclass(frozen=True)
class Value:
    """A channel variable's value; None when it is not set."""

    text: str | None


@dataclass(frozen=True)
class Done:
    """The command was carried out; `result` as Asterisk gave it."""

    result: str = ""


@dataclass(frozen=True)
class Failed:
    """Asterisk would not: 510 unknown command, 511 not on a dead channel, 520 wrong words, 0 no answer in time."""

    code: int
    reason: str = ""


class AgiSession:
    """One call's conversation with Asterisk. `env` holds what Asterisk said at the start (without `agi_`)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, env: dict[str, str]) -> None:
        self._reader, self._writer = reader, writer
        self.env = env
        self.hung_up = False
        self._deadline = _Deadline(reader)

    @property
    def interaction_id(self) -> str:
        return self.env.get("uniqueid", "")

    @property
    def did(self) -> str:
        return self.env.get("dnid", "") or self.env.get("extension", "")

    @property
    def ani(self) -> str:
        number = self.env.get("callerid", "")
        return "" if number == "unknown" else number

    async def answer(self) -> Done | HungUp | Failed:
        return self._done(await self._step("ANSWER"))

    async def hang_up(self) -> Done | HungUp | Failed:
        return self._done(await self._step("HANGUP"))

    async def stream_file(self, name: str, escape_digits: str = "", offset: int = 0) -> Played | HungUp | Failed:
        """Plays a sound (path without extension) until its end or a key of `escape_digits`."""
        reply = await self._step("STREAM", "FILE", name, escape_digits, str(offset), deadline_s=LONGEST_PROMPT_S)
        if not isinstance(reply, Reply):
            return reply
        if reply.result == "-1" and reply.endpos == 0 and not self.hung_up:
            return Failed(200, f"there is no sound {name}")  # a caller who went at this very moment is told next
        if reply.result == "-1":
            return self._gone()
        return Played(_key(reply.result), reply.endpos)

    async def wait_for_digit(self, timeout_s: float) -> Digit | NoDigit | HungUp | Failed:
        reply = await self._step("WAIT", "FOR", "DIGIT", str(int(timeout_s * 1000)), deadline_s=timeout_s + SLACK_S)
        if not isinstance(reply, Reply):
            return reply
        if reply.result == "-1":
            return self._gone()
        return Digit(_key(reply.result)) if reply.result != "0" else NoDigit()

    async def set_variable(self, name: str, value: str) -> Done | HungUp | Failed:
        return self._done(await self._step("SET", "VARIABLE", name, value))

    async def get_variable(self, name: str) -> Value | HungUp | Failed:
        reply = await self._step("GET", "VARIABLE", name)
        if not isinstance(reply, Reply):
            return reply
        return Value(reply.data if reply.result == "1" else None)

    async def execute(
        self, application: str, arguments: str = "", *, deadline_s: float = STEP_S
    ) -> Done | HungUp | Failed:
        """A dialplan application, by name. Failed when there is no such application."""
        reply = await self._step("EXEC", application, arguments, deadline_s=deadline_s)
        if isinstance(reply, Reply) and reply.result == "-2":
            return Failed(200, f"there is no application {application}")
        return self._done(reply)

    async def verbose(self, text: str, level: int = 1) -> Done | HungUp | Failed:
        """A line for Asterisk's console."""
        return self._done(await self._step("VERBOSE", text, str(level)))

    def _done(self, reply: Reply | HungUp | Failed) -> Done | HungUp | Failed:
        if not isinstance(reply, Reply):
            return reply
        return self._gone() if reply.result == "-1" else Done(reply.result)

    def _gone(self) -> HungUp:
        self.hung_up = True
        return HungUp()

    async def _step(self, *words: str, deadline_s: float = STEP_S) -> Reply | HungUp | Failed:
        if self.hung_up:
            return HungUp()
        self._writer.write(command(*words))
        self._deadline.set(deadline_s)
        try:
            while True:
                line = await self._line()
                if line == "HANGUP":
                    self.hung_up = True  # told between; the reply to our command still follows
                    continue
                if line.startswith("520-"):
                    while not (await self._line()).startswith("520 "):
                        continue
                    return Failed(520, "wrong words")
                reply = reply_of(line)
                if reply.code < 200:
                    continue
                if reply.code == 511:
                    return self._gone()
                return reply if reply.code == 200 else Failed(reply.code, reply.data)
        except TimeoutError:
            self.hung_up = True  # what this connection would say next belongs to a step that was given up
            return Failed(0, f"no answer within {deadline_s:g} s")
        except (BadAgi, OSError, EOFError, ValueError):
            return self._gone()
        finally:
            self._deadline.clear()

    def close(self) -> None:
        """Nothing is asked any more."""
        self._deadline.close()

    async def _line(self) -> str:
        raw = await self._reader.readline()
        if not raw.endswith(b"\n"):
            raise EOFError
        return raw.decode("utf-8", "replace").rstrip("\r\n")


class _Deadline:
    """Ends the reading of a step that takes too long. One timer serves many steps: `asyncio.timeout` makes and drops one for
    each, which costs as much as the step itself."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._due = math.inf  # on the loop's clock
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + seconds
        if self._timer is None or self._timer.when() > self._due:
            self._ring_at(loop, self._due)

    def clear(self) -> None:
        self._due = math.inf

    def close(self) -> None:
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring_at(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(when, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._due <= loop.time():
            self._reader.set_exception(TimeoutError())
        elif self._due < math.inf:
            self._ring_at(loop, self._due)  # a later step has been begun meanwhile


def _key(result: str) -> str:
    """`49` → `1`; "" for 0."""
    number = int(result or 0)
    return chr(number) if 0 < number < 127 else ""


Handler = Callable[[AgiSession], Awaitable[None]]


class AgiServer:
    """`async with AgiServer(handler) as server:`; `server.port`; `sessions` counts those that are open.
    While `crowded()`, new ones are let go of at once: the dialplan gives the caller to the other controller."""

    def __init__(
        self, handler: Handler, *, host: str = "127.0.0.1", port: int = 0, crowded: Callable[[], bool] = lambda: False
    ) -> None:
        self._handler = handler
        self._crowded = crowded
        self._address = (host, port)
        self._server: asyncio.Server | None = None
        self.port = port
        self.refused = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def sessions(self) -> int:
        """How many connections are open."""
        return len(self._tasks)

    async def emptied(self) -> None:
        """Returns when nobody is in a menu of ours."""
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def __aenter__(self) -> AgiServer:
        self._server = await asyncio.start_server(self._serve, *self._address, limit=LINE_BOUND, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # the server makes one for each connection
        self._tasks.add(task)
        try:
            if self.sessions > MAX_SESSIONS or self._crowded():
                self.refused += 1
                return
            env = await self._greeting(reader)
            if env is None:
                self.refused += 1
                return
            session = AgiSession(reader, writer, env)
            with structlog.contextvars.bound_contextvars(interaction_id=session.interaction_id):
                try:
                    await self._handler(session)
                except Exception:
                    structlog.get_logger().exception("agi_handler_failed")
                finally:
                    session.close()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _greeting(self, reader: asyncio.StreamReader) -> dict[str, str] | None:
        """The environment; None for a peer that is not Asterisk or not in time."""
        lines: list[str] = []
        size = 0
        try:
            async with asyncio.timeout(GREET_S):
                while True:
                    raw = await reader.readline()
                    size += len(raw)
                    if not raw.endswith(b"\n") or size > ENV_BOUND or b"\0" in raw:
                        return None
                    line = raw.decode("utf-8", "replace").rstrip("\r\n")
                    if not line:
                        return environment(lines)
                    lines.append(line)
        except (TimeoutError, OSError, ValueError):
            return None
