"""Nobody waits beyond the queue's longest wait: who does is sent where the queue says (voicemail, or a closing sentence).

Does not decide who is served. Invariants: the time is measured by the monotonic clock from the wait the caller had when they
came (a clock that jumps sends nobody away); a caller whose offer rings at that moment is not torn from it; who could not be
sent away waits on, and it is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from core.events.routing import ItemOverflowed
from routing.book import Book
from routing.model import WorkItem
from routing.ports import Telephony
from routing.timers import Timers

AGAIN_S = 1.0


class Overflows:
    """`watch` whoever begins to wait; `spawn` runs a coroutine beside the owner's loop, `linked` tells whether it can act."""

    def __init__(
        self, book: Book, timers: Timers, telephony: Telephony, *, spawn: Callable[[Coroutine[Any, Any, None]], None],
        linked: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._book, self._timers, self._telephony = book, timers, telephony
        self._spawn, self._linked = spawn, linked

    def watch(self, item: WorkItem) -> None:
        most_s = self._book.policy(item.queue).max_wait_s
        if most_s > 0:
            # Not sooner than a moment from now: who comes back with an old wait has a free agent tried first.
            self._start(item.interaction_id, max(AGAIN_S, most_s - self._book.waited_s(item)))

    def _start(self, ix: str, seconds: float) -> None:
        self._timers.start(f"most:{ix}", seconds, lambda: self._over(ix))

    def _over(self, ix: str) -> None:
        item = self._book.waiting.get(ix)
        if item is None:
            if not self._book.is_gone(ix) and any(offer.answered_at is None for offer in self._book.offers_for(ix)):
                self._start(ix, AGAIN_S)  # a phone rings for them
            return
        if not self._linked():
            self._start(ix, AGAIN_S)
            return
        to = self._book.policy(item.queue).overflow_for("timeout").to
        self._book.leave(ix)
        self._spawn(self._send_away(item, to))

    async def _send_away(self, item: WorkItem, to: str) -> None:
        try:
            await self._telephony.send_away(item.channel, to)
        except Exception as error:
            structlog.get_logger().warning("not_sent_away", interaction_id=item.interaction_id, reason=str(error))
            self._book.put_back(item)
            self._start(item.interaction_id, AGAIN_S)
            return
        self._book.stream.emit(ItemOverflowed(
            interaction_id=item.interaction_id, at=self._book.clock.now(), queue=item.queue, reason="max_wait", to=to
        ))  # fmt: skip
