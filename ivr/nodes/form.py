"""What a node type declares about itself: its name, its form, its exits; and how a form is filled from a file.

The registry's rows drive reading, checking and (later) the editor's palette and forms. Does not know single node types.
Invariant: reading a field tells every fault at its line and never raises; a field that cannot be read has its default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from core.yaml_text.words import did_you_mean
from ivr.flow.model import Flow, Node
from ivr.nodes.spoken import WORD, read_spoken
from ivr.tree import Listing, Scalar, Table, Tree

SKILL = re.compile(r"[a-z][a-z0-9_-]{0,31}")
AGENT = re.compile(r"[A-Za-z0-9_-]{1,32}")


@dataclass(frozen=True, slots=True)
class ExitSpec:
    """A way out. One that is not `required` leads to the flow's person when the file does not say where."""

    name: str
    required: bool = False
    help: str = ""


NEXT = ExitSpec("next", required=True)
NO_INPUT = ExitSpec("no-input", help="no key, after all tries")
NO_MATCH = ExitSpec("no-match", help="no usable input, after all tries")


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a node's form. `kind`: spoken, text, word, number, seconds, flag, key, choice, expression, expressions,
    queue, skills, calendar, language, value, values, date, flow, hook, agent. `low`/`high` bound numbers and seconds."""

    name: str
    kind: str
    required: bool = False
    default: Any = None
    help: str = ""
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Build:
    """What a node may know of its flow while it is built."""

    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NodeType:
    """A row of the registry. `takes_keys`: the caller can press something here. `free_exits`: names of exits that the
    filled form brings along (a menu's keys, a branch's cases). `any_exits`: another flow says which there are. `personal`: the
    form says it asks for proof."""

    name: str
    summary: str
    fields: tuple[Field, ...]
    exits: tuple[ExitSpec, ...]
    build: Callable[[Mapping[str, Any], Build], Node]
    example: str
    waits: bool = True
    takes_keys: bool = False
    ends: bool = False
    key_exits: bool = False
    case_field: str = ""
    any_exits: bool = False
    personal: Callable[[Mapping[str, Any]], bool] = field(default=lambda values: False)


@dataclass(frozen=True, slots=True)
class Known:
    """What exists besides the flow; None = not known here, so not checked. `has_prompt(name, language)`."""

    has_prompt: Callable[[str, str], bool] | None = None
    queues: frozenset[str] | None = None
    skills: frozenset[str] | None = None
    calendars: frozenset[str] | None = None
    hooks: frozenset[str] | None = None
    flow: Callable[[str], Flow | None] | None = None  # the current version of another flow
    compile_expression: Callable[[str], str] | None = None  # "" = good, else what is wrong


class Reader:
    """Reads one value of a form. `tell(line, message)` collects faults."""

    def __init__(self, known: Known, languages: tuple[str, ...], tell: Callable[[int, str], None]) -> None:
        self._known = known
        self._languages = languages
        self._tell = tell

    def read(self, spec: Field, tree: Tree) -> Any:
        """The field's value, or its default when it cannot be read."""
        value = getattr(self, f"_{spec.kind}")(spec, tree)
        return spec.default if value is None else value

    def _is(self, tree: Tree, kind: type | tuple[type, ...], wanted: str) -> Any:
        if isinstance(tree, Scalar) and isinstance(tree.value, kind):
            flag_wanted = kind is bool or (isinstance(kind, tuple) and bool in kind)
            if flag_wanted or not isinstance(tree.value, bool):  # Python's True is an int; a flow's is not
                return tree.value
        self._tell(tree.line, f"{wanted} is wanted" + (f", not '{tree.text}'" if isinstance(tree, Scalar) else ""))
        return None

    def _spoken(self, spec: Field, tree: Tree) -> Any:
        return read_spoken(tree, self._languages, self._known.has_prompt, self._tell)

    def _text(self, spec: Field, tree: Tree) -> Any:
        text = self._is(tree, str, "a text")
        if text is not None and (len(text) > 200 or not text.isprintable()):
            self._tell(tree.line, "a text has at most 200 printable characters")
            return None
        return text

    def _word(self, spec: Field, tree: Tree) -> Any:
        text = self._is(tree, str, "a name")
        if text is not None and not WORD.fullmatch(text):
            self._tell(tree.line, f"'{text}' is not a name (a–z, 0–9, _; at most 32)")
            return None
        return text

    def _number(self, spec: Field, tree: Tree) -> Any:
        return self._bounded(spec, tree, self._is(tree, int, "a whole number"))

    def _seconds(self, spec: Field, tree: Tree) -> Any:
        value = self._bounded(spec, tree, self._is(tree, (int, float), "a number of seconds"))
        return None if value is None else float(value)

    def _bounded(self, spec: Field, tree: Tree, value: Any) -> Any:
        if value is not None and not spec.low <= value <= spec.high:
            self._tell(tree.line, f"{value} is not between {spec.low:g} and {spec.high:g}")
            return None
        return value

    def _flag(self, spec: Field, tree: Tree) -> Any:
        return self._is(tree, bool, "true or false")

    def _choice(self, spec: Field, tree: Tree) -> Any:
        text = tree.text if isinstance(tree, Scalar) else ""
        if text not in spec.choices:
            self._tell(tree.line, f"'{text}' is not one of {', '.join(spec.choices) or 'nothing'}")
            return None
        return text

    def _key(self, spec: Field, tree: Tree) -> Any:
        text = tree.text if isinstance(tree, Scalar) else "?"
        if text not in ("", "*", "#"):
            self._tell(tree.line, f'\'{text}\' cannot end the input; write "#", "*" or ""')
            return None
        return text

    def _language(self, spec: Field, tree: Tree) -> Any:
        text = tree.text if isinstance(tree, Scalar) else ""
        if text != "other" and text not in self._languages:
            self._tell(tree.line, f"'{text}' is not a language of this flow ({', '.join(self._languages)}) or 'other'")
            return None
        return text

    def _expression(self, spec: Field, tree: Tree) -> Any:
        text = tree.text if isinstance(tree, Scalar) else ""
        problem = "an expression is wanted" if not text.strip() else ""
        if len(text) > 500:
            problem = "an expression has at most 500 characters"
        if not problem and self._known.compile_expression is not None:
            problem = self._known.compile_expression(text)
        if problem:
            self._tell(tree.line, problem)
            return None
        return text

    def _expressions(self, spec: Field, tree: Tree) -> Any:
        if not isinstance(tree, Table) or not tree.rows:
            self._tell(tree.line, "a table of exit names and expressions is wanted")
            return None
        return {name: self._expression(spec, row) or "false" for name, row in tree.rows.items()}

    def _value(self, spec: Field, tree: Tree) -> Any:
        return self._is(tree, (str, int, float, bool), "a single value")

    def _values(self, spec: Field, tree: Tree) -> Any:
        if not isinstance(tree, Table) or not tree.rows:
            self._tell(tree.line, "a table of exit names and values is wanted")
            return None
        found: dict[str, tuple[str, ...]] = {}
        taken: dict[str, str] = {}
        for name, row in tree.rows.items():
            items = row.items if isinstance(row, Listing) else [row]
            texts = [item.text for item in items if isinstance(item, Scalar)]
            if not texts or len(texts) != len(items):
                self._tell(tree.lines[name], f"'{name[:40]}' needs a value, or a list of values")
            for text in texts:
                if text in taken:
                    self._tell(tree.lines[name], f"the value '{text[:40]}' leads to '{taken[text]}' already")
                taken.setdefault(text, name)
            found[name] = tuple(texts)
        return found

    def _date(self, spec: Field, tree: Tree) -> Any:
        try:
            return date.fromisoformat(tree.text if isinstance(tree, Scalar) else "")
        except ValueError:
            self._tell(tree.line, "a day like 2026-11-24 is wanted")
            return None

    def _named(self, tree: Tree, what: str, names: frozenset[str] | None) -> Any:
        text = self._is(tree, str, f"the name of a {what}")
        if text is None:
            return None
        if not SKILL.fullmatch(text):
            self._tell(tree.line, f"'{text}' is not a name")
            return None
        if names is not None and text not in names:
            self._tell(tree.line, f"there is no {what} '{text}'; {did_you_mean(text, names)}")
            return None
        return text

    def _queue(self, spec: Field, tree: Tree) -> Any:
        return self._named(tree, "queue", self._known.queues)

    def _hook(self, spec: Field, tree: Tree) -> Any:
        return self._named(tree, "webhook", self._known.hooks)

    def _flow(self, spec: Field, tree: Tree) -> Any:
        return self._named(tree, "flow", None)

    def _agent(self, spec: Field, tree: Tree) -> Any:
        text = tree.text if isinstance(tree, Scalar) else ""
        if not AGENT.fullmatch(text):
            self._tell(tree.line, f"'{text[:40]}' is not an agent's extension")
            return None
        return text

    def _calendar(self, spec: Field, tree: Tree) -> Any:
        return self._named(tree, "calendar", self._known.calendars)

    def _skills(self, spec: Field, tree: Tree) -> Any:
        if not isinstance(tree, Table):
            self._tell(
                tree.line,
                "a table of skills and levels 1–5 is wanted" + (", not a list" if isinstance(tree, Listing) else ""),
            )
            return None
        found: dict[str, int] = {}
        for name, row in tree.rows.items():
            level = self._bounded(Field(name, "number", low=1, high=5), row, self._is(row, int, "a level from 1 to 5"))
            if self._named(Scalar(tree.lines[name], name, name), "skill", self._known.skills) and level is not None:
                found[name] = level
        return found
