"""The smallest thing that matches: first come, first served; the longest idle. To test the loop of virtual time alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from routing.model import WorkItem
from routing.policy.model import Policy
from routing.wish import Wish, program


@dataclass(frozen=True)
class Pair:
    interaction_id: str
    extension: str


class PlainPool:
    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.items: dict[str, tuple[float, Wish]] = {}
        self.agents: dict[str, tuple[float, Mapping[str, int], frozenset[str]]] = {}

    def put(self, item: WorkItem, since: float, now: float) -> None:
        self.items[item.interaction_id] = (since, program(item, self.policy).stages[0].wish)

    def drop(self, interaction_id: str) -> None:
        self.items.pop(interaction_id, None)

    def free(
        self, extension: str, skills: Mapping[str, int], teams: frozenset[str], now: float, *, idle_since: float,
        occupancy: float = 0.0,
    ) -> None:  # fmt: skip
        self.agents[extension] = (idle_since, skills, teams)

    def busy(self, extension: str) -> None:
        self.agents.pop(extension, None)

    def settle(self, now: float) -> list[Pair]:
        made = []
        for ix, (_, wish) in sorted(self.items.items(), key=lambda it: (it[1][0], it[0])):
            for extension, (_, skills, teams) in sorted(self.agents.items(), key=lambda it: (it[1][0], it[0])):
                if wish.met_by(extension, skills, teams):
                    made.append(Pair(ix, extension))
                    del self.items[ix], self.agents[extension]
                    break
        return made

    def next_widening(self) -> float | None:
        return None
