"""A flow's text as a tree in which every value knows its line.

Decides what is acceptable as text, before anybody asks what it means. YAML 1.2 as read by ruamel, from its events: no
recursion, so depth cannot hurt; no aliases and no tags, so nothing can multiply or be made; `no`, `on`, `yes` are words;
a key that stands twice is refused.
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


@dataclass(frozen=True, slots=True)
class Issue:
    """Something to mend: one clear sentence with its place. `line` counts from 1; 0 = the file as a whole."""

    source: str
    line: int
    message: str
    node: str = ""
    field: str = ""

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}" if self.line else self.source
        what = f"node '{self.node}': " if self.node else ""
        return f"{where}: {what}{self.field + ': ' if self.field else ''}{self.message}"


class Refused(Exception):
    """The text cannot be read at all."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(slots=True)
class Scalar:
    line: int
    text: str
    value: str | int | float | bool | None


@dataclass(slots=True)
class Listing:
    line: int
    items: list[Tree] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    line: int
    rows: dict[str, Tree] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    waiting: tuple[str, int] | None = None


Tree = Scalar | Listing | Table


def read_tree(text: str | bytes) -> tuple[Table, list[tuple[int, str]]]:
    """The top table, and (line, sentence) for every key that stands twice. Raises Refused."""
    try:
        whole = text if isinstance(text, str) else text.decode("utf-8")
        size = len(whole.encode("utf-8"))
    except UnicodeError as error:
        raise Refused(0, "the file is not UTF-8 text") from error
    if size > MAX_BYTES:
        raise Refused(0, f"the file has {size} bytes; {MAX_BYTES} are the most a flow may have")
    control = _CONTROL.search(whole)
    if control:
        raise Refused(
            whole.count("\n", 0, control.start()) + 1, f"the character {control.group()!r} cannot stand in a flow"
        )
    parser = YAML(typ="safe", pure=True)
    parser.version = (1, 2)
    try:
        return _build(parser.parse(whole))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Refused(mark.line + 1 if mark else 0, f"not YAML: {error.problem or error.context}") from error
    except (YAMLError, YAMLStreamError, ValueError, RecursionError) as error:
        raise Refused(0, f"not YAML: {str(error).splitlines()[0]}") from error


def _build(events: Iterator[Any]) -> tuple[Table, list[tuple[int, str]]]:
    stack: list[Listing | Table] = []
    top: Tree | None = None
    doubled: list[tuple[int, str]] = []
    values = documents = 0
    for event in events:
        line = event.start_mark.line + 1 if event.start_mark else 0
        documents += isinstance(event, DocumentStartEvent)
        if documents > 1:
            raise Refused(line, "a flow is one document; there is a second one")
        if isinstance(event, MappingEndEvent | SequenceEndEvent):
            top = stack.pop()
            continue
        made = _made(event, line)
        if made is None:
            continue
        values += 1
        if values > MAX_VALUES:
            raise Refused(line, f"more than {MAX_VALUES} values in one flow")
        if stack:
            _put(stack[-1], made, doubled)
        if isinstance(made, Scalar):
            top = made if not stack else top
        else:
            stack.append(made)
            if len(stack) > MAX_DEPTH:
                raise Refused(line, f"nested more than {MAX_DEPTH} deep")
    if not isinstance(top, Table):
        raise Refused(1, "a flow is a table of name, start, person and nodes")
    return top, doubled


def _made(event: Any, line: int) -> Tree | None:
    if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
        raise Refused(line, "anchors and aliases (& and *) are not allowed in flows; write the value out")
    if isinstance(event, MappingStartEvent | SequenceStartEvent | ScalarEvent) and _tagged(event):
        raise Refused(line, f"tags ({_tagged(event)}) are not allowed in flows")
    if isinstance(event, ScalarEvent):
        text = str(event.value)
        return Scalar(line, text, _plain(text) if event.implicit[0] else text)
    if isinstance(event, SequenceStartEvent):
        return Listing(line)
    return Table(line) if isinstance(event, MappingStartEvent) else None


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


def _put(into: Listing | Table, made: Tree, doubled: list[tuple[int, str]]) -> None:
    if isinstance(into, Listing):
        into.items.append(made)
        return
    if into.waiting is None:
        if not isinstance(made, Scalar):
            raise Refused(made.line, "a key is a word, not a list or a table")
        if made.text in into.rows:
            doubled.append((made.line, f"the key '{made.text}' stands twice; first in line {into.lines[made.text]}"))
        into.waiting = (made.text, made.line)
        return
    key, line = into.waiting
    into.waiting = None
    if key not in into.rows:
        into.rows[key], into.lines[key] = made, line
