"""What became different between two pictures of the board, as a value that can be merged, and written as JSON.

Knows nothing of calls or agents: a picture is sections of frozen values by id.

Invariants: `patched(a, between(a, b)) == b`; `merge(p, q)` does what p and then q do; a changed value is sent whole, so
that hiding parts of it from somebody never depends on what they saw before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

Picture = Mapping[str, Mapping[str, Any]]
Json = dict[str, Any]


@dataclass(frozen=True)
class Patch:
    """`set`: whole values by section and id; `drop`: ids by section. An id stands in one of them at most."""

    set: Picture = field(default_factory=dict)
    drop: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.set or self.drop)


EMPTY = Patch()


def between(before: Picture, after: Picture) -> Patch:
    """The patch that makes `after` of `before`."""
    changed: dict[str, dict[str, Any]] = {}
    dropped: dict[str, frozenset[str]] = {}
    for section, values in after.items():
        old = before.get(section, {})
        if old is values:
            continue
        here = {key: value for key, value in values.items() if old.get(key) is not value and old.get(key) != value}
        gone = frozenset(old.keys() - values.keys())
        if here:
            changed[section] = here
        if gone:
            dropped[section] = gone
    return Patch(changed, dropped) if changed or dropped else EMPTY


def merge(first: Patch, then: Patch) -> Patch:
    """One patch for two; the later word counts."""
    if not first:
        return then
    if not then:
        return first
    changed: dict[str, dict[str, Any]] = {}
    dropped: dict[str, frozenset[str]] = {}
    for section in {*first.set, *first.drop, *then.set, *then.drop}:
        later, gone_later = then.set.get(section, {}), then.drop.get(section, frozenset())
        here = {key: value for key, value in first.set.get(section, {}).items() if key not in gone_later}
        here.update(later)
        gone = (first.drop.get(section, frozenset()) | gone_later) - later.keys()
        if here:
            changed[section] = here
        if gone:
            dropped[section] = gone
    return Patch(changed, dropped)


def patched(picture: Picture, patch: Patch) -> dict[str, dict[str, Any]]:
    """The picture after the patch: what every client does."""
    after = {section: dict(values) for section, values in picture.items()}
    for section, values in patch.set.items():
        after.setdefault(section, {}).update(values)
    for section, ids in patch.drop.items():
        for key in ids:
            after.setdefault(section, {}).pop(key, None)
    return after


def record(value: Any) -> Json:
    """A frozen value as JSON-ready fields; times in ISO 8601 with milliseconds."""
    return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return value
