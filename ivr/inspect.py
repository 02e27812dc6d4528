"""Looks at a flow as a graph: what can never be reached or left, and where a caller would go round without being asked.

Decides nothing about single nodes. Expects that every exit leads to a node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ivr.flow.model import Flow, Place
from ivr.nodes.registry import NODE_TYPES
from ivr.tree import Issue


def exits_of(place: Place) -> tuple[str, ...]:
    """The exits a caller can take: the written ones, then those left unsaid, which lead to the person."""
    node_type = NODE_TYPES[place.kind]
    unsaid = [] if node_type.ends else [spec.name for spec in node_type.exits if spec.name not in place.exits]
    return (*place.exits, *unsaid)


def edges(flow: Flow) -> dict[str, list[str]]:
    """Where each node can lead, unsaid exits (to the person) included."""
    return {
        name: list(dict.fromkeys(place.exits.get(one, flow.person) for one in exits_of(place)))
        for name, place in flow.places.items()
    }


def inspect(flow: Flow, source: str) -> list[Issue]:
    """Errors: unreachable nodes, circles in which nobody is ever asked for a key. Warnings: `doubt.py`."""
    graph = edges(flow)
    reached = reach(graph, [flow.start, flow.person])
    issues = [
        Issue(source, place.line, "no way leads to this node", name)
        for name, place in flow.places.items()
        if name not in reached
    ]
    silent = {name: to for name, to in graph.items() if not NODE_TYPES[flow.places[name].kind].takes_keys}
    for circle in circles(silent):
        waits = any(NODE_TYPES[flow.places[name].kind].waits for name in circle)
        what = "a circle without a key to press" if waits else "a circle without a wait"
        issues.append(Issue(source, flow.places[circle[0]].line, f"{what}: {way(circle)}", circle[0]))
    return issues


def way(circle: list[str]) -> str:
    return " → ".join([*circle, circle[0]])


def dead_ends(flow: Flow, source: str) -> list[Issue]:
    """The first node, in the order of the file, that nobody comes out of. Expects a flow without other faults."""
    graph = edges(flow)
    back: dict[str, list[str]] = {name: [] for name in graph}
    for name, targets in graph.items():
        for to in targets:
            back[to].append(name)
    saved = reach(back, [name for name, place in flow.places.items() if NODE_TYPES[place.kind].ends])
    lost = [name for name in graph if name not in saved]
    return [
        Issue(source, flow.places[name].line, "from here no way leads to a person, a message or the end", name)
        for name in lost[:1]
    ]


def reach(graph: Mapping[str, list[str]], start: Iterable[str]) -> set[str]:
    """Every node that can be come to from `start`, those included."""
    seen: set[str] = set()
    todo = [name for name in start if name in graph]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += graph[name]
    return seen


def circles(graph: Mapping[str, list[str]]) -> list[list[str]]:
    """A shortest circle for each group of nodes that lead to each other. Without recursion, whatever the depth."""
    inner = {name: [to for to in targets if to in graph] for name, targets in graph.items()}
    found: list[list[str]] = []
    told: set[str] = set()
    for name in inner:
        if name in told:
            continue
        circle = _circle(inner, name)
        if circle:
            found.append(circle)
            told |= {other for other in reach(inner, [name]) if name in reach(inner, inner[other])}
    return found


def _circle(graph: Mapping[str, list[str]], name: str) -> list[str]:
    """The shortest way from `name` back to itself, [] when there is none."""
    came: dict[str, str] = {}
    row = [name]
    while row:
        ahead: list[str] = []
        for at in row:
            for to in graph[at]:
                if to == name:
                    way = [at]
                    while way[-1] != name:
                        way.append(came[way[-1]])
                    return way[::-1]
                if to not in came:
                    came[to] = at
                    ahead.append(to)
        row = ahead
    return []
