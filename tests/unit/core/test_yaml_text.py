"""YAML that people write: every value knows its place, and nothing in it can hurt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.yaml_text import Listing, Refused, Scalar, Table, Tree, read_tree
from tests.lots import lots

TEXT = """# a comment
a: 1
b:
  - x
  - {c: true, 'd e': "no"}
"""


def places(tree: Tree) -> list[tuple[str, int, int]]:
    if isinstance(tree, Scalar):
        return [(tree.text, tree.line, tree.column)]
    inner = tree.items if isinstance(tree, Listing) else tree.rows.values()
    keys = [] if isinstance(tree, Listing) else [(key, tree.lines[key], tree.columns[key]) for key in tree.rows]
    return [*keys, *(place for one in inner for place in places(one))]


def test_every_key_and_value_knows_its_line_and_column() -> None:
    top, doubled = read_tree(TEXT)
    assert doubled == []
    assert sorted(places(top), key=lambda place: place[1:]) == [
        ("a", 2, 1), ("1", 2, 4), ("b", 3, 1), ("x", 4, 5), ("c", 5, 6), ("true", 5, 9), ("d e", 5, 15), ("no", 5, 22),
    ]  # fmt: skip
    lines = TEXT.splitlines()
    for text, line, column in places(top):
        assert lines[line - 1][column - 1 :].lstrip("'\"").startswith(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("yes", "yes"), ("true", True), ("False", False), ("", None), ("~", None), ("7", 7),
        ("-7", -7), ("0x10", "0x10"), ("1_000", "1_000"), ("1.5", 1.5), ("1.0e-06", 1e-06), ("1e3", "1e3"), (".inf", ".inf"),
        ("2026-11-24", "2026-11-24"), ("'7'", "7"), ('"true"', "true"), ("12:30", "12:30"),
    ],
)  # fmt: skip
def test_a_word_is_a_word_unless_it_can_only_be_meant_as_something_else(text: str, value: Any) -> None:
    top, _ = read_tree(f"a: {text}")
    found = top.rows["a"]
    assert isinstance(found, Scalar) and found.value == value and type(found.value) is type(value)


def test_a_key_that_stands_twice_is_told_with_the_way_to_it_and_the_first_counts() -> None:
    top, doubled = read_tree("a: {x: 1}\na:\n  - {y: 1, y: 2}\n'b c': [[{z: 1, z: 2}]]\n")
    assert [(one.path, one.line, one.column, one.first_line) for one in doubled] == [
        ("a", 2, 1, 1), ("a[0].y", 3, 12, 3), ("'b c'[0][0].z", 4, 17, 4),
    ]  # fmt: skip
    first = top.rows["a"]
    assert isinstance(first, Table) and list(first.rows) == ["x"]
    assert doubled[0].message == "the key 'a' stands twice; first in line 1"


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("a: &x 1", 1, 4, "anchors and aliases (& and *) are not allowed in a menu"),
        ("a: 1\nb: *x", 2, 4, "anchors and aliases"),
        ("a: !!set {}", 1, 4, "tags"),
        ("a: 1\nb: x\x07y", 2, 5, "the character '\\x07' cannot stand in a menu"),
        ("a: 1\n---\nb: 1", 2, 1, "a menu is one document"),
        ("? [a]\n: 1", 1, 3, "a key is a word"),
        ("7", 1, 1, "a menu is a table of dishes"),
        ("a: [1", 1, 6, "not YAML"),
    ],
    ids=lambda it: str(it)[:20],
)
def test_what_cannot_be_read_is_refused_at_its_place(text: str, line: int, column: int, part: str) -> None:
    with pytest.raises(Refused) as caught:
        read_tree(text, "a menu", "a table of dishes")
    assert part in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)


@settings(max_examples=lots(300))
@given(st.text(st.sampled_from("ab:-,[]{}'\"#&*!|>%@ \n\t?~0.1é\U0001f600")) | st.text() | st.binary())
def test_any_text_is_read_or_refused_and_never_anything_else(text: str | bytes) -> None:
    try:
        read_tree(text)
    except Refused as refused:
        assert refused.message and "\n" not in refused.message
