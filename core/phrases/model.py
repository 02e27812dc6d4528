"""What is to be said, as values: no language, no sound files, no clock.

A phrase becomes a list of prompt names only in `core/phrases/render.py`, for one language at a time, so that one order
status is written once and spoken right in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Prompt:
    """A recorded text by its name in the prompt library, such as `menu-main` or `order-state-shipped`."""

    name: str


@dataclass(frozen=True)
class Number:
    """A cardinal number: 21 → "twenty-one", 二十一. From -999,999,999 to 999,999,999. `unit` as in `Counted`."""

    value: int


@dataclass(frozen=True)
class Counted:
    """A number with the thing counted: (2, "parcel") → "two parcels", 两个包裹."""

    value: int
    noun: str  # parcel, day, order, item, minute


@dataclass(frozen=True)
class Digits:
    """Digit by digit (and letter by letter): order numbers, last four of a phone."""

    text: str


@dataclass(frozen=True)
class Money:
    """An amount in minor units of an ISO 4217 currency: (12950, "CNY") → 一百二十九元五角, "... yuan fifty"."""

    minor: int
    currency: str


@dataclass(frozen=True)
class Day:
    """A calendar date; the year is spoken only when it is not `today`'s."""

    day: date
    today: date | None = None


@dataclass(frozen=True)
class Pause:
    """Silence, in milliseconds."""

    ms: int


Phrase = Prompt | Number | Counted | Digits | Money | Day | Pause
Phrases = tuple[Phrase, ...]
