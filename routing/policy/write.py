"""Rules as a text, by the rows of the form: what differs from the default, in the order of the form.

Pure. Invariant: reading the text gives the same rules, number for number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from routing.policy.document import Document, QueueSurge
from routing.policy.form import CALLBACK, CLASS, QUEUE, RING, SURGE, TOP, WAITS, WEIGHTS, Row
from routing.policy.model import CHOICES, CallbackRules, Overflow, PriorityClass, QueuePolicy, Ring, Waits, Weights

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def written(document: Document) -> str:
    policy = document.policy
    top: dict[str, Any] = {
        "max_overtakes": policy.max_overtakes, "skills": document.skills, "teams": document.teams,
        "classes": policy.classes, "queues": policy.queues, "surge": document.surge,
    }  # fmt: skip
    lines: list[str] = []
    for row in TOP:
        value = top[row.field]
        if row.kind == "class_table":
            lines += _block(row.key, {n: _table(CLASS, c, PriorityClass(n)) for n, c in value.items()})
        elif row.kind == "queue_table":
            lines += _block(row.key, {n: _table(QUEUE, q, QueuePolicy(n)) for n, q in value.items()}, always=True)
        elif row.kind == "surge_table":
            lines += _block(row.key, {n: _table(SURGE, s, QueueSurge()) for n, s in value.items()})
        elif value or row.key == "max_overtakes":
            lines.append(f"{row.key}: {_value(row, value)}")
    return "\n".join(lines) + "\n"


def _block(key: str, entries: Mapping[str, list[str]], *, always: bool = False) -> list[str]:
    """A table of tables; {} for one in which nothing stands."""
    if not entries:
        return [f"{key}: {{}}"] if always else []
    lines = [f"{key}:"]
    for name, inner in entries.items():
        lines.append(f"  {_word(name)}:" + ("" if inner else " {}"))
        lines += [f"    {line}" for line in inner]
    return lines


def _table(rows: Sequence[Row], value: Any, default: Any) -> list[str]:
    """The lines of what differs from the default."""
    lines: list[str] = []
    for row in rows:
        given = getattr(value, row.field)
        if given == getattr(default, row.field):
            continue
        if row.kind == "rings":
            lines.append(f"{row.key}:")
            lines += [f"  - {_ring(ring)}" for ring in given]
        elif row.kind == "bands":
            lines.append(f"{row.key}:")
            lines += [f"  - {{from_minor: {least}, points: {_number(points)}}}" for least, points in given]
        else:
            lines.append(f"{row.key}: {_value(row, given)}")
    return lines


def _ring(ring: Ring) -> str:
    return _inline(RING, ring, Ring(-1.0))


def _inline(rows: Sequence[Row], value: Any, default: Any) -> str:
    return "{" + ", ".join(_table(rows, value, default)) + "}"


def _value(row: Row, value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return _number(value)
        case str():
            return _word(value)
        case Weights():
            named = next((name for name, weights in CHOICES.items() if weights == value), None)
            return named or _inline(WEIGHTS, value, Weights(idle=0.0))
        case Waits():
            return _inline(WAITS, value, Waits())
        case CallbackRules():
            return _inline(CALLBACK, value, CallbackRules())
        case frozenset():
            return f"[{', '.join(_word(name) for name in sorted(value))}]"
        case tuple():
            return f"[{', '.join(_word(name) for name in value)}]"
        case Mapping():
            return "{" + ", ".join(f"{_word(key)}: {_entry(inner)}" for key, inner in value.items()) + "}"
    raise TypeError(f"{row.key} cannot be written: {type(value).__name__}")


def _entry(value: Any) -> str:
    if isinstance(value, Overflow):
        return f"{value.to} {value.target}" if value.target else value.to
    return _number(value) if isinstance(value, int | float) else _word(value)


def _word(text: str) -> str:
    """As it is when it can only be read as a text, else in quotes."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if plain else json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    """With the point that makes it a number: 1e-06 is a word in this dialect."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    text = repr(float(value))
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa}.0{e}{exponent}" if e and "." not in mantissa else text
