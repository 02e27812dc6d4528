"""Which nodes and exits of a flow the scenarios have been through. Pure.

Counts every exit a caller can take: those that are written, and those that are not and so lead to the person. Of another flow
that is gone through, only the ways out of it count; what is inside has scenarios of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ivr.flow.model import Flow, Passage
from ivr.inspect import exits_of
from ivr.link import is_own, is_way_out


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
    own = [name for name in flow.places if is_own(name)]
    counted = [name for name in flow.places if is_own(name) or is_way_out(flow, name)]
    exits = [(name, exit_name) for name in counted for exit_name in exits_of(flow.places[name])]
    return Coverage(
        len(own),
        len(exits),
        tuple(name for name in own if name not in entered),
        tuple(one for one in exits if one not in left),
    )
