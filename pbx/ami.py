"""Our link to one Asterisk: events in order, actions with a deadline, and the truth about whether the link lives.

Does not interpret events. panoramisk is used for what an action looks like (`ami_wire.encode`); its connection is not:
it sends actions again after a lost link, loses characters split across reads, and dies of a callback's exception.
Invariants: an action is sent at most once, ever; events reach `on_event` in Asterisk's order, from one task; whoever
comes late finds no events (AMI has no replay), so every new link begins with `on_up`, in which the switchboard lists
what is there; the reader only frames and appends, so nothing lies unread while somebody works.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from core.errors import Unavailable
from pbx.ami_events import AmiEvent, Booted, read
from pbx.ami_wire import Block, Framer, encode, first

PING_S, DEAD_S = 2.0, 5.0
ACTION_S = 3.0
EVENTS_BOUND = 200_000
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0)
READ_SIZE = 1 << 16


class ActionRefused(Exception):
    """Asterisk answered with an error; `reason` is its own sentence. The action had no effect."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.reason = reason


class LinkDown(Unavailable):
    """There is no link, or it broke before the answer came: whether the action took effect is not known."""

    def __init__(self, reason: str) -> None:
        super().__init__("switch", f"The telephone switch does not answer: {reason}.")


@dataclass
class _Pending:
    answer: asyncio.Future[list[Block]]
    is_list: bool
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class AmiAddress:
    host: str
    port: int
    user: str
    secret: str = field(repr=False)


