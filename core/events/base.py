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

from core.json_text import json_text, moment_text

Json = dict[str, Any]
_KINDS: dict[str, type[DomainEvent]] = {}
_READING: dict[type[DomainEvent], tuple[tuple[str, bool, bool], ...]] = {}  # found out once for each kind
_MOMENTS: dict[type[DomainEvent], tuple[str, ...]] = {}


@dataclass(frozen=True, kw_only=True)
class DomainEvent:
    """Every event: `interaction_id` joins what belongs together ("" = about no interaction); `at` is UTC, ms."""

    kind: ClassVar[str] = "DomainEvent"
    interaction_id: str = ""
    at: datetime

    def __init_subclass__(cls, *, told: bool = True, **kwargs: Any) -> None:
        """`told=False`: what several events have in common, itself never told."""
        super().__init_subclass__(**kwargs)
        cls.kind = cls.__name__
        if told:
            _KINDS[cls.__name__] = cls


def kinds() -> Mapping[str, type[DomainEvent]]:
    """All known events by name."""
    return dict(_KINDS)


def to_record(event: DomainEvent) -> Json:
    """JSON-ready fields of the event, with its kind under "kind" and times in ISO 8601."""
    record: Json = {"kind": event.kind, **event.__dict__}  # its fields in their order
    for name in _moments(type(event)):
        value = record[name]
        if value is not None:
            record[name] = moment_text(value)
    return record


def to_text(event: DomainEvent) -> str:
    """The event's record as JSON. Raises TypeError, ValueError or RecursionError for what cannot be written so."""
    return json_text(to_record(event))


def _moments(cls: type[DomainEvent]) -> tuple[str, ...]:
    """The fields that hold moments."""
    found = _MOMENTS.get(cls)
    if found is None:
        found = _MOMENTS[cls] = tuple(name for name, is_moment, _ in _reading(cls) if is_moment)
    return found


def _reading(cls: type[DomainEvent]) -> tuple[tuple[str, bool, bool], ...]:
    """Of each field: its name, whether it holds a moment, whether a record must have it."""
    found = _READING.get(cls)
    if found is None:
        found = _READING[cls] = tuple(
            (it.name, "datetime" in str(it.type), it.default is MISSING and it.default_factory is MISSING)
            for it in fields(cls)
        )
    return found


def from_record(record: Json) -> DomainEvent:
    """The event of a record. Raises KeyError for a kind or a required field that is not there."""
    cls = _KINDS[record["kind"]]
    values: Json = {}
    for name, is_moment, is_needed in _reading(cls):
        if name in record:
            value = record[name]
            if is_moment and value is not None:
                value = datetime.fromisoformat(value).astimezone(UTC)
            elif isinstance(value, list):
                value = tuple(value)
            values[name] = value
        elif is_needed:
            raise KeyError(name)
    return cls(**values)
