"""Reads the values of a policy's text, each by its row of the form; every fault is told at its place and never raised.

Pure. Does not judge how the parts fit together (`inspect.py`). A value that cannot be read is left out, so that the rest is
looked at all the same.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from core.hours.model import Span
from core.prompts.catalogue import LANGUAGES
from core.yaml_text import Listing, Scalar, Table, Tree
from core.yaml_text.tree import joined
from routing.policy.document import Known, Problem, QueueSurge
from routing.policy.form import (
    BAND,
    CALLBACK,
    CLASS,
    MOST_NAMES,
    MOST_QUEUES,
    MOST_RINGS,
    NAME,
    NUMBER,
    QUEUE,
    RING,
    SURGE,
    WAITS,
    WEIGHTS,
    WITHOUT_TARGET,
    Row,
)
from routing.policy.model import CHOICES, CallbackRules, Overflow, PriorityClass, QueuePolicy, Ring, Waits, Weights

MOST_PROBLEMS = 100
_NAME, _NUMBER = re.compile(NAME), re.compile(NUMBER)
NAME_HINT = "a name has letters, digits, _ . and -, at most 64, and begins with a letter or digit"
OVERFLOW_HINT = "write voicemail, closing, callback, queue NAME or number +4930…"


class Enough(Exception):
    """So many problems that nobody reads on."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the text."""

    line: int
    column: int


def spot(tree: Tree) -> Spot:
    return Spot(tree.line, tree.column)


def key_spot(table: Table, key: str) -> Spot:
    return Spot(table.lines[key], table.columns.get(key, 0))


def did_you_mean(word: str, known: Iterable[str], more: str = "") -> str:
    """ "did you mean 'ring_s'?", or else which words there are."""
    names = sorted(known)
    near = difflib.get_close_matches(word[:64], names, 1, 0.6) or difflib.get_close_matches(
        word[:64].lower(), names, 1, 0.6
    )
    if near:
        return f"did you mean '{near[0]}'?"
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return more or (f"there are {shown}" if names else "there are none")