class AmiLink:
    """`await run()` for ever. `on_up` is awaited on each new link before its events are handed on; then `on_event`."""

    def __init__(
        self,
        address: AmiAddress,
        *,
        on_event: Callable[[AmiEvent], None],
        on_up: Callable[[], Awaitable[None]],
        on_down: Callable[[str], None],
    ) -> None:
        self._address = address
        self._on_event, self._on_up, self._on_down = on_event, on_up, on_down
        self._writer: asyncio.StreamWriter | None = None
        self._pending: dict[str, _Pending] = {}
        self._events: deque[AmiEvent] = deque()
        self._news = asyncio.Event()
        self._booted = asyncio.Event()
        self._heard_at = 0.0
        self._number = 0
        self.up = False
        self.reconnects = 0
        self.handled = 0
        self.flooded = 0

    # --- actions

    async def send(
        self, name: str, headers: Mapping[str, str | Sequence[str]] | None = None, *,
        deadline_s: float = ACTION_S, action_id: str = "",
    ) -> Block:  # fmt: skip
        """One action and its response. Raises ActionRefused, LinkDown (also at the deadline), UnsafeValue."""
        return (await self._ask(name, headers or {}, deadline_s, action_id, is_list=False))[0]

    async def ask_list(
        self, name: str, headers: Mapping[str, str | Sequence[str]] | None = None, *, deadline_s: float = ACTION_S
    ) -> list[Block]:
        """An action that answers with a list; its items. Raises as `send`."""
        blocks = await self._ask(name, headers or {}, deadline_s, "", is_list=True)
        return [block for block in blocks if "event" in block and not first(block, "eventlist")]

    async def _ask(
        self, name: str, headers: Mapping[str, str | Sequence[str]], deadline_s: float, action_id: str, *, is_list: bool
    ) -> list[Block]:
        self._number += 1
        action_id = action_id or f"ac-{self._number}"
        data = encode(action_id, name, headers)
        if self._writer is None:
            raise LinkDown("no link")
        pending = _Pending(asyncio.get_running_loop().create_future(), is_list)
        self._pending[action_id] = pending
        try:
            self._writer.write(data)
            async with asyncio.timeout(deadline_s):
                blocks = await pending.answer
        except TimeoutError as error:
            raise LinkDown(f"no answer to {name} within {deadline_s:g} s") from error
        finally:
            self._pending.pop(action_id, None)
        if first(blocks[0], "response") == "Error":
            raise ActionRefused(name, first(blocks[0], "message"))
        return blocks

    # --- life

    async def run(self) -> None:
        """Connects, reads, pings; after a loss connects again with jittered backoff. Until cancelled."""
        failures = 0
        while True:
            reason = ""
            try:
                await self._one_link()
                reason = "closed by the switch"
            except (OSError, TimeoutError, EOFError, LinkDown, ActionRefused) as error:
                reason = str(error) or type(error).__name__
            except ExceptionGroup as group:
                lost, rest = group.split((OSError, TimeoutError, EOFError, LinkDown, ActionRefused))
                if rest is not None:
                    raise rest from None
                assert lost is not None
                reason = str(lost.exceptions[0]) or type(lost.exceptions[0]).__name__
            except asyncio.CancelledError:
                self._drop("we end")
                raise
            failures = 0 if self.up else failures + 1
            self._drop(reason)
            await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)] * random.uniform(0.7, 1.3))  # noqa: S311
            self.reconnects += 1

    async def _one_link(self) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DEAD_S):
            reader, self._writer = await asyncio.open_connection(self._address.host, self._address.port)
            await reader.readline()  # the banner
        self._heard_at = loop.time()
        self._events.clear()
        self._booted.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(reader))
            login = {"Username": self._address.user, "Secret": self._address.secret}
            await self._ask("Login", login, DEAD_S, "", is_list=False)
            async with asyncio.timeout(30):
                await self._booted.wait()
            group.create_task(self._ping())
            await self._on_up()
            self.up = True
            group.create_task(self._hand_on())

    async def _read(self, reader: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        framer = Framer()
        while True:
            data = await reader.read(READ_SIZE)
            if not data:
                raise EOFError("closed by the switch")
            self._heard_at = loop.time()
            for block in framer.feed(data):
                self._sort(block)

    def _sort(self, block: Block) -> None:
        pending = self._pending.get(first(block, "actionid"))
        if pending is not None and ("response" in block or pending.is_list):
            self._collect(pending, block)
            if not ("event" in block and first(block, "event") == "OriginateResponse"):
                return
        event = read(block)
        if event is None:
            return
        if isinstance(event, Booted):
            self._booted.set()
            return
        if len(self._events) >= EVENTS_BOUND:
            # Better a fresh list of what is there than memory without end.
            self.flooded += 1
            raise LinkDown("more events than can be handled")
        self._events.append(event)
        self._news.set()

    @staticmethod
    def _collect(pending: _Pending, block: Block) -> None:
        pending.blocks.append(block)
        refused = first(block, "response") == "Error"
        complete = first(block, "eventlist").lower() == "complete" or first(block, "event").endswith("Complete")
        if (not pending.is_list or refused or complete) and not pending.answer.done():
            pending.answer.set_result(pending.blocks)

    async def _hand_on(self) -> None:
        """The one consumer: events in order, giving way to the loop between bursts."""
        while True:
            await self._news.wait()
            self._news.clear()
            burst = 0
            while self._events:
                event = self._events.popleft()
                self.handled += 1
                try:
                    self._on_event(event)
                except Exception:  # one event that we cannot bear must not cost the link; resync mends what it meant
                    structlog.get_logger().exception("ami_event_failed", event_kind=type(event).__name__)
                burst += 1
                if burst % 50 == 0:
                    await asyncio.sleep(0)

    async def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(PING_S)
            await self.send("Ping", deadline_s=DEAD_S)
            if loop.time() - self._heard_at > DEAD_S:
                raise LinkDown("silent")

    def _drop(self, reason: str) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for pending in self._pending.values():
            if not pending.answer.done():
                pending.answer.set_exception(LinkDown(reason))
        was_up, self.up = self.up, False
        if was_up:
            structlog.get_logger().warning("ami_link_down", reason=reason)
            self._on_down(reason)
