"""What supervisors do to those who wait: into another queue, or to an agent they name, ahead of everybody.

Synchronous, in the owner's loop, so that a caller cannot be given away twice. Invariants: whoever is moved keeps their wait; who
is given by hand is offered like any other, and returns to the head when it comes to nothing.
"""

from __future__ import annotations

from core.errors import BadInput, NotFound, Unavailable
from routing.book import Book
from routing.ground import Ground
from routing.model import WorkItem
from routing.offers import Offers
from routing.overflow import Overflows
from routing.pool import Assignment
from routing.why import hindrance, unavailable


class CannotTake(BadInput):
    def __init__(self, words: str) -> None:
        super().__init__(
            "routing:cannot-take", f"{words}.", hint="Choose an agent who is ready and whose phone is free."
        )


class Hands:
    def __init__(self, book: Book, offers: Offers, overflows: Overflows) -> None:
        self._book, self._offers, self._overflows = book, offers, overflows

    def move(self, interaction_id: str, queue: str, *, actor: str) -> WorkItem:
        """Into another queue. Raises NotFound (who waits no more, a queue that is not configured)."""
        item = self._waiting(interaction_id)
        if queue not in self._book.queues:
            raise NotFound("queue", queue)
        if queue != item.queue:
            self._overflows.to_queue(item, queue, "moved", actor=actor)
        return self._book.waiting.get(interaction_id, item)

    def give(self, interaction_id: str, extension: str, *, actor: str, linked: bool) -> WorkItem:
        """To this agent, whatever their skills. Raises NotFound; CannotTake when they can be given nothing now; Unavailable
        when the switch does not answer."""
        item, agent = self._waiting(interaction_id), self._book.agent(extension)
        if not linked:
            raise Unavailable("switch", "The telephone switch does not answer now.")
        kept = unavailable(agent)
        if kept is not None:
            raise CannotTake(kept.words)
        missing = hindrance(agent, self._book.wish_now(item))
        against = () if missing is None else (missing,)
        self._offers.make(Assignment(interaction_id, extension), why=(Ground("given", {"actor": actor}), *against))
        return item

    def _waiting(self, interaction_id: str) -> WorkItem:
        item = self._book.waiting.get(interaction_id)
        if item is None:
            raise NotFound("waiting caller", interaction_id)
        return item