class Reading:
    """`problems` in the order in which they were found. Raises Enough when there are more than anybody wants to read."""

    def __init__(self, source: str, known: Known, declared: dict[str, frozenset[str]] | None = None) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self.names: dict[str, frozenset[str] | None] = {
            "skill": _joined(known.skills, declared, "skill", LANGUAGES),
            "team": _joined(known.teams, declared, "team"),
            "calendar": known.calendars,
            "music": known.music,
            "prompt": known.prompts,
            "class": None,
            "queue": None,
        }

    def tell(self, at: Spot, path: str, message: str, suggestion: str = "") -> None:
        if len(self.problems) >= MOST_PROBLEMS:
            raise Enough
        self.problems.append(Problem(self.source, at.line, at.column, path, message, suggestion))

    # --- tables

    def rows(self, rows: Sequence[Row], tree: Tree, path: str, what: str) -> dict[str, Any]:
        """The fields that stand in a table and can be read."""
        if not isinstance(tree, Table):
            self.tell(spot(tree), path, f"{what} is a table of keys and values", _leave_out(tree))
            return {}
        by_key = {row.key: row for row in rows}
        found: dict[str, Any] = {}
        for key, value in tree.rows.items():
            row = by_key.get(key)
            if row is None:
                near = did_you_mean(key, by_key)
                self.tell(key_spot(tree, key), joined(path, key), f"'{key[:60]}' is not a key of {what}", near)
                continue
            read = self.value(row, value, joined(path, key))
            if read is not None:
                found[row.field] = read
        return found

    def value(self, row: Row, tree: Tree, path: str) -> Any:
        return getattr(self, f"_{row.kind}")(row, tree, path)

    def _entries(self, row: Row, tree: Tree, path: str, what: str) -> Iterable[tuple[str, Tree, str, Spot]]:
        """The rows of a table whose keys are names of something: (name, value, path, where the name stands)."""
        if not isinstance(tree, Table):
            self.tell(spot(tree), path, f"a table of {what} is wanted", _leave_out(tree))
            return
        if len(tree.rows) > MOST_NAMES:
            self.tell(spot(tree), path, f"{len(tree.rows)} entries; {MOST_NAMES} are the most")
            return
        for key, value in tree.rows.items():
            yield key, value, joined(path, key), key_spot(tree, key)

    # --- single values

    def _number(self, row: Row, tree: Tree, path: str) -> float | None:
        unit = "a number of seconds" if row.key.endswith("_s") else "a number"
        if not isinstance(tree, Scalar) or isinstance(tree.value, bool) or not isinstance(tree.value, int | float):
            self.tell(spot(tree), path, f"{unit} is wanted, not {_shown(tree)}", _leave_out(tree))
            return None
        return float(tree.value) if self._bounded(row, tree, path, tree.value) else None

    def _whole(self, row: Row, tree: Tree, path: str) -> int | None:
        if not isinstance(tree, Scalar) or isinstance(tree.value, bool) or not isinstance(tree.value, int):
            self.tell(spot(tree), path, f"a whole number is wanted, not {_shown(tree)}", _leave_out(tree))
            return None
        return tree.value if self._bounded(row, tree, path, tree.value) else None

    def _bounded(self, row: Row, tree: Scalar, path: str, value: float) -> bool:
        if row.low <= value <= row.high and not (row.positive and value <= row.low):
            return True
        what = (
            f"{tree.text[:40]} is negative" if value < 0 and row.low >= 0 else f"{tree.text[:40]} is not possible here"
        )
        low = f"more than {row.low:g}" if row.positive else f"{row.low:.15g}"
        self.tell(spot(tree), path, what, f"write {low} to {row.high:.15g}")
        return False

    def _flag(self, row: Row, tree: Tree, path: str) -> bool | None:
        if isinstance(tree, Scalar) and isinstance(tree.value, bool):
            return tree.value
        self.tell(spot(tree), path, f"true or false is wanted, not {_shown(tree)}")
        return None

    def _word(self, row: Row, tree: Tree, path: str) -> str | None:
        text = self._text(tree, path, "a word")
        if text is None or text in row.words:
            return text
        self.tell(spot(tree), path, f"'{text[:40]}' is not possible here", did_you_mean(text, row.words))
        return None

    def _name(self, row: Row, tree: Tree, path: str) -> str | None:
        text = self._text(tree, path, f"the name of a {row.of}" if row.of else "a name")
        return text if text is not None and self.is_name(row.of, text, spot(tree), path) else None

    def _text(self, tree: Tree, path: str, wanted: str) -> str | None:
        if isinstance(tree, Scalar) and isinstance(tree.value, str):
            return tree.value
        quote = isinstance(tree, Scalar) and tree.value is not None
        hint = f"put it in quotes: '{tree.text[:40]}'" if quote and isinstance(tree, Scalar) else _leave_out(tree)
        self.tell(spot(tree), path, f"{wanted} is wanted, not {_shown(tree)}", hint)
        return None

    def is_name(self, of: str, text: str, at: Spot, path: str) -> bool:
        """Whether `text` is a name, and one that is known where that can be known; told when not."""
        if not _NAME.fullmatch(text):
            self.tell(at, path, f"'{text[:40]}' is not a name", NAME_HINT)
            return False
        known = self.names.get(of)
        if known is not None and text not in known:
            self.tell(at, path, f"there is no {of} '{text}'", did_you_mean(text, known, _DECLARE.get(of, "")))
            return False
        return True

    def _label(self, text: str, at: Spot, path: str) -> bool:
        """What other systems name: a customer's tier, a kind of problem."""
        if 1 <= len(text) <= 64 and text.isprintable() and text == text.strip():
            return True
        self.tell(at, path, f"'{text[:40]}' cannot stand here", "write 1 to 64 printable characters")
        return False

    def _window(self, row: Row, tree: Tree, path: str) -> str | None:
        text = self._text(tree, path, "a span of the day")
        if text is None:
            return None
        try:
            Span.parse(text)
        except ValueError as error:
            self.tell(spot(tree), path, str(error)[:100], "write it like '09:00-20:00'")
            return None
        return text

    def _choice(self, row: Row, tree: Tree, path: str) -> Weights | None:
        if isinstance(tree, Table):
            return Weights(**{"idle": 0.0, **self.rows(WEIGHTS, tree, path, "a choice")})
        text = self._text(tree, path, "the name of a choice, or a table of weights")
        if text is None or text in CHOICES:
            return CHOICES[text] if text else None
        self.tell(spot(tree), path, f"'{text[:40]}' is not a choice", did_you_mean(text, CHOICES))
        return None

    # --- lists and tables of names

    def _items(self, tree: Tree, path: str, wanted: str, most: int = MOST_NAMES) -> list[tuple[Tree, str]]:
        if not isinstance(tree, Listing):
            hint = f"write [{tree.text[:40]}]" if isinstance(tree, Scalar) and tree.text else _leave_out(tree)
            self.tell(spot(tree), path, f"a list of {wanted} is wanted", hint)
            return []
        if len(tree.items) > most:
            self.tell(spot(tree), path, f"{len(tree.items)} entries; {most} are the most")
            return []
        return [(item, f"{path}[{n}]") for n, item in enumerate(tree.items)]

    def _list(self, row: Row, tree: Tree, path: str) -> tuple[str, ...] | None:
        """Names in their order; one may stand several times."""
        if not isinstance(tree, Listing):
            self._items(tree, path, f"{row.of}s")
            return None
        found = [self._name(row, item, at) for item, at in self._items(tree, path, f"{row.of}s")]
        return tuple(name for name in found if name is not None)

    def _names(self, row: Row, tree: Tree, path: str) -> frozenset[str]:
        found: set[str] = set()
        for item, at in self._items(tree, path, f"{row.of}s" if row.of else "names"):
            name = self._name(row, item, at)
            if name in found:
                self.tell(spot(item), at, f"'{name}' stands twice")
            elif name is not None:
                found.add(name)
        return frozenset(found)

    def _words(self, row: Row, tree: Tree, path: str) -> frozenset[str]:
        found = [self._word(row, item, at) for item, at in self._items(tree, path, "words")]
        return frozenset(word for word in found if word is not None)

    def _levels(self, row: Row, tree: Tree, path: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for name, value, at, where in self._entries(row, tree, path, "skills and levels"):
            level = self._whole(row, value, at)
            if self.is_name(row.of, name, where, at) and level is not None:
                found[name] = level
        return found

    def _classes(self, row: Row, tree: Tree, path: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for tier, value, at, where in self._entries(row, tree, path, "tiers and classes"):
            name = self._name(row, value, at)
            if self._label(tier, where, at) and name is not None:
                found[tier] = name
        return found

    def _points(self, row: Row, tree: Tree, path: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for problem, value, at, where in self._entries(row, tree, path, "problems and points"):
            points = self._number(row, value, at)
            if self._label(problem, where, at) and points is not None:
                found[problem] = points
        return found

    def _bands(self, row: Row, tree: Tree, path: str) -> tuple[tuple[int, float], ...]:
        bands: list[tuple[int, float]] = []
        for item, at in self._items(tree, path, "values and points"):
            found = self.rows(BAND, item, at, "a value band")
            for key in ("from_minor", "points"):
                if isinstance(item, Table) and key not in item.rows:
                    self.tell(spot(item), at, f"a value band needs '{key}'", "write {from_minor: 10000, points: 5}")
            if len(found) == 2:
                if bands and found["from_minor"] <= bands[-1][0]:
                    self.tell(spot(item), f"{at}.from_minor", "value bands ascend",
                              f"write more than {bands[-1][0]}")  # fmt: skip
                bands.append((found["from_minor"], found["points"]))
        return tuple(bands)

    def _overflow(self, row: Row, tree: Tree, path: str) -> dict[str, Overflow]:
        found: dict[str, Overflow] = {}
        for reason, value, at, where in self._entries(row, tree, path, "reasons and places"):
            if reason not in row.words:
                near = did_you_mean(reason, row.words)
                self.tell(where, at, f"'{reason[:40]}' is not a reason to go elsewhere", near)
            if (place := self._place(value, at)) is not None and reason in row.words:
                found[reason] = place
        return found

    def _place(self, tree: Tree, path: str) -> Overflow | None:
        text = self._text(tree, path, "a place")
        if text is None:
            return None
        to, _, target = text.partition(" ")
        if text in WITHOUT_TARGET:
            return Overflow(text)
        if to == "queue" and target:
            return Overflow(to, target) if self.is_name("queue", target, spot(tree), path) else None
        if to == "number" and target:
            if _NUMBER.fullmatch(target):
                return Overflow(to, target)
            self.tell(spot(tree), path, f"'{target[:40]}' is not a number in E.164", "write it like +493012345678")
            return None
        self.tell(
            spot(tree), path, f"'{text[:40]}' is no place to go", did_you_mean(text, WITHOUT_TARGET, OVERFLOW_HINT)
        )
        return None

    # --- parts of the model

    def _waits(self, row: Row, tree: Tree, path: str) -> Waits:
        return Waits(**self.rows(WAITS, tree, path, "waits"))

    def _callback(self, row: Row, tree: Tree, path: str) -> CallbackRules:
        return CallbackRules(**self.rows(CALLBACK, tree, path, "callback"))

    def _rings(self, row: Row, tree: Tree, path: str) -> tuple[Ring, ...]:
        rings: list[Ring] = []
        for item, at in self._items(tree, path, "rings", MOST_RINGS):
            found = self.rows(RING, item, at, "a ring")
            if isinstance(item, Table) and "after_s" not in item.rows:
                self.tell(spot(item), at, "a ring needs 'after_s'", "write from how many seconds of waiting on")
            rings.append(Ring(**{"after_s": -1.0, **found}))  # -1: told already
        return tuple(rings)

    def _class_table(self, row: Row, tree: Tree, path: str) -> dict[str, PriorityClass]:
        found: dict[str, PriorityClass] = {}
        for name, value, at, where in self._entries(row, tree, path, "priority classes"):
            read = self.rows(CLASS, value, at, "a priority class")
            if self.is_name("", name, where, at):
                found[name] = PriorityClass(name, **read)
        return found

    def _queue_table(self, row: Row, tree: Tree, path: str) -> dict[str, QueuePolicy]:
        found: dict[str, QueuePolicy] = {}
        if isinstance(tree, Table) and len(tree.rows) > MOST_QUEUES:
            self.tell(spot(tree), path, f"{len(tree.rows)} queues; {MOST_QUEUES} are the most")
        elif not isinstance(tree, Table):
            self.tell(spot(tree), path, "a table of queues is wanted", _leave_out(tree))
        else:
            for name, value in tree.rows.items():
                at = joined(path, name)
                read = self.rows(QUEUE, value, at, "a queue")
                if self.is_name("", name, key_spot(tree, name), at):
                    found[name] = QueuePolicy(name, **read)
        return found

    def _surge_table(self, row: Row, tree: Tree, path: str) -> dict[str, QueueSurge]:
        found: dict[str, QueueSurge] = {}
        for name, value, at, where in self._entries(row, tree, path, "queues"):
            read = self.rows(SURGE, value, at, "a queue's surge")
            if self.is_name("queue", name, where, at):
                found[name] = QueueSurge(**read)
        return found


_DECLARE = {
    "skill": "no agent has it; a new one is declared under `skills:` at the top",
    "team": "a new one is declared under `teams:` at the top",
    "calendar": "calendars are written down in the settings: [calendars.NAME]",
    "music": "a class of music is a folder with sounds: HOME/music/NAME",
}


def _joined(
    known: frozenset[str] | None, declared: dict[str, frozenset[str]] | None, of: str, more: Collection[str] = ()
) -> frozenset[str] | None:
    said = (declared or {}).get(of)
    if known is None and said is None:
        return None
    return (known or frozenset()) | (said or frozenset()) | frozenset(more)


def _shown(tree: Tree) -> str:
    if isinstance(tree, Scalar):
        return f"'{tree.text[:40]}'" if tree.value is not None else "nothing"
    return "a list" if isinstance(tree, Listing) else "a table"


def _leave_out(tree: Tree) -> str:
    return "leave the key out" if isinstance(tree, Scalar) and tree.value is None else ""
