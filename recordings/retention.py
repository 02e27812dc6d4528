"""What expires when. Decides nothing about deleting. Invariant: a legal hold wins over every age."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Kept:
    """A recording as retention sees it."""

    recording_id: str
    created_at: datetime
    legal_hold: bool = False


def expires_at(created_at: datetime, keep_days: int) -> datetime:
    """The moment from which the recording may be deleted. `keep_days` ≥ 1; raises ValueError below."""
    if keep_days < 1:
        raise ValueError("recordings are kept for at least a day")
    return created_at + timedelta(days=keep_days)


def expired(recordings: Iterable[Kept], keep_days: int, now: datetime) -> list[str]:
    """Ids of those that may go now, oldest first."""
    due = [r for r in recordings if not r.legal_hold and expires_at(r.created_at, keep_days) <= now]
    return [r.recording_id for r in sorted(due, key=lambda r: (r.created_at, r.recording_id))]
