"""What happened to orders, and to our picture of them."""

from __future__ import annotations

from dataclasses import dataclass

from core.events.base import DomainEvent


@dataclass(frozen=True, kw_only=True)
class OrderChanged(DomainEvent):
    order_id: str
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class AlertRaised(DomainEvent):
    """`what` is the alarm's stable name; `message` says in words what it means for callers."""

    what: str
    message: str


@dataclass(frozen=True, kw_only=True)
class AlertCleared(DomainEvent):
    what: str
