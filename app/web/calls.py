"""A call as it is told afterwards: the interaction, its timeline, recording and transcript; and who may see what of it.

Does not read rows (`calls_store.py`) and knows no HTTP.

Invariants: whoever may not see a call's personal data gets the same call without numbers, names, notes, sound and
words; what is hidden is said to be hidden, it does not look as if it were missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from core.http.routes import Caller, Role
from orders_bridge.model import mask_phone

Json = dict[str, Any]
_NUMBERS = frozenset({"ani", "caller_number", "number"})
_PERSONAL = frozenset({"caller_name", "note", "path", "order_no", "order_id", "digits", "target"})
_NEVER = frozenset({"kind", "interaction_id", "at", "session", "card", "sha256", "item"})


@dataclass(frozen=True)
class CallRecord:
    """One interaction as stored. Times are UTC; seconds are None until they are known."""

    id: str
    arrived_at: datetime
    ani: str = ""
    caller_name: str = ""
    dnis: str = ""
    entry: str = ""
    language: str = ""
    queue: str = ""
    agents: tuple[str, ...] = ()
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""
    wait_s: float | None = None
    talk_s: float | None = None
    disposition: str = ""
    has_recording: bool = False
    has_transcript: bool = False


@dataclass(frozen=True)
class TimelineEvent:
    """One event of the interaction; `seq` orders events of one process at the same moment."""

    seq: int
    at: datetime
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CallStory:
    """Everything that is stored about one call. `recording` and `transcript` as `recordings` wrote them."""

    call: CallRecord
    events: Sequence[TimelineEvent] = ()
    recording: Json | None = None
    transcript: Json | None = None


@dataclass(frozen=True)
class CallFilter:
    queue: str = ""
    agent: str = ""


class CallBook(Protocol):
    """Who can read stored calls."""

    async def page(self, *, limit: int, before: tuple[datetime, str] | None, only: CallFilter) -> Sequence[CallRecord]:
        """At most `limit` calls, newest first; those that stand after `before` in that order."""
        ...

    async def story(self, interaction_id: str) -> CallStory | None: ...


def may_see(caller: Caller, call: CallRecord) -> bool:
    """Supervisors and admins see every call; agents those they took part in."""
    return caller.may(Role.SUPERVISOR) or (bool(caller.extension) and caller.extension in call.agents)


def shown_number(number: str, allowed: bool) -> str:
    return number if allowed else mask_phone(number)


def shown_fields(event: TimelineEvent, allowed: bool) -> Json:
    """The event's own fields as they may be shown; empty ones are left out."""
    shown: Json = {}
    for name, value in event.fields.items():
        if name in _NEVER or value in ("", None, [], {}):
            continue
        if not allowed and name in _PERSONAL:
            continue
        shown[name] = mask_phone(value) if not allowed and name in _NUMBERS and isinstance(value, str) else value
    return shown
