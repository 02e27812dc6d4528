"""Our link to one Asterisk: events in order, actions with a deadline, and the truth about whether the link lives.

Does not interpret events. panoramisk is used for what an action looks like (`ami_wire.encode`); its connection is not:
it sends actions again after a lost link, loses characters split across reads, and dies of a callback's exception.
Invariants: an action is sent at most once, ever; events reach `on_event` in Asterisk's order, from one task; whoever
comes late finds no events (AMI has no replay), so every new link begins with `on_up`, in which the switchboard lists
what is there; a list is handed over in its place among the events, so that what happened before and after it is told
apart; the reader only frames and appends, so nothing lies unread while somebody works.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

import structlog

from core.errors import Unavailable
from core.tasks import apart
from pbx import ami_actions
from pbx.ami_actions import Headers
from pbx.ami_events import AmiEvent, Booted, answers, ends_list, is_item, is_response, read, refusal, value_in
from pbx.ami_wire import Block, Framer, encode

PING_S, DEAD_S = 2.0, 5.0
ACTION_S = 3.0
EVENTS_BOUND = 200_000
BOOT_S = 30.0
BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0)
READ_SIZE = 1 << 16
RUN_MARK = "AC_RUN"
STEADY_S = 2.0  # a link that lived shorter counts as an attempt that failed
_LOST = (OSError, TimeoutError, EOFError)


Result = TypeVar("Result")


class ActionRefused(Exception):
    """Asterisk answered with an error; `reason` is its own sentence. The action had no effect."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.reason = reason


class LinkDown(Unavailable):
    """There is no link, or it broke before the answer came: whether the action took effect is not known."""

    def __init__(self, reason: str) -> None:
        super().__init__("switch", f"The telephone switch does not answer: {reason}.")
        self.reason = reason


@dataclass
class _Pending:
    answer: asyncio.Future[None]
    is_list: bool
    take: Callable[[list[Block]], object] | None = None
    blocks: list[Block] = field(default_factory=list)
    result: object = None


@dataclass(frozen=True)
class AmiAddress:
    host: str
    port: int
    user: str
    secret: str = field(repr=False)


