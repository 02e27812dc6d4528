"""Every node type does what its case file says; a type without cases or with a broken example fails here."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from ruamel.yaml import YAML

from core.hours.model import Calendar, Span
from core.hours.public_days import public_days
from core.phrases.wire import to_json
from ivr.flow import waits
from ivr.flow.model import End, FlowFault, Leave, NotProved
from ivr.flow.session import Session
from ivr.loader import load
from ivr.nodes.registry import NODE_TYPES
from ivr.tree import read_tree
from tests.unit.ivr.build import AT, KNOWN, context

CASES = Path(__file__).parent / "cases"
SHOP = Calendar(ZoneInfo("Asia/Shanghai"), ((Span.parse("09:00-18:00"),),) * 7, public_days("CN", [2026]))


def cases() -> list[Any]:
    return [
        pytest.param(kind, case, id=f"{kind}: {case['name']}")
        for kind in NODE_TYPES
        if (CASES / f"{kind}.yaml").exists()
        for case in YAML(typ="safe").load(CASES / f"{kind}.yaml")
    ]


def flow_with(node: dict[str, Any]) -> Any:
    parts = {
        "it": node,
        "out": {"type": "menu", "say": ["menu-main"], "exits": {"1": "it"}},
        "person": {"type": "handoff", "queue": "service"},
    }
    top = {"name": "case", "start": "out", "person": "person", "nodes": parts}
    return load(json.dumps(top, ensure_ascii=False), "case", KNOWN)


@pytest.mark.parametrize("kind", NODE_TYPES)
def test_every_node_type_has_cases_and_a_working_example(kind: str) -> None:
    assert (CASES / f"{kind}.yaml").exists(), f"tests/unit/ivr/cases/{kind}.yaml is missing"
    node_type = NODE_TYPES[kind]
    assert node_type.summary and all(
        field.help or field.required or field.kind in ("number", "seconds") for field in node_type.fields
    )
    example = YAML(typ="safe").load(node_type.example)
    assert example["type"] == kind
    tree, _ = read_tree(node_type.example)
    if "exits" in example:
        example["exits"] = {name: "out" for name in tree.rows["exits"].rows}  # type: ignore[union-attr]
    if "next" in example:
        example["next"] = "out"
    assert flow_with(example).places["it"].kind == kind


@pytest.mark.parametrize("kind", [kind for kind, row in NODE_TYPES.items() if row.exits])
def test_every_exit_stands_in_a_case(kind: str) -> None:
    told = {step.get("exit") for case in YAML(typ="safe").load(CASES / f"{kind}.yaml") for step in case["steps"]}
    assert {spec.name for spec in NODE_TYPES[kind].exits} <= told


@pytest.mark.parametrize(("kind", "case"), cases())
def test_case(kind: str, case: dict[str, Any]) -> None:
    node = case["node"]
    assert node["type"] == kind
    place = flow_with(
        {**node, "exits": {str(k): v for k, v in node["exits"].items()}} if "exits" in node else node
    ).places["it"]
    session = replace(Session("n1-1.1", "case", "v", "4000", "138", "en", "it"), **case.get("session", {}))
    at = datetime.fromisoformat(case["at"]) if "at" in case else AT
    world = context(at, calendars={} if case.get("calendars") == "none" else {"shop": SHOP})
    for step in case["steps"]:
        session = Session.from_json(json.loads(json.dumps(session.to_json())))
        try:
            if "outcome" in step:
                (name, values), *_ = step["outcome"].items()
                turn = place.node.resume(session, getattr(waits, name)(**values), world)
            else:
                turn = place.node.enter(session, world)
        except (FlowFault, NotProved) as fault:
            assert type(fault).__name__ == step.get("raises")
            return
        assert "raises" not in step
        session = turn.session
        if "exit" in step:
            assert turn.then == Leave(step["exit"])
        elif "end" in step:
            assert isinstance(turn.then, End) and turn.then.exit == step["end"]
        else:
            assert type(turn.then).__name__ == step["wait"]
        for field, value in step.get("has", {}).items():
            found = getattr(turn.then, field)
            assert (to_json(found) if isinstance(found, tuple) else found) == value, field
        for field, value in step.get("session", {}).items():
            assert getattr(session, field) == value, field
        if "events" in step:
            assert [event.kind for event in turn.events] == step["events"]
        assert len(turn.reports) == step.get("reports", 0)
