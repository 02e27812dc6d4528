"""What a drill is, and what it measured. Pure values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.drills.field import Field


class Missed(AssertionError):
    """The promise was not kept; the message says by how much."""


@dataclass(frozen=True)
class Drill:
    """One fault. `run(field)` injects it among live calls and returns what was measured, in words; raises Missed.

    `times`: how often in a full run. `short`: part of the run that every landing makes. `settings` are those of its
    world; drills with equal settings share one. `alone`: each time in a world of its own.
    `moved_clock`: its world's wall clock can be moved.
    """

    fault: int
    name: str
    promise: str
    run: Callable[[Field], Awaitable[str]]
    times: int = 3
    short: bool = False
    alone: bool = False
    moved_clock: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Oracle:
    """The outcome of one oracle after one drill: "" = it held, else what was wrong."""

    name: str
    wrong: str = ""
    measured: str = ""


@dataclass(frozen=True)
class Outcome:
    """One drill, once."""

    fault: int
    name: str
    promise: str
    measured: str
    wrong: str
    oracles: tuple[Oracle, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        return not self.wrong and not any(oracle.wrong for oracle in self.oracles)


def require(holds: bool, words: str) -> None:
    """Raises Missed with `words` when it does not hold."""
    if not holds:
        raise Missed(words)
