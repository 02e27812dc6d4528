"""The published schema says yes to every flow that can be read, and no to what cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from core.yaml_text import Listing, Scalar, Tree, read_tree
from ivr.catalogue import SAMPLE
from ivr.nodes.registry import NODE_TYPES
from ivr.schema import schema

CHECK = jsonschema_rs.validator_for(schema())
NODE = jsonschema_rs.validator_for({**schema()["$defs"]["node"], "$defs": schema()["$defs"]})
FLOWS = [file for file in sorted(SAMPLE.parent.glob("*.yaml")) if not file.name.endswith(".cases.yaml")]


def plain(tree: Tree) -> Any:
    if isinstance(tree, Scalar):
        return tree.value
    if isinstance(tree, Listing):
        return [plain(item) for item in tree.items]
    return {key: plain(value) for key, value in tree.rows.items()}


def told(file: Path) -> list[str]:
    return [error.message for error in CHECK.iter_errors(plain(read_tree(file.read_bytes())[0]))]


def test_it_is_a_schema() -> None:
    assert jsonschema_rs.meta.is_valid(schema())


@pytest.mark.parametrize("file", FLOWS, ids=lambda file: file.stem)
def test_shipped_flows_fit(file: Path) -> None:
    assert told(file) == []


@pytest.mark.parametrize("kind", NODE_TYPES)
def test_every_example_and_every_case_fits(kind: str) -> None:
    nodes = [plain(read_tree(NODE_TYPES[kind].example)[0])]
    cases = YAML(typ="safe").load(Path(__file__).parent / "cases" / f"{kind}.yaml")
    nodes += [
        {**case["node"], "exits": {str(k): v for k, v in case["node"].get("exits", {}).items()}} for case in cases
    ]
    for node in nodes:
        assert [error.message for error in NODE.iter_errors(node)] == [], node


@pytest.mark.parametrize(
    "name",
    ["unknown-type", "unknown-keys", "numbers-out-of-bounds", "menu-key-of-two-digits", "unknown-language", "path-as-prompt",
     "unknown-exits", "skills-out-of-bounds", "word-no-is-not-false", "word-on-is-not-true", "nothing-to-say"],
)  # fmt: skip
def test_bad_flows_do_not_fit(name: str) -> None:
    assert told(Path(__file__).parent / "bad" / f"{name}.yaml") != []
