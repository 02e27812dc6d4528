"""All events by name, and how they are written down. One file per room."""

from core.events import ivr, orders, pbx, recordings, routing
from core.events.base import DomainEvent, from_record, kinds, to_record, to_text

__all__ = [
    "DomainEvent",
    "from_record",
    "ivr",
    "kinds",
    "orders",
    "pbx",
    "recordings",
    "routing",
    "to_record",
    "to_text",
]