class AmiLink:
    """`await run()` for ever. `on_up` is awaited on each new link, before it is called up; `on_event` has every event of
    the link from its beginning, also while `on_up` lists what is there. `address` is asked for each link: secrets change."""

    def __init__(
        self,
        address: Callable[[], AmiAddress],
        *,
        on_event: Callable[[AmiEvent], None],
        on_up: Callable[[], Awaitable[None]],
        on_down: Callable[[str], None],
    ) -> None:
        self._address = address
        self._on_event, self._on_up, self._on_down = on_event, on_up, on_down
        self._writer: asyncio.StreamWriter | None = None
        self._pending: dict[str, _Pending] = {}
        self._events: deque[AmiEvent | _Pending] = deque()
        self._news = asyncio.Event()
        self._booted = asyncio.Event()
        self._open = False
        self._number = 0
        self._run_of_switch = ""
        self._up_since = 0.0
        self.up = False
        self.restarted = False  # whether this link is to another run of Asterisk than the one before
        self.reconnects = 0
        self.handled = 0
        self.flooded = 0

    # --- actions

    async def send(
        self, name: str, headers: Headers | None = None, *, deadline_s: float = ACTION_S, action_id: str = ""
    ) -> Block:
        """One action and its response. Raises ActionRefused, LinkDown (also at the deadline), UnsafeValue."""
        if not self._open:
            raise LinkDown("no link")
        return (await self._ask(name, headers or {}, deadline_s, action_id)).blocks[0]

    async def ask_list(
        self, name: str, headers: Headers | None = None, *,
        take: Callable[[list[Block]], Result], deadline_s: float = ACTION_S,
    ) -> Result:  # fmt: skip
        """An action that answers with a list. `take(items)` is called in the list's place among the events: all events
        before it have been handed on, none after it. Returns what it returns; raises what it raises, and as `send`."""
        if not self._open:
            raise LinkDown("no link")
        pending = await self._ask(name, headers or {}, deadline_s, is_list=True, take=take)
        return cast(Result, pending.result)

    async def _ask(
        self, name: str, headers: Headers, deadline_s: float, action_id: str = "", *,
        is_list: bool = False, take: Callable[[list[Block]], object] | None = None,
    ) -> _Pending:  # fmt: skip
        self._number += 1
        action_id = action_id or f"ac-{self._number}"
        data = encode(action_id, name, headers)
        if self._writer is None:
            raise LinkDown("no link")
        if action_id in self._pending:
            raise ValueError(f"action {action_id} is under way")
        pending = _Pending(asyncio.get_running_loop().create_future(), is_list, take)
        self._pending[action_id] = pending
        try:
            self._writer.write(data)
            async with asyncio.timeout(deadline_s):
                await pending.answer
        except TimeoutError as error:
            raise LinkDown(f"no answer to {name} within {deadline_s:g} s") from error
        finally:
            self._pending.pop(action_id, None)
        reason = refusal(pending.blocks[0])
        if reason is not None:
            raise ActionRefused(name, reason)
        return pending

    # --- life

    async def run(self) -> None:
        """Connects, reads, pings; after a loss connects again with jittered backoff. Until cancelled."""
        failures, said = 0, ""
        while True:
            reason = ""
            try:
                await apart(self._one_link())
                reason = "closed by the switch"
            except (*_LOST, LinkDown, ActionRefused) as error:
                reason = _reason(error)
            except ExceptionGroup as group:
                lost, rest = group.split((*_LOST, LinkDown, ActionRefused))
                if rest is not None:
                    raise rest from None
                assert lost is not None
                reason = _reason(lost.exceptions[0])
            except asyncio.CancelledError:
                self._drop("we end")
                raise
            steady = self.up and asyncio.get_running_loop().time() - self._up_since >= STEADY_S
            failures = 0 if steady else failures + 1
            if failures and not self.up and reason != said:
                structlog.get_logger().warning("ami_no_link", reason=reason)
            said = reason
            self._drop(reason)
            await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)] * random.uniform(0.7, 1.3))  # noqa: S311
            self.reconnects += 1

    async def _one_link(self) -> None:
        address = self._address()
        async with asyncio.timeout(DEAD_S):
            reader, self._writer = await asyncio.open_connection(address.host, address.port)
            await _skip_banner(reader)
        self._events.clear()
        self._booted.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(reader))
            await self._ask(*ami_actions.login(address.user, address.secret), DEAD_S)
            async with asyncio.timeout(BOOT_S):
                await self._booted.wait()
            run = await self._run_of()
            self.restarted = self._run_of_switch not in ("", run)
            self._open = True
            group.create_task(self._ping())
            group.create_task(self._hand_on())
            await self._on_up()
            self._run_of_switch = run
            self._up_since = asyncio.get_running_loop().time()
            self.up = True

    async def _run_of(self) -> str:
        """Which run of Asterisk this is: a mark that we leave in it, and that ends with it. Clocks may jump; it does not."""
        run = value_in((await self._ask(*ami_actions.get_variable(RUN_MARK), ACTION_S)).blocks[0])
        if not run:
            run = secrets.token_hex(8)
            await self._ask(*ami_actions.set_variable(RUN_MARK, run), ACTION_S)
        return run

    async def _read(self, reader: asyncio.StreamReader) -> None:
        framer = Framer()
        while True:
            data = await reader.read(READ_SIZE)
            if not data:
                raise EOFError("closed by the switch")
            for block in framer.feed(data):
                self._sort(block)

    def _sort(self, block: Block) -> None:
        pending = self._pending.get(answers(block))
        if pending is not None and (is_response(block) or pending.is_list):
            self._collect(pending, block)
            return
        event = read(block)
        if event is None:
            return
        if isinstance(event, Booted):
            self._booted.set()
        else:
            self._line_up(event)

    def _line_up(self, item: AmiEvent | _Pending) -> None:
        if len(self._events) >= EVENTS_BOUND:
            # Better a fresh list of what is there than memory without end.
            self.flooded += 1
            raise LinkDown("more events than can be handled")
        self._events.append(item)
        self._news.set()

    def _collect(self, pending: _Pending, block: Block) -> None:
        pending.blocks.append(block)
        if pending.answer.done():
            return
        if pending.is_list and refusal(block) is None:
            if ends_list(block):
                self._line_up(pending)
        else:
            pending.answer.set_result(None)

    async def _hand_on(self) -> None:
        """The one consumer: events in order, giving way to the loop between bursts."""
        while True:
            await self._news.wait()
            self._news.clear()
            burst = 0
            while self._events:
                item = self._events.popleft()
                if isinstance(item, _Pending):
                    self._hand_over(item)
                else:
                    self._hand_event(item)
                burst += 1
                if burst % 50 == 0:
                    await asyncio.sleep(0)

    def _hand_event(self, event: AmiEvent) -> None:
        self.handled += 1
        try:
            self._on_event(event)
        except Exception:  # one event that we cannot bear must not cost the link; resync mends what it meant
            structlog.get_logger().exception("ami_event_failed", event_kind=type(event).__name__)

    @staticmethod
    def _hand_over(pending: _Pending) -> None:
        if pending.answer.done():  # whoever asked has given up
            return
        try:
            if pending.take is not None:
                pending.result = pending.take([block for block in pending.blocks if is_item(block)])
            pending.answer.set_result(None)
        except Exception as error:
            pending.answer.set_exception(error)

    async def _ping(self) -> None:
        """Silent for DEAD_S, whatever was sent to it: dead."""
        while True:
            await asyncio.sleep(PING_S)
            await self.send(*ami_actions.ping(), deadline_s=DEAD_S - PING_S)

    def _drop(self, reason: str) -> None:
        self._open = False
        if self._writer is not None:
            self._writer.transport.abort()  # whatever was not sent yet is not to be sent at all
            self._writer = None
        for pending in self._pending.values():
            if not pending.answer.done():
                pending.answer.set_exception(LinkDown(reason))
        was_up, self.up = self.up, False
        if was_up:
            structlog.get_logger().warning("ami_link_down", reason=reason)
            self._on_down(reason)


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, LinkDown) else str(error) or type(error).__name__


async def _skip_banner(reader: asyncio.StreamReader) -> None:
    """Whoever does not greet as Asterisk does is not told our secret."""
    try:
        banner = await reader.readline()
    except ValueError as error:
        raise LinkDown("what answers is no Asterisk Manager") from error
    if not banner:
        raise EOFError("closed by the switch")
    if not banner.startswith(b"Asterisk Call Manager/"):
        raise LinkDown("what answers is no Asterisk Manager")
