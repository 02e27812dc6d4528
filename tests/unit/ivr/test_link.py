"""A flow that goes through another: one flow afterwards, on one version, with one person."""

from __future__ import annotations

import pytest

from core.clock import ManualClock
from core.events.ivr import FlowPublished
from ivr.catalogue import FlowCatalogue
from ivr.cel import Expressions
from ivr.loader import FlowRefused, load
from ivr.nodes.form import Known
from ivr.rehearsal.call import Call, calls
from ivr.rehearsal.model import World
from tests.unit.ivr.build import AT, KNOWN, PART, Events

OUTER = """\
name: outer
start: hello
person: person
nodes:
  hello: {type: say, say: [welcome], next: ask}
  ask: {type: flow, flow: part, exits: {done: main}}
  main: {type: menu, say: [menu-main], exits: {1: ask}}
  person: {type: handoff, queue: express}
"""


def way(call: Call) -> list[str]:
    return [passage.to for passage in call.trail]


def call(*keys: str) -> Call:
    begun = calls(load(OUTER, "outer.yaml", KNOWN), World(), Expressions().evaluate)
    for one in keys:
        begun = begun.presses(one)
    return begun.to_question()


def test_a_caller_goes_through_the_other_flow_and_on() -> None:
    assert way(call("*")) == ["hello", "ask", "ask.ask", "ask.back", "main"]
    assert way(call("*", "1", "*")) == [
        "hello",
        "ask",
        "ask.ask",
        "ask.back",
        "main",
        "ask",
        "ask.ask",
        "ask.back",
        "main",
    ]


def test_an_exit_that_is_not_written_leads_to_the_person_of_the_outer_flow() -> None:
    assert way(call("0")) == ["hello", "ask", "ask.ask", "ask.give-up", "person"]
    assert way(call("5")) == ["hello", "ask", "ask.ask", "person"]


def test_the_inner_person_is_left_out_and_the_version_covers_both_texts() -> None:
    flow = load(OUTER, "outer.yaml", KNOWN)
    assert list(flow.places) == ["hello", "ask", "ask.ask", "ask.back", "ask.give-up", "main", "person"]
    other = Known(flow=lambda _: load(PART.replace("tries: 1", "tries: 2"), "part.yaml"))
    assert load(OUTER, "outer.yaml", other).version != flow.version
    alone = load(PART, "part.yaml")
    assert way(calls(alone, World(), Expressions().evaluate).presses("*").to_question()) == ["ask", "back", "help"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("flow: part", "flow: outer", "o:6: node 'ask': flow: a flow cannot go through itself"),
        ("flow: part", "flow: nobody", "o:6: node 'ask': flow: there is no flow 'nobody'; publish it first"),
        ("{done: main}", "{done: main, dine: main}",
         "o:6: node 'ask': flow: the flow 'part' does not return 'dine'; did you mean 'done'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_going_through_another_is_told(old: str, new: str, told: str) -> None:
    with pytest.raises(FlowRefused) as refused:
        load(OUTER.replace(old, new), "o", KNOWN)
    assert any(str(issue).startswith(told) for issue in refused.value.issues)


def test_a_circle_through_another_flow_without_a_key_is_found() -> None:
    nodes = "  a: {type: say, say: [welcome], next: b}\n  b: {type: return}\n  p: {type: voicemail}\n"
    silent = f"name: part\nstart: a\nperson: p\nnodes:\n{nodes}"
    known = Known(flow=lambda _: load(silent, "part.yaml"))
    with pytest.raises(FlowRefused, match="a circle without a key to press: ask → ask.a → ask.b"):
        load(OUTER.replace("exits: {done: main}", "exits: {done: ask}"), "o", known)


def test_the_catalogue_knows_what_is_published() -> None:
    events = Events()
    catalogue = FlowCatalogue({}, events, ManualClock(AT))
    with pytest.raises(FlowRefused, match="there is no flow 'part'"):
        catalogue.publish(OUTER, "outer.yaml")
    catalogue.publish(PART, "part.yaml")
    first = catalogue.publish(OUTER, "outer.yaml")
    catalogue.publish(PART.replace("tries: 1", "tries: 2"), "part.yaml")
    assert catalogue.current("outer") is first, (
        "calls and numbers keep what they have until the outer flow is published"
    )
    assert catalogue.publish(OUTER, "outer.yaml").version != first.version
    assert [event.flow for event in events.of(FlowPublished)] == ["part", "outer", "part", "outer"]
