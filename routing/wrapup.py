"""After-call work: begins with the end of a talk, lasts for the queue's time or as long as it is extended, and ends once.

Does not decide who gets a call next (`acd.py`). Invariants: every wrap-up that began is told to have ended, with what
came of the call; nobody stays in wrap-up beyond its time, and a restart of ours neither shortens nor prolongs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from core.errors import BadInput
from core.events.routing import WrapUpEnded, WrapUpStarted
from routing.agent import Act, Agent, State
from routing.book import Book
from routing.model import Offer, OpenWrapUp
from routing.timers import Timers

LONGEST_S = 3600


@dataclass(frozen=True)
class _Work:
    """`began_at`: seconds of the monotonic clock."""

    interaction_id: str
    began_at: float


class WrapUps:
    """`freed` is called when an agent is free again by the clock."""

    def __init__(self, book: Book, timers: Timers, *, freed: Callable[[], None]) -> None:
        self._book, self._timers, self._freed = book, timers, freed
        self._works: dict[str, _Work] = {}  # by offer

    def begin(self, offer: Offer, *, at: datetime, seconds: float) -> None:
        """The agent of this talk is in wrap-up from `at` on."""
        self._works[offer.offer_id] = _Work(offer.item.interaction_id, self._book.clock.monotonic())
        self._tell_started(offer.extension, offer.offer_id, at, seconds)
        self._start(offer.extension, offer.offer_id, seconds)

    def finish(self, extension: str, *, disposition: str, note: str, actor: str) -> None:
        """Ends it now. Raises NotFound, BadInput when there is none."""
        agent = self._working(extension)
        self._book.happen(extension, Act.FINISH_WRAP_UP, offer_id=agent.offer_id, actor=actor)
        self.ended(agent, disposition, note)

    def extend(self, extension: str, seconds: float) -> None:
        """Gives more time, from now. Raises NotFound, BadInput."""
        agent = self._working(extension)
        if not 0 < seconds <= LONGEST_S:
            raise BadInput("routing:wrap-up", f"Wrap-up can be extended by up to {LONGEST_S} seconds.")
        now = self._book.clock.now()
        self._book.agents[extension] = replace(agent, wrap_up_until=now + timedelta(seconds=seconds))
        self._tell_started(extension, agent.offer_id, now, seconds)
        self._start(extension, agent.offer_id, seconds)

    def resume(self, work: OpenWrapUp) -> None:
        """After-call work of a process before us goes on for what is left of its time; what is past is told to have ended."""
        now = self._book.clock.now()
        left_s = (work.until - now).total_seconds()
        spent_s = max(0.0, (now - work.began_at).total_seconds())
        self._works[work.offer_id] = _Work(work.interaction_id, self._book.clock.monotonic() - spent_s)
        if self._book.happen(
            work.extension, Act.RESUME_WRAP_UP, offer_id=work.offer_id, until=work.until, actor="system:restart"
        ):
            # A wall clock that was moved back meanwhile prolongs nothing.
            self._start(work.extension, work.offer_id, min(left_s, work.seconds))
        else:
            self._tell_ended(work.extension, work.offer_id, late_s=max(0.0, -left_s))

    def ended(self, agent: Agent, disposition: str = "", note: str = "") -> None:
        """Tells the end of the wrap-up that `agent`, as they were in it, has left."""
        self._timers.stop(f"wrap:{agent.extension}")
        self._tell_ended(agent.extension, agent.offer_id, disposition, note)

    def _working(self, extension: str) -> Agent:
        agent = self._book.agent(extension)
        if agent.state is not State.WRAP_UP:
            raise BadInput("routing:no-wrap-up", f"{agent.name} is {agent.state}, not in wrap-up.")
        return agent

    def _start(self, extension: str, offer_id: str, seconds: float) -> None:
        self._timers.start(f"wrap:{extension}", seconds, lambda: self._time_is_over(extension, offer_id))

    def _time_is_over(self, extension: str, offer_id: str) -> None:
        agent = self._book.agents[extension]
        if self._book.happen(extension, Act.FINISH_WRAP_UP, offer_id=offer_id, actor="rule:wrap-up"):
            self.ended(agent)
            self._freed()

    def _tell_started(self, extension: str, offer_id: str, at: datetime, seconds: float) -> None:
        work = self._works.get(offer_id)
        self._book.stream.emit(WrapUpStarted(
            interaction_id=work.interaction_id if work is not None else "", at=at, extension=extension,
            offer_id=offer_id, seconds=seconds,
        ))  # fmt: skip

    def _tell_ended(
        self, extension: str, offer_id: str, disposition: str = "", note: str = "", *, late_s: float = 0.0
    ) -> None:
        now = self._book.clock.monotonic()
        work = self._works.pop(offer_id, _Work("", now))
        self._book.stream.emit(WrapUpEnded(
            interaction_id=work.interaction_id, at=self._book.clock.now(), extension=extension, offer_id=offer_id,
            wrap_up_s=round(max(0.0, now - work.began_at - late_s), 3), disposition=disposition, note=note,
        ))  # fmt: skip
