"""Changes one value in a flow's text and leaves every other character as it was: comments, order, layout. Pure.

Does not judge the result: whoever changes a text reads it afterwards, as any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import ScalarEvent

from core.yaml_text import Listing, Scalar, Table, Tree
from core.yaml_text.words import did_you_mean
from ivr.tree import read_tree

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


class NoSuchPlace(Exception):
    """The path leads to no single value; the text says where it stops."""


def changed(text: str, path: Sequence[str], value: str | int | float | bool) -> str:
    """The text with `value` at `path` (`["nodes", "main", "tries"]`; numbers count a list from 0). Raises NoSuchPlace, and
    Refused for a text that cannot be read."""
    top, _ = read_tree(text)
    at = _find(top, path)
    for start, end, line, column in _spans(text):
        if (line, column) == (at.line, at.column):
            return text[:start] + _written(value) + text[end:]
    raise NoSuchPlace(".".join(path))


def _find(top: Tree, path: Sequence[str]) -> Scalar:
    tree = top
    for depth, step in enumerate(path):
        inner: Tree | None = None
        there: list[str] = []
        if isinstance(tree, Table):
            inner, there = tree.rows.get(step), list(tree.rows)
        elif isinstance(tree, Listing):
            there = [str(number) for number in range(len(tree.items))]
            inner = tree.items[int(step)] if step in there else None
        if inner is None:
            before = ".".join(path[:depth]) or "the flow"
            raise NoSuchPlace(f"there is no '{step[:60]}' in {before}; {did_you_mean(step, there)}")
        tree = inner
    if not isinstance(tree, Scalar):
        raise NoSuchPlace(f"{'.'.join(path) or 'the flow'} is no single value")
    if tree.text == "" and tree.value is None:
        raise NoSuchPlace(f"{'.'.join(path)} has no value that could be changed")
    return tree


def _spans(text: str) -> Iterator[tuple[int, int, int, int]]:
    """Where each scalar begins and ends, with its line and column as the tree counts them."""
    parser = YAML(typ="safe", pure=True)
    parser.version = (1, 2)
    events: Any = parser.parse(text)
    for event in events:
        if isinstance(event, ScalarEvent):
            start, end = event.start_mark, event.end_mark
            yield start.index, end.index, start.line + 1, start.column + 1


def _written(value: str | int | float | bool) -> str:
    """As YAML that reads as the same value wherever it stands, also inside {} and []."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    plain = _PLAIN.fullmatch(value) and value not in ("true", "True", "false", "False", "null")
    return value if plain else json.dumps(value, ensure_ascii=False)
