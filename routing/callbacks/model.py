"""Callbacks as values: what becomes of one that was asked for, tried, missed; when a customer may be called at all.

Pure. Does not hold entries (`service.py`) and calls nobody. Invariants: the place (`enqueued_at`, priority) is never worse after
anything than it was before; a number has one entry in a queue; what did not reach the customer through our own fault costs
them no attempt, and what is not clear does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from core.hours.model import Span
from routing.model import WorkItem
from routing.policy.model import CallbackRules


class State(StrEnum):
    WAITING = "waiting"  # in the queue, or kept for a while
    CALLING = "calling"  # an agent hears the customer's phone ring
    TALKING = "talking"
    ENDED = "ended"


class Outcome(StrEnum):
    SERVED = "served"
    GIVEN_UP = "given_up"
    CALLED_IN = "called_in"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Callback:
    """`item` is the entry in the queue; its interaction is the call in which the customer will be called next. `next_at`: not
    before then."""

    callback_id: str
    number: str
    item: WorkItem
    requested_at: datetime
    first_id: str = ""
    by: str = ""
    state: State = State.WAITING
    attempts: int = 0
    next_at: datetime | None = None
    outcome: str = ""
    reason: str = ""

    @property
    def call_id(self) -> str:
        return self.item.interaction_id


@dataclass(frozen=True)
class Miss:
    """`counts` as an attempt; tried again after `pause_s` (None: as long as the queue's rules say), or `never`."""

    counts: bool = True
    pause_s: float | None = None
    never: bool = False


MISSES: Mapping[str, Miss] = {
    "no_answer": Miss(),
    "busy": Miss(),
    "refused": Miss(),
    "voicemail": Miss(),
    "unclear": Miss(),
    "unreachable": Miss(),
    "agent_gone": Miss(pause_s=60.0),
    "switch_unavailable": Miss(counts=False, pause_s=30.0),
    "too_many_calls": Miss(counts=False, pause_s=300.0),
    "not_allowed": Miss(never=True),
}


def after_miss(now: Callback, reason: str, at: datetime, rules: CallbackRules, zone: tzinfo) -> Callback:
    """The callback after a call that did not reach the customer: to be tried again in their own daytime, or given up."""
    miss = MISSES.get(reason, Miss())
    attempts = now.attempts + miss.counts
    if miss.never or attempts >= rules.attempts:
        return replace(now, attempts=attempts, state=State.ENDED, outcome=Outcome.GIVEN_UP, reason=reason, next_at=None)
    pause_s = rules.retry_after_s if miss.pause_s is None else miss.pause_s
    next_at = opens(rules.window, at + timedelta(seconds=pause_s), zone)
    return replace(now, attempts=attempts, state=State.WAITING, reason=reason, next_at=next_at)


def merged(kept: Callback, other: WorkItem) -> Callback:
    """One entry of two: the longer wait and the higher priority of both; what the newer says of the case counts."""
    item = replace(
        kept.item, enqueued_at=min(kept.item.enqueued_at, other.enqueued_at),
        priority=max(kept.item.priority, other.priority), points=max(kept.item.points, other.points),
        language=other.language or kept.item.language, problem=other.problem or kept.item.problem,
        order_id=other.order_id or kept.item.order_id, note=other.note or kept.item.note,
        preferred=other.preferred or kept.item.preferred,
    )  # fmt: skip
    return replace(kept, item=item)


def inherited(live: WorkItem, entry: WorkItem) -> WorkItem:
    """A caller on the line who has an entry: the better place of the two."""
    return replace(
        live, enqueued_at=min(live.enqueued_at, entry.enqueued_at), priority=max(live.priority, entry.priority),
        points=max(live.points, entry.points), note=live.note or entry.note, order_id=live.order_id or entry.order_id,
    )  # fmt: skip


# --- the customer's own time of day

DAYS = (-1, 0, 1, 2)


def _spans(window: str, at: datetime, zone: tzinfo) -> list[tuple[datetime, datetime]]:
    """The window on the days around `at`, by the clock on the customer's wall."""
    span, today = Span.parse(window), datetime.combine(at.astimezone(zone).date(), time(0))
    found = []
    for days in DAYS:
        day = today + timedelta(days=days)
        both = (day + timedelta(minutes=minutes) for minutes in (span.opens, span.closes))
        begins, ends = (moment.replace(tzinfo=zone).astimezone(UTC) for moment in both)
        found.append((begins, ends))
    return found


def is_open(window: str, at: datetime, zone: tzinfo) -> bool:
    return any(begins <= at < ends for begins, ends in _spans(window, at, zone))


def opens(window: str, at: datetime, zone: tzinfo) -> datetime:
    """The first moment from `at` on that is in the window."""
    if is_open(window, at, zone):
        return at
    return min(begins for begins, _ in _spans(window, at, zone) if begins > at)


def closes(window: str, at: datetime, zone: tzinfo) -> datetime:
    """The end of the window that is open at `at`."""
    return max(ends for begins, ends in _spans(window, at, zone) if begins <= at < ends)


def view(now: Callback) -> dict[str, Any]:
    """As JSON, for the edge."""
    return {
        "id": now.callback_id, "number": now.number, "queue": now.item.queue, "state": str(now.state),
        "enqueued_at": now.item.enqueued_at.isoformat(), "requested_at": now.requested_at.isoformat(),
        "next_at": now.next_at.isoformat() if now.next_at is not None else None, "attempts": now.attempts,
        "call_id": now.call_id, "first_id": now.first_id, "by": now.by, "outcome": now.outcome, "reason": now.reason,
        "priority": now.item.priority, "note": now.item.note,
    }  # fmt: skip
