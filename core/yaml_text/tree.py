"""A text people wrote (a flow, a policy) as a tree in which every value knows its line and column.

Decides what is acceptable as text, before anybody asks what it means. YAML 1.2 as read by ruamel, from its events: no
recursion, so depth cannot hurt; no aliases and no tags, so nothing can multiply or be made; `no`, `on`, `yes` are words;
a key that stands twice is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError, YAMLStreamError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_BYTES = 256 * 1024
MAX_DEPTH = 12
MAX_VALUES = 20_000
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_WORDS: dict[str, Any] = {"true": True, "True": True, "false": False, "False": False, "null": None, "~": None, "": None}


class Refused(Exception):
    """The text cannot be read at all. `line` and `column` count from 1; 0 = the text as a whole."""

    def __init__(self, line: int, message: str, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.message = message
        self.column = column


@dataclass(slots=True)
class Scalar:
    line: int
    text: str
    value: str | int | float | bool | None
    column: int = 0


@dataclass(slots=True)
class Listing:
    line: int
    items: list[Tree] = field(default_factory=list)
    column: int = 0


@dataclass(slots=True)
class Table:
    """`lines` and `columns`: where each key stands."""

    line: int
    rows: dict[str, Tree] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    waiting: tuple[str, int] | None = None
    column: int = 0
    columns: dict[str, int] = field(default_factory=dict)


Tree = Scalar | Listing | Table


@dataclass(frozen=True, slots=True)
class Doubled:
    """A key that stands twice in one table; the first one counts. `path` leads to it, such as `a.b[1].key`."""

    line: int
    column: int
    key: str
    first_line: int
    path: str

    @property
    def message(self) -> str:
        return f"the key '{self.key}' stands twice; first in line {self.first_line}"


def read_tree(text: str | bytes, what: str = "the text", shape: str = "") -> tuple[Table, list[Doubled]]:
    """The top table, and every key that stands twice. `what` ("a flow") and `shape` ("a table of …") are said in faults.
    Raises Refused."""
    try:
        whole = text if isinstance(text, str) else text.decode("utf-8")
        size = len(whole.encode("utf-8"))
    except UnicodeError as error:
        raise Refused(0, "the file is not UTF-8 text") from error
    if size > MAX_BYTES:
        raise Refused(0, f"the file has {size} bytes; {MAX_BYTES} are the most {what} may have")
    control = _CONTROL.search(whole)
    if control:
        line = whole.count("\n", 0, control.start()) + 1
        column = control.start() - whole.rfind("\n", 0, control.start())
        raise Refused(line, f"the character {control.group()!r} cannot stand in {what}", column)
    parser = YAML(typ="safe", pure=True)
    parser.version = (1, 2)
    try:
        return _Building(what, shape or "a table").build(parser.parse(whole))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise Refused(at, f"not YAML: {error.problem or error.context}", column) from error
    except (YAMLError, YAMLStreamError, ValueError, RecursionError) as error:
        raise Refused(0, f"not YAML: {str(error).splitlines()[0]}") from error


class _Building:
    def __init__(self, what: str, shape: str) -> None:
        self._what = what
        self._shape = shape
        self._stack: list[Listing | Table] = []
        self._steps: list[str | int] = []  # the key or number under which each of the stack stands; "" = the top
        self._doubled: list[Doubled] = []

    def build(self, events: Iterator[Any]) -> tuple[Table, list[Doubled]]:
        stack = self._stack
        top: Tree | None = None
        values = documents = 0
        for event in events:
            mark = event.start_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            documents += isinstance(event, DocumentStartEvent)
            if documents > 1:
                raise Refused(line, f"{self._what} is one document; there is a second one", column)
            if isinstance(event, MappingEndEvent | SequenceEndEvent):
                top = stack.pop()
                self._steps.pop()
                continue
            made = self._made(event, line, column)
            if made is None:
                continue
            values += 1
            if values > MAX_VALUES:
                raise Refused(line, f"more than {MAX_VALUES} values in {self._what}", column)
            step = self._put(stack[-1], made) if stack else ""
            if isinstance(made, Scalar):
                top = made if not stack else top
            else:
                stack.append(made)
                self._steps.append(step)
                if len(stack) > MAX_DEPTH:
                    raise Refused(line, f"nested more than {MAX_DEPTH} deep", column)
        if not isinstance(top, Table):
            raise Refused(1, f"{self._what} is {self._shape}", 1)
        return top, self._doubled

    def _made(self, event: Any, line: int, column: int) -> Tree | None:
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise Refused(
                line, f"anchors and aliases (& and *) are not allowed in {self._what}; write the value out", column
            )
        if isinstance(event, MappingStartEvent | SequenceStartEvent | ScalarEvent) and _tagged(event):
            raise Refused(line, f"tags ({_tagged(event)}) are not allowed in {self._what}", column)
        if isinstance(event, ScalarEvent):
            text = str(event.value)
            return Scalar(line, text, _plain(text) if event.implicit[0] else text, column)
        if isinstance(event, SequenceStartEvent):
            return Listing(line, column=column)
        return Table(line, column=column) if isinstance(event, MappingStartEvent) else None

    def _put(self, into: Listing | Table, made: Tree) -> str | int:
        """Returns the key or number under which it stands; "" for a key."""
        if isinstance(into, Listing):
            into.items.append(made)
            return len(into.items) - 1
        if into.waiting is None:
            if not isinstance(made, Scalar):
                raise Refused(made.line, "a key is a word, not a list or a table", made.column)
            key = made.text
            if key in into.rows:
                self._doubled.append(Doubled(made.line, made.column, key, into.lines[key], self._path(key)))
            else:
                into.columns[key] = made.column
            into.waiting = (key, made.line)
            return ""
        key, line = into.waiting
        into.waiting = None
        if key not in into.rows:
            into.rows[key], into.lines[key] = made, line
        return key

    def _path(self, key: str) -> str:
        path = ""
        for step in self._steps[1:]:
            path = f"{path}[{step}]" if isinstance(step, int) else joined(path, step)
        return joined(path, key)


def joined(path: str, key: str) -> str:
    """`path.key`; a key that is no plain word is quoted."""
    step = key if re.fullmatch(r"[\w-]{1,64}", key) else repr(key[:60])
    return f"{path}.{step}" if path else step


def _tagged(event: Any) -> str:
    tag = getattr(event, "tag", None) or getattr(event, "ctag", None)
    return str(tag) if tag and str(tag) != "None" else ""


def _plain(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        found: bool | None = _WORDS[text]
        return found
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
