"""Phrases as plain JSON values and back, so that what is to be said can be kept with a call.

Invariant: `from_json(to_json(p)) == p`. Raises ValueError for anything that is not phrases.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from core.phrases.model import Counted, Day, Digits, Money, Number, Pause, Phrase, Phrases, Prompt


def to_json(phrases: Phrases) -> list[list[Any]]:
    """`["prompt", "welcome"]`, `["money", 12950, "CNY"]`, `["day", "2026-11-24", null]`, …"""
    return [_row(phrase) for phrase in phrases]


def _row(phrase: Phrase) -> list[Any]:
    match phrase:
        case Prompt(name):
            return ["prompt", name]
        case Number(value):
            return ["number", value]
        case Counted(value, noun):
            return ["counted", value, noun]
        case Digits(text):
            return ["digits", text]
        case Money(minor, currency):
            return ["money", minor, currency]
        case Day(day, today):
            return ["day", day.isoformat(), today.isoformat() if today else None]
        case Pause(ms):
            return ["pause", ms]


def from_json(rows: Any) -> Phrases:
    """The phrases of `to_json`'s rows (lists or tuples)."""
    try:
        return tuple(_phrase(*row) for row in rows)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"not phrases: {error}") from error


def _phrase(kind: str, *values: Any) -> Phrase:
    match (kind, *values):
        case ("prompt", str(name)):
            return Prompt(name)
        case ("number", int(value)):
            return Number(value)
        case ("counted", int(value), str(noun)):
            return Counted(value, noun)
        case ("digits", str(text)):
            return Digits(text)
        case ("money", int(minor), str(currency)):
            return Money(minor, currency)
        case ("day", str(day), today):
            return Day(date.fromisoformat(day), date.fromisoformat(today) if today else None)
        case ("pause", int(ms)):
            return Pause(ms)
    raise ValueError(f"unknown phrase '{kind}'")
