"""Tells as events what the switch's book knows and we do not; the rows follow by the same projectors as ever.

Decides which events make a difference go away, and writes them. Invariants: an event and its rows are written in one
transaction; the same truth found twice, by whoever and at the same time, stands once (its place in the event table is
made of what it says); `CallEnded` stays the one end of a call, what was wrong in it is corrected by an event of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from app.reconcile.rules import NODE_LOST, Difference, OurCall
from core.db.engine import Database
from core.db.outbox import write_events
from core.events.base import DomainEvent, to_record
from core.events.pbx import CallEndCorrected, CallEnded, StateRepaired
from core.journal.projector import Projector
from pbx.cel import BookCall

JOURNAL = "cel-"


@dataclass(frozen=True)
class Truth:
    """A call in the book, our row of it (None = we do not know it), and what is to be mended."""

    book: BookCall
    ours: OurCall | None
    differences: tuple[Difference, ...]


def events_of(truth: Truth, now: datetime, *, owned: bool) -> list[DomainEvent]:
    """What has to be told; nothing when the book does not know better. `owned`: somebody owns the queues, and may tell an
    end that is missing as soon as there is a link again."""
    book, ours = truth.book, truth.ours
    if book.over_at is None or not any(difference.mendable for difference in truth.differences):
        return []
    lost = CallEnded(interaction_id=book.id, at=book.over_at, reason=NODE_LOST, cause=0, talk_s=book.talk_s)
    if ours is None:
        told: list[DomainEvent] = [event for event in book.told if not isinstance(event, CallEnded)]
        return [*told, _end(book) or lost, _repaired(book, now, "call_found_in_book", truth)]
    end = _end(book) or lost
    if ours.ended_at is None and not owned:
        return [end, _repaired(book, now, "end_found_in_book", truth)]
    if book.ended_at is None and ours.ended_at is not None:  # the switch was lost: our moment is as good as any
        end = replace(lost, at=ours.ended_at, talk_s=ours.talk_s)
    corrected = CallEndCorrected(
        interaction_id=book.id, at=end.at, reason=end.reason, was=ours.reason, cause=end.cause, talk_s=end.talk_s
    )
    return [corrected, _repaired(book, now, "end_corrected_from_book", truth)]


def _end(book: BookCall) -> CallEnded | None:
    if book.ended_at is None:
        return None
    reason = book.reason or "system"
    return CallEnded(interaction_id=book.id, at=book.ended_at, reason=reason, cause=book.cause, talk_s=book.talk_s)


def _repaired(book: BookCall, now: datetime, what: str, truth: Truth) -> DomainEvent:
    words = "; ".join(f"{it.ours} → {it.theirs}" for it in truth.differences if it.mendable)
    return StateRepaired(
        interaction_id=book.id, at=now, what=what, reason=f"the switch's own book knows better: {words}"
    )


def place_of(events: Sequence[DomainEvent]) -> list[int]:
    """A sequence number for each event, made of what it says: the same truth has the same place. What was repaired and
    when is not part of it, so that two who mend at the same time tell it once."""
    truth = [to_record(event) for event in events if not isinstance(event, StateRepaired)]
    seed = int.from_bytes(hashlib.sha256(repr(truth).encode()).digest()[:5], "big")  # 40 bits, room for 2^12 events
    return [(seed << 12) + number for number in range(len(events))]


class Mender:
    """`await mend(truths)` returns how many were told."""

    def __init__(self, database: Database, projectors: Sequence[Projector]) -> None:
        self._database = database
        self._projectors = list(projectors)

    async def mend(self, truths: Iterable[Truth], *, owned: bool) -> int:
        """Raises Unavailable: what was told until then is told."""
        mended = 0
        for truth in truths:
            events = events_of(truth, self._database.clock.now(), owned=owned)
            if events:
                await self._tell(truth.book.id, events)
                mended += 1
        return mended

    async def _tell(self, interaction_id: str, events: Sequence[DomainEvent]) -> None:
        rows = [(seq, to_record(event)) for seq, event in zip(place_of(events), events, strict=True)]
        async with self._database.write() as conn:
            for projector in self._projectors:
                await projector.project(conn, events)
            await write_events(conn, f"{JOURNAL}{interaction_id}"[:64], rows)
