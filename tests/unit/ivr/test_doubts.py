"""What looks like a mistake is told and published all the same; what nobody can come out of is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ivr.catalogue import SAMPLE
from ivr.check import check_text, flows_beside
from ivr.loader import FlowRefused, load
from tests.unit.ivr.build import KNOWN

TOP = "name: x\nstart: a\nperson: person\nnodes:\n"
END = "  person: {type: handoff, queue: service}\n"


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ("  a: {type: menu, say: [menu-main], exits: {1: person, no-input: a}}\n",
         "f:5: warning: node 'a': whoever presses nothing right goes round without an end: a → a"),
        ("  a: {type: menu, say: [menu-main], exits: {1: person, no-match: b}}\n  b: {type: say, say: [goodbye], next: a}\n",
         "f:5: warning: node 'a': whoever presses nothing right goes round without an end: a → b → a"),
        ("  a: {type: hours, calendar: shop, exits: {open: person, closed: b}}\n  b: {type: say, say: [closed], next: person}\n",
         "f:5: warning: node 'a': whoever calls when it is closed comes to the queue at 'person' without being asked"),
        ("  a: {type: hours, calendar: shop, exits: {open: b, closed: b}}\n  b: {type: voicemail}\n",
         "f:5: warning: node 'a': open and closed lead to the same node, so the hours change nothing"),
        ("  a: {type: say, say: [{digits: code}], next: person}\n",
         "f:5: warning: node 'a': nothing in this flow sets 'code'"),
        ("  a: {type: order_lookup, order_no: no_, filler: [one-moment], exits: {found: person}}\n",
         "f:5: warning: node 'a': nothing in this flow sets 'no_'"),
        ("  a: {type: percentage, share: 100, exits: {chosen: person, rest: person}}\n",
         "f:5: warning: node 'a': a share of 100 sends everybody the same way"),
        ("  a: {type: announcement, say: [closed], since: 2026-12-01, until: 2026-11-01, next: person}\n",
         "f:5: warning: node 'a': it is old before it is news: until comes before since"),
    ],
)  # fmt: skip
def test_what_looks_like_a_mistake_is_told_with_its_line_and_keeps_nobody_from_publishing(
    nodes: str, told: str
) -> None:
    text = TOP + nodes + END
    assert [str(issue) for issue in check_text(text, "f", KNOWN)] == [told]
    assert load(text, "f", KNOWN).name == "x"


@pytest.mark.parametrize(
    "nodes",
    [
        "  a: {type: menu, say: [menu-main], exits: {1: person, no-input: person, no-match: b}}\n  b: {type: voicemail}\n",
        "  a: {type: hours, calendar: shop, exits: {open: person, closed: b}}\n  b: {type: voicemail}\n",
        "  a: {type: digits, say: [goodbye], save_as: code, next: b}\n  b: {type: say, say: [{digits: code}], next: person}\n",
        "  a: {type: webhook, hook: h, exits: {ok: b}}\n  b: {type: say, say: [{number: points}], next: person}\n",
    ],
)
def test_what_is_as_it_should_be_is_not_doubted(nodes: str) -> None:
    assert check_text(TOP + nodes + END, "f", KNOWN) == []


def test_a_part_that_nobody_comes_out_of_is_refused() -> None:
    exits = "{1: b, 0: a, no-input: b, no-match: a}"
    nodes = f"  a: {{type: menu, say: [menu-main], exits: {exits}}}\n  b: {{type: menu, say: [menu-main], exits: {exits}}}\n"
    with pytest.raises(FlowRefused, match="f:5: node 'a': from here no way leads to a person, a message or the end"):
        load(TOP + nodes + END, "f", KNOWN)


def test_the_shipped_flows_raise_no_doubt() -> None:
    for file in SAMPLE.parent.glob("*.yaml"):
        if not file.name.endswith(".cases.yaml"):
            assert check_text(file.read_bytes(), file.name, replace(KNOWN, flow=flows_beside(file.parent))) == []
