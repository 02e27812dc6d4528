"""Puts other flows in the place of the `flow` nodes that name them. Pure.

Invariants: names of nodes stay unique (`NODE.NAME`); what cannot be reached in the other flow is left out, its person too,
because a call has one person: that of the outer flow; the version covers every text that is in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from core.yaml_text.words import did_you_mean
from ivr.flow.model import Flow, Place
from ivr.inspect import exits_of, reach
from ivr.nodes.back import Back
from ivr.nodes.subflow import BEGIN, SubFlow
from ivr.tree import Issue

MOST_PLACES = 400


def link(flow: Flow, source: str, flow_named: Callable[[str], Flow | None] | None) -> tuple[Flow, list[Issue]]:
    """The whole flow, and what is wrong with the way others are used. Without `flow_named` nobody knows other flows."""
    issues: list[Issue] = []
    places: dict[str, Place] = {}
    versions: list[str] = []
    for name, place in flow.places.items():
        if not isinstance(place.node, SubFlow):
            places[name] = place
            continue
        other = flow_named(place.node.flow) if flow_named else None
        problem = _problem(flow, place.node.flow, place, other)
        if other is None or problem:
            issues.append(Issue(source, place.line, problem, name, "flow"))
            places[name] = replace(place, exits=MappingProxyType({BEGIN: flow.person}))
            continue
        versions.append(other.version)
        places |= _inlined(name, place, other, flow.person)
    if len(places) > MOST_PLACES:
        issues.append(Issue(source, 1, f"with all that it goes through, the flow has more than {MOST_PLACES} nodes"))
    version = (
        hashlib.sha256(" ".join([flow.version, *versions]).encode()).hexdigest()[:12] if versions else flow.version
    )
    return replace(flow, places=MappingProxyType(places), version=version), issues


def is_own(name: str) -> bool:
    """Whether a node stands in the flow's own text."""
    return "." not in name


def is_way_out(flow: Flow, name: str) -> bool:
    """Whether it is where a flow that this one goes through returns."""
    return name.count(".") == 1 and isinstance(flow.places[name].node, Back)


def _problem(flow: Flow, named: str, place: Place, other: Flow | None) -> str:
    if named == flow.name:
        return "a flow cannot go through itself; lead an exit to its start"
    if other is None:
        return f"there is no flow '{named}'; publish it first"
    if set(flow.languages) - set(other.languages):
        return f"the flow '{named}' does not speak {', '.join(sorted(set(flow.languages) - set(other.languages)))}"
    results = {one.node.result for one in other.places.values() if isinstance(one.node, Back) and not one.exits}
    unknown = sorted(set(place.exits) - results)
    if unknown:
        return f"the flow '{named}' does not return '{unknown[0]}'; {did_you_mean(unknown[0], results)}"
    return ""


def _inlined(name: str, place: Place, other: Flow, person: str) -> Mapping[str, Place]:
    def inner(node: str) -> str:
        return f"{name}.{node}"

    graph = {at: [one.exits[x] for x in exits_of(one) if x in one.exits] for at, one in other.places.items()}
    reached = reach(graph, [other.start])
    found = {name: replace(place, exits=MappingProxyType({BEGIN: inner(other.start)}))}
    for at, one in other.places.items():
        if at not in reached:
            continue
        if isinstance(one.node, Back) and not one.exits:
            exits = {"next": place.exits.get(one.node.result, person)}
        else:
            exits = {exit_name: inner(to) for exit_name, to in one.exits.items()}
        found[inner(at)] = replace(one, exits=MappingProxyType(exits), line=place.line)
    return found
