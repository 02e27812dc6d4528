"""What the doctor found, as values: good, worth knowing, or wrong; with one line on how to mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["good", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was looked at and how it is; `fix` says what to do, for everything that is not good."""

    level: Level
    what: str
    fix: str = ""


def good(what: str) -> Finding:
    return Finding("good", what)


def note(what: str, fix: str) -> Finding:
    return Finding("note", what, fix)


def wrong(what: str, fix: str) -> Finding:
    return Finding("wrong", what, fix)


def judge(fine: bool, what: str, fix: str) -> Finding:
    """Good, or wrong with this fix."""
    return good(what) if fine else wrong(what, fix)
