"""Rules as plain values with the names of the text, every key there; and what differs between two of them.

Pure. For answers over HTTP and for audit rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from routing.policy.document import Document, QueueSurge
from routing.policy.form import BAND, CALLBACK, CLASS, QUEUE, RING, SURGE, TOP, WAITS, WEIGHTS, Row
from routing.policy.model import CallbackRules, Overflow, PriorityClass, QueuePolicy, Ring, Waits, Weights

Json = dict[str, Any]
MOST_CHANGES = 500
_ROWS: Mapping[type, Sequence[Row]] = {
    PriorityClass: CLASS, QueuePolicy: QUEUE, Ring: RING, Waits: WAITS, CallbackRules: CALLBACK, Weights: WEIGHTS,
    QueueSurge: SURGE,
}  # fmt: skip


def plain(document: Document) -> Json:
    policy = document.policy
    values = {
        "max_overtakes": policy.max_overtakes, "skills": document.skills, "teams": document.teams,
        "classes": policy.classes, "queues": policy.queues, "surge": document.surge,
    }  # fmt: skip
    return {row.key: _plain(values[row.field], row.kind) for row in TOP}


def _plain(value: Any, kind: str = "") -> Any:
    rows = _ROWS.get(type(value))
    if rows is not None:
        return {row.key: _plain(getattr(value, row.field), row.kind) for row in rows}
    if isinstance(value, Overflow):
        return f"{value.to} {value.target}".strip()
    if kind == "bands":
        return [dict(zip((row.key for row in BAND), band, strict=True)) for band in value]
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value


def changes(before: Document, after: Document) -> dict[str, tuple[Any, Any]]:
    """What differs, by its path in the text: (before, after); None where there is nothing. At most MOST_CHANGES."""
    old, new = _flat(plain(before)), _flat(plain(after))
    differing = sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path))
    return {path: (old.get(path), new.get(path)) for path in differing[:MOST_CHANGES]}


def _flat(value: Any, path: str = "") -> Json:
    """Tables by path; lists are values."""
    if not isinstance(value, Mapping) or not value:
        return {path: value} if path else {}
    found: Json = {}
    for key, inner in value.items():
        found |= _flat(inner, f"{path}.{key}" if path else str(key))
    return found
