"""What is in agents' hands and is not just talked to; whoever shows it to people is told of each change.

Does not decide what may be done (`model.py`). Invariant: what was told last is what is held here, so that a picture drawn from
what was told shows it to whoever looks only now.
"""

from __future__ import annotations

from typing import Any

from core.events.routing import CallHandled
from routing.book import Book
from routing.calls.model import Handling

Seen = tuple[Any, ...]


class Handled(dict[str, Handling]):
    """By offer. Changed by `[…] =`, `del` and `pop` alone."""

    def __init__(self, book: Book) -> None:
        super().__init__()
        self._book = book

    def __setitem__(self, offer_id: str, now: Handling) -> None:
        before = self.get(offer_id)
        super().__setitem__(offer_id, now)
        if before is None or _seen(before) != _seen(now):
            self._tell(now, str(now.doing), now.muted)

    def __delitem__(self, offer_id: str) -> None:
        it = self[offer_id]
        super().__delitem__(offer_id)
        self._tell(it, "", False)

    def pop(self, offer_id: str, *default: Any) -> Any:
        it = super().pop(offer_id, *default)
        if isinstance(it, Handling):
            self._tell(it, "", False)
        return it

    def _tell(self, it: Handling, doing: str, muted: bool) -> None:
        target = it.target if doing else None
        self._book.stream.emit(CallHandled(
            interaction_id=it.interaction_id, at=self._book.clock.now(), extension=it.extension, doing=doing, muted=muted,
            target_kind=target.kind if target else "", target=target.name if target else "",
        ))  # fmt: skip


def park(book: Book, interaction_id: str, by: str) -> None:
    """Tells that nobody holds the caller: they wait to be fetched."""
    book.stream.emit(CallHandled(interaction_id=interaction_id, at=book.clock.now(), extension=by, doing="parked"))


def _seen(it: Handling) -> Seen:
    return it.doing, it.muted, it.target
