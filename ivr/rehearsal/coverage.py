"""Which nodes and exits of a flow the scenarios have been through. Pure.

Counts every exit a caller can take: those that are written, and those that are not and so lead to the person.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ivr.flow.model import Flow, Passage
from ivr.inspect import exits_of


@dataclass(frozen=True, slots=True)
class Coverage:
    """`missed_exits`: (node, exit), in the order of the file."""

    nodes: int
    exits: int
    missed_nodes: tuple[str, ...]
    missed_exits: tuple[tuple[str, str], ...]

    @property
    def whole(self) -> bool:
        return not self.missed_nodes and not self.missed_exits

    def __str__(self) -> str:
        nodes = f"{self.nodes - len(self.missed_nodes)} of {self.nodes} nodes"
        return f"{nodes}, {self.exits - len(self.missed_exits)} of {self.exits} exits"


def cover(flow: Flow, trails: Iterable[tuple[Passage, ...]]) -> Coverage:
    passed = [passage for trail in trails for passage in trail]
    entered = {passage.to for passage in passed}
    left = {(passage.node, passage.exit) for passage in passed}
    exits = [(name, exit_name) for name, place in flow.places.items() for exit_name in exits_of(place)]
    return Coverage(
        len(flow.places),
        len(exits),
        tuple(name for name in flow.places if name not in entered),
        tuple(one for one in exits if one not in left),
    )
