"""After-call work: begins with the end of a talk, lasts for the queue's time or as long as it is extended, and ends once.

Does not decide who gets a call next (`acd.py`). Invariants: every wrap-up that began is told to have ended, with what
came of the call; nobody stays in wrap-up beyond its time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from core.errors import BadInput
from core.events.routing import WrapUpEnded, WrapUpStarted
from routing.agent import Act, Agent, State
from routing.book import Book
from routing.model import Offer
from routing.timers import Timers

LONGEST_S = 3600


class WrapUps:
    """`freed` is called when an agent is free again by the clock."""

    def __init__(self, book: Book, timers: Timers, *, freed: Callable[[], None]) -> None:
        self._book, self._timers, self._freed = book, timers, freed
        self._interactions: dict[str, str] = {}  # offer → interaction, while its wrap-up lasts

    def begin(self, offer: Offer, *, at: datetime, seconds: float) -> None:
        """The agent of this talk is in wrap-up from `at` on."""
        self._interactions[offer.offer_id] = offer.item.interaction_id
        self._book.stream.emit(WrapUpStarted(
            interaction_id=offer.item.interaction_id, at=at, extension=offer.extension, offer_id=offer.offer_id,
            seconds=seconds,
        ))  # fmt: skip
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
        self._start(extension, agent.offer_id, seconds)
        told = WrapUpStarted(at=now, extension=extension, offer_id=agent.offer_id, seconds=seconds)
        self._book.stream.emit(told)

    def ended(self, agent: Agent, disposition: str = "", note: str = "") -> None:
        """Tells the end of the wrap-up that `agent`, as they were in it, has left."""
        self._timers.stop(f"wrap:{agent.extension}")
        now = self._book.clock.now()
        spent_s = (now - agent.since).total_seconds() if agent.since is not None else 0.0
        self._book.stream.emit(WrapUpEnded(
            interaction_id=self._interactions.pop(agent.offer_id, ""), at=now, extension=agent.extension,
            offer_id=agent.offer_id, wrap_up_s=round(max(0.0, spent_s), 3), disposition=disposition, note=note,
        ))  # fmt: skip

    def _working(self, extension: str) -> Agent:
        agent = self._book.agent(extension)
        if agent.state is not State.WRAP_UP:
            raise BadInput("routing:no-wrap-up", f"{agent.name} is {agent.state}, not in wrap-up.")
        return agent

    def _start(self, extension: str, offer_id: str, seconds: float) -> None:
        self._timers.start(f"wrap:{extension}", seconds, lambda: self._time_is_over(extension, offer_id))

    def _time_is_over(self, extension: str, offer_id: str) -> None:
        agent = self._book.agents.get(extension)
        if agent is not None and self._book.happen(
            extension, Act.FINISH_WRAP_UP, offer_id=offer_id, actor="rule:wrap-up"
        ):
            self.ended(agent)
            self._freed()
