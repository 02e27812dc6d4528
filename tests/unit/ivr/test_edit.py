"""One value of a text is changed, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from core.yaml_text import Listing, Scalar, Table, Tree
from ivr.catalogue import SAMPLE
from ivr.edit import NoSuchPlace, changed
from ivr.tree import read_tree

GOOD = SAMPLE.read_text(encoding="utf-8")
VALUES: list[Any] = ["plain", "two words", "a: b", "#", "*", "true", "12", 'say "no"', "退货", "", 7, -1, 0.5, True]


def scalars(tree: Tree, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(tree, Scalar):
        return [path]
    rows = tree.rows.items() if isinstance(tree, Table) else ((str(at), one) for at, one in enumerate(tree.items))
    return [found for key, inner in rows for found in scalars(inner, (*path, key))]


def value_at(text: str, path: tuple[str, ...]) -> object:
    tree: Tree = read_tree(text)[0]
    for step in path:
        tree = tree.items[int(step)] if isinstance(tree, Listing) else tree.rows[step]  # type: ignore[union-attr]
    assert isinstance(tree, Scalar)
    return tree.value


def test_every_value_of_the_sample_can_be_changed_and_the_rest_stays_to_the_letter() -> None:
    paths = scalars(read_tree(GOOD)[0])
    assert len(paths) >= 100
    for at, path in enumerate(paths[::8]):
        value = VALUES[at % len(VALUES)]
        text = changed(GOOD, path, value)
        assert value_at(text, path) == value and type(value_at(text, path)) is type(value)
        same = sum(one == other for one, other in zip(GOOD.splitlines(), text.splitlines(), strict=True))
        assert same >= len(GOOD.splitlines()) - 1
        assert [line for line in text.splitlines() if "#" in line and line.startswith(("#", "  #"))] == [
            line for line in GOOD.splitlines() if "#" in line and line.startswith(("#", "  #"))
        ]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (["nodes", "mian", "tries"], "there is no 'mian' in nodes; did you mean 'main'?"),
        (["nodes", "main", "say", "9"], "there is no '9' in nodes.main.say"),
        (["nodes", "main"], "nodes.main is no single value"),
        (["start", "x"], "there is no 'x' in start; there are none"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_stops(path: list[str], told: str) -> None:
    with pytest.raises(NoSuchPlace) as error:
        changed(GOOD, path, 1)
    assert told in str(error.value)
