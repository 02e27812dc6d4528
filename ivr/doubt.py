"""What is allowed in a flow and yet looks like a mistake: warnings, which keep nobody from publishing. Pure.

Errors are found by `loader.py`, `link.py` and `inspect.py`. Each warning says what callers would notice.
"""

from __future__ import annotations

from collections.abc import Iterator

from ivr.flow.model import Flow, Place
from ivr.inspect import circles, edges, exits_of, reach, way
from ivr.nodes.announcement import Announcement
from ivr.nodes.digits import Digits
from ivr.nodes.order_lookup import OrderLookup
from ivr.nodes.percentage import Percentage
from ivr.nodes.registry import NODE_TYPES
from ivr.nodes.set_variable import SetVariable
from ivr.nodes.spoken import Variable
from ivr.tree import Issue

OURS = frozenset(
    {"closed_reason", "holiday", "known", "tier", "queue_name", "queue_waiting", "queue_wait_s", "queue_agents"}
)
WRONG = ("no-input", "no-match")


def doubts(flow: Flow, source: str) -> list[Issue]:
    found = [*_endless_retries(flow), *_closed_queues(flow), *_unset(flow), *_odd(flow)]
    return [Issue(source, flow.places[name].line, text, name, severity="warning") for name, text in found]


def _endless_retries(flow: Flow) -> Iterator[tuple[str, str]]:
    """Circles that a caller who presses nothing, or nothing right, goes round in."""
    graph: dict[str, list[str]] = {}
    for name, place in flow.places.items():
        keys = NODE_TYPES[place.kind].takes_keys
        exits = [one for one in exits_of(place) if not keys or one in WRONG]
        graph[name] = list(dict.fromkeys(place.exits.get(one, flow.person) for one in exits))
    for circle in circles(graph):
        if any(NODE_TYPES[flow.places[name].kind].takes_keys for name in circle):
            yield circle[0], f"whoever presses nothing right goes round without an end: {way(circle)}"


def _closed_queues(flow: Flow) -> Iterator[tuple[str, str]]:
    """Hours with a hole: nothing tells callers that it is closed."""
    graph = edges(flow)
    for name, place in flow.places.items():
        if place.kind != "hours":
            continue
        if place.exits["open"] == place.exits["closed"]:
            yield name, "open and closed lead to the same node, so the hours change nothing"
            continue
        asked = {at for at in graph if NODE_TYPES[flow.places[at].kind].takes_keys}
        onward = {at: ([] if at in asked else to) for at, to in graph.items()}
        waiting = [at for at in reach(onward, [place.exits["closed"]]) if flow.places[at].kind == "handoff"]
        if waiting:
            yield name, f"whoever calls when it is closed comes to the queue at '{min(waiting)}' without being asked"


def _unset(flow: Flow) -> Iterator[tuple[str, str]]:
    """Values that are said or looked up, and that nothing in the flow sets."""
    nodes = [place.node for place in flow.places.values()]
    if any(place.kind == "webhook" for place in flow.places.values()):
        return  # its answer may bring any name
    known = {node.save_as for node in nodes if isinstance(node, Digits)}
    known |= {node.variable for node in nodes if isinstance(node, SetVariable)} | OURS
    orders = any(isinstance(node, OrderLookup) for node in nodes)
    for name, place in flow.places.items():
        for variable, of_an_order in _used(place):
            if variable not in known and not (orders and of_an_order):
                yield name, f"nothing in this flow sets '{variable}'"


def _used(place: Place) -> Iterator[tuple[str, bool]]:
    """Names of values, and whether an order could bring them."""
    for part in getattr(place.node, "parts", ()):
        if isinstance(part, Variable):
            yield part.name, True
    if isinstance(place.node, OrderLookup):
        yield from ((name, False) for name in (place.node.order_no, place.node.second_factor) if name)


def _odd(flow: Flow) -> Iterator[tuple[str, str]]:
    for name, place in flow.places.items():
        node = place.node
        if isinstance(node, Percentage) and node.share in (0, 100):
            yield name, f"a share of {node.share} sends everybody the same way"
        if isinstance(node, Announcement) and node.since and node.until and node.until < node.since:
            yield name, "it is old before it is news: until comes before since"
