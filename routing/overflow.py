"""Who cannot be served here goes elsewhere: a full queue, a closed one, one without anybody at work, or the longest wait.

Does not decide who is served. Invariants: waits are measured by the monotonic clock from the wait the caller had when they came
(a clock that jumps sends nobody away); a caller whose offer rings is not torn from it; who could not be sent away waits on, and
it is tried again; whoever goes to another queue keeps their wait, and nobody goes round in a circle.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog

from core.errors import AftercallError
from core.events.routing import ItemOverflowed
from routing.agent import Agent, State
from routing.book import Book
from routing.model import WorkItem
from routing.policy.model import Overflow
from routing.ports import Telephony
from routing.timers import Timers
from routing.wish import program

AGAIN_S = 1.0
LOOK_S = 1.0  # after an agent's change: of several at once the last one counts


class Overflows:
    """`watch` whoever begins to wait; `spawn` runs a coroutine beside the owner's loop, `linked` tells whether it can act;
    `is_open` answers for a calendar's name and a moment, `outside_call` for a number about to be called (raises
    when it may not be)."""

    def __init__(
        self, book: Book, timers: Timers, telephony: Telephony, *, spawn: Callable[[Coroutine[Any, Any, None]], None],
        linked: Callable[[], bool], moved: Callable[[], None], is_open: Callable[[str, datetime], bool],
        outside_call: Callable[[str], str],
    ) -> None:  # fmt: skip
        # Whether a caller may be called back; then they are.
        self.calls_back: Callable[[WorkItem], bool] = lambda _item: False
        self.waits_elsewhere: Callable[[WorkItem], None] = lambda _item: None  # whoever was sent to another queue
        self._book, self._timers, self._telephony = book, timers, telephony
        self._spawn, self._linked, self._moved, self._is_open = spawn, linked, moved, is_open
        self._outside_call = outside_call

    def watch(self, item: WorkItem, *, new: bool = False) -> None:
        """From now on. Who is `new` may find the queue full, closed or without anybody."""
        if item.callback:
            return  # nobody is on the line
        ix, rules = item.interaction_id, self._book.policy(item.queue)
        if new:
            reason = self._turned_away(item)
            if reason == "closed":  # also for whoever is at work all the same
                return self._over(ix, reason)
            if reason:
                # A moment from now, so that who may take them at once does.
                self._timers.start(f"away:{ix}", 0.0, lambda: self._over(ix, reason))
                return
        if rules.max_wait_s > 0:
            # Not sooner than a moment from now: who comes back with an old wait has a free agent tried first.
            self._start(ix, max(AGAIN_S, rules.max_wait_s - self._book.waited_s(item)))

    def agents_changed(self) -> None:
        """Somebody went; perhaps nobody is left for some who wait."""
        if any(rules.leave_without for rules in self._book.queues.values()) and not self._timers.runs("look:agents"):
            self._timers.start("look:agents", LOOK_S, self._look)

    def _look(self) -> None:
        for item in list(self._book.waiting.values()):
            if not item.callback and self._nobody_for(item):
                self._over(item.interaction_id, "no_agents")

    def _turned_away(self, item: WorkItem) -> str:
        rules = self._book.policy(item.queue)
        # Who came while it was open is served, also when we look again after a restart.
        if rules.hours and not self._is_open(rules.hours, item.enqueued_at):
            return "closed"
        if rules.max_waiting and sum(o.queue == item.queue for o in self._book.waiting.values()) > rules.max_waiting:
            return "full"
        return "no_agents" if self._nobody_for(item) else ""

    def _nobody_for(self, item: WorkItem) -> bool:
        """Whether everybody who could ever take it is away in a way for which this queue's callers do not wait."""
        kinds = self._book.policy(item.queue).leave_without
        if not kinds:
            return False
        wish = program(item, self._book.pool.policy).stages[-1].wish
        return all(absence(agent) in kinds for agent in self._book.able(wish))

    def _start(self, ix: str, seconds: float, reason: str = "timeout") -> None:
        self._timers.start(f"most:{ix}", seconds, lambda: self._over(ix, reason))

    def _over(self, ix: str, reason: str) -> None:
        item = self._book.waiting.get(ix)
        if item is None:
            if not self._book.is_gone(ix) and any(offer.answered_at is None for offer in self._book.offers_for(ix)):
                self._start(ix, AGAIN_S, reason)  # a phone rings for them
            return
        if not self._linked():
            self._start(ix, AGAIN_S, reason)
            return
        way = self._book.policy(item.queue).overflow_for(reason)
        if way.to == "callback" and not self.calls_back(item):
            way = Overflow("voicemail")
        if way.to == "queue":
            if way.target not in item.been_in:  # else round in a circle: they wait where they are
                self.to_queue(item, way.target, reason)
        else:
            self._book.leave(ix)
            self._spawn(self._send_away(item, way, reason))

    def to_queue(self, item: WorkItem, queue: str, reason: str, *, actor: str = "") -> None:
        """They go on waiting, with their wait, music and place, under another queue's rules."""
        moved = replace(item, queue=queue, been_in=() if actor else (*item.been_in, item.queue))
        self._tell(item, reason, f"queue:{queue}", actor)
        self._book.wait(moved)
        self._book.tell_queued(moved, returned=True)
        self._spawn(self._mark(moved))
        self.watch(moved, new=True)
        self.waits_elsewhere(moved)
        self._moved()

    async def _mark(self, item: WorkItem) -> None:
        """The caller's own ticket says where they wait now, for whoever comes after us."""
        try:
            await self._telephony.set_variables(item.channel, {"AC_QUEUE": item.queue})
        except Exception as error:
            structlog.get_logger().warning("ticket_not_marked", interaction_id=item.interaction_id, reason=str(error))

    async def _send_away(self, item: WorkItem, way: Overflow, reason: str) -> None:
        try:
            if way.to == "number":
                way = await self._outside(item, way)
            await self._telephony.send_away(item.channel, way.to)
        except Exception as error:
            structlog.get_logger().warning("not_sent_away", interaction_id=item.interaction_id, reason=str(error))
            self._book.put_back(item)
            self._start(item.interaction_id, AGAIN_S, reason)
            return
        self._tell(item, reason, f"{way.to}:{way.target}" if way.target else way.to)

    async def _outside(self, item: WorkItem, way: Overflow) -> Overflow:
        """A number that may not be called (`outbound.allow`, so many in an hour) is a message box instead."""
        try:
            number = self._outside_call(way.target)
        except AftercallError as error:
            structlog.get_logger().warning("number_not_dialled", queue=item.queue, reason=error.error_id)
            return Overflow("voicemail")
        await self._telephony.set_variables(item.channel, {"AC_AWAY": number})
        return way

    def _tell(self, item: WorkItem, reason: str, to: str, actor: str = "") -> None:
        self._book.stream.emit(ItemOverflowed(
            interaction_id=item.interaction_id, at=self._book.clock.now(), queue=item.queue, reason=reason, to=to,
            actor=actor,
        ))  # fmt: skip


def absence(agent: Agent) -> str:
    """The kind of an agent's absence; "" for who is at work, however busy."""
    if agent.state is State.OFFLINE:
        return "offline"
    if not agent.reachable:
        return "unreachable"
    return "not_ready" if agent.state is State.NOT_READY else ""
