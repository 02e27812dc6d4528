"""What a policy's text says as a whole: the rules, what a surge changes in them, and the names it declares.

Pure. Does not read text (`text.py`) and does not decide whether a surge is on (`routing/surge.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import AftercallError
from routing.policy.model import Overflow, Policy


@dataclass(frozen=True)
class QueueSurge:
    """What is otherwise in one queue while the surge is on; None and "" = as always.

    `greeting`: said first to those who begin to wait. `expected_wait_prompt`: said instead of the worked-out expected wait.
    """

    greeting: str = ""
    expected_wait_prompt: str = ""
    callback_offer_after_s: float | None = None
    overflow: Mapping[str, Overflow] = field(default_factory=dict)
    max_waiting: int | None = None
    max_wait_s: float | None = None
    leave_without: frozenset[str] | None = None


@dataclass(frozen=True)
class Document:
    """`skills` and `teams`: names declared beside those that agents have already; they may be named in rules."""

    policy: Policy = Policy()
    surge: Mapping[str, QueueSurge] = field(default_factory=dict)  # by queue
    skills: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Known:
    """What exists besides the text; None = not known here, so not checked."""

    skills: frozenset[str] | None = None
    teams: frozenset[str] | None = None
    calendars: frozenset[str] | None = None
    music: frozenset[str] | None = None
    prompts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to mend: where it stands, what is wrong, and what to write instead. Line and column count from 1; 0 = the
    text as a whole."""

    source: str
    line: int
    column: int
    path: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        where = ":".join([self.source, *(str(n) for n in (self.line, self.column) if n)])
        what = f"{self.path}: " if self.path else ""
        return f"{where}: {what}{self.message}" + (f"; {self.suggestion}" if self.suggestion else "")


class PolicyRefused(AftercallError):
    """`problems` names all that was found, in the order of the text; `lines` is one line for each."""

    def __init__(self, problems: list[Problem]) -> None:
        many = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("routing:policy", f"The policy has {many}.", hint="Nothing was changed.", status=422)
        self.problems = problems
        self.lines = [str(problem) for problem in problems]
