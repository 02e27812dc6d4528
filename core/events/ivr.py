"""What happened in a voice menu."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.events.base import DomainEvent


@dataclass(frozen=True, kw_only=True)
class FlowStarted(DomainEvent):
    flow: str
    version: str
    language: str


@dataclass(frozen=True, kw_only=True)
class FlowWaited(DomainEvent):
    """The engine stopped at a wait. `session` is the whole serialised session: who reads it can resume the flow."""

    flow: str
    node: str
    wait: str
    session: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DigitsCollected(DomainEvent):
    """`digits` is masked where the node says they are personal (order number, second factor)."""

    node: str
    digits: str
    outcome: str = "digits"  # digits, no_input, no_match


@dataclass(frozen=True, kw_only=True)
class OrderLookedUp(DomainEvent):
    node: str
    outcome: str  # found, several, none, slow, error, refused
    order_id: str = ""
    order_no: str = ""
    took_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CallerIdentified(DomainEvent):
    """`level`: ani, order_no, second_factor (what the caller proved)."""

    level: str
    order_id: str = ""


@dataclass(frozen=True, kw_only=True)
class VoicemailLeft(DomainEvent):
    box: str
    path: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class FlowEnded(DomainEvent):
    """`exit`: handoff, voicemail, hangup, caller_gone, error. `queue` and `skills` with a handoff."""

    flow: str
    exit: str
    node: str = ""
    queue: str = ""
    language: str = ""
    problem: str = ""
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class FlowPublished(DomainEvent):
    flow: str
    version: str
    actor: str = ""
