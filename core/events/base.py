"""What an event is: something that has happened, frozen, told in the past tense, versioned by adding fields only.

Decides how events are named and written as JSON. Does not carry, store or order them.
Invariant: `from_record(to_record(e)) == e`; unknown fields of a newer release are dropped, missing ones take their
default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime
from typing import Any, ClassVar

Json = dict[str, Any]
_KINDS: dict[str, type[DomainEvent]] = {}


@dataclass(frozen=True, kw_only=True)
class DomainEvent:
    """Every event: `interaction_id` joins what belongs together ("" = about no interaction); `at` is UTC, ms."""

    kind: ClassVar[str] = "DomainEvent"
    interaction_id: str = ""
    at: datetime

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = cls.__name__
        _KINDS[cls.__name__] = cls


def kinds() -> Mapping[str, type[DomainEvent]]:
    """All known events by name."""
    return dict(_KINDS)


def to_record(event: DomainEvent) -> Json:
    """JSON-ready fields of the event, with its kind under "kind" and times in ISO 8601."""
    record: Json = {"kind": event.kind}
    for field in fields(event):
        value = getattr(event, field.name)
        record[field.name] = value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
    return record


def from_record(record: Json) -> DomainEvent:
    """The event of a record. Raises KeyError for a kind or a required field that is not there."""
    cls = _KINDS[record["kind"]]
    values: Json = {}
    for field in fields(cls):
        if field.name in record:
            value = record[field.name]
            if value is not None and "datetime" in str(field.type):
                value = datetime.fromisoformat(value).astimezone(UTC)
            elif isinstance(value, list):
                value = tuple(value)
            values[field.name] = value
        elif field.default is MISSING and field.default_factory is MISSING:
            raise KeyError(field.name)
    return cls(**values)
