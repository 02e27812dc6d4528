"""A flow as a picture in text: Mermaid or DOT. Pure; `aftercall flows graph` prints it."""

from __future__ import annotations

from collections.abc import Iterator

from ivr.flow.model import Flow
from ivr.inspect import exits_of
from ivr.nodes.registry import NODE_TYPES


def mermaid(flow: Flow) -> str:
    """For Markdown pages and the like: https://mermaid.js.org/syntax/flowchart.html."""
    # Names may hold words that Mermaid keeps for itself (end, default), so nodes are numbered.
    number = {name: f"n{at}" for at, name in enumerate(flow.places)}
    rows = ["flowchart TD", f'  begin(["{flow.name}"]) --> {number[flow.start]}']
    for name, place in flow.places.items():
        left, right = ("([", "])") if NODE_TYPES[place.kind].ends else ("[", "]")
        rows.append(f'  {number[name]}{left}"{name}<br/><small>{place.kind}</small>"{right}')
    rows += [
        f'  {number[name]} {"-->" if said else "-.->"}|"{labels}"| {number[to]}'
        for name, to, labels, said in _arrows(flow)
    ]
    return "\n".join(rows) + "\n"


def dot(flow: Flow) -> str:
    """For Graphviz."""
    rows = ["digraph flow {", "  rankdir=TB;", "  node [shape=box];", f'  begin [label="{flow.name}", shape=oval];']
    for name, place in flow.places.items():
        shape = ", shape=oval" if NODE_TYPES[place.kind].ends else ""
        rows.append(f'  "{name}" [label="{name}\\n({place.kind})"{shape}];')
    rows.append(f'  begin -> "{flow.start}";')
    rows += [
        f'  "{name}" -> "{to}" [label="{labels}"{"" if said else ", style=dashed"}];'
        for name, to, labels, said in _arrows(flow)
    ]
    return "\n".join([*rows, "}"]) + "\n"


def _arrows(flow: Flow) -> Iterator[tuple[str, str, str, bool]]:
    """From, to, the exits in one label, and whether they are written; what is left unsaid leads to the person."""
    for name, place in flow.places.items():
        grouped: dict[tuple[str, bool], list[str]] = {}
        for exit_name in exits_of(place):
            said = exit_name in place.exits
            grouped.setdefault((place.exits.get(exit_name, flow.person), said), []).append(exit_name)
        for (to, said), exits in grouped.items():
            yield name, to, ", ".join(exits), said
