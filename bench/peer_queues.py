"""What a switch's own queues do, in virtual time: one line for each queue, agents in as many queues as they have skills.

Each queue knows its own members' last calls alone (`leastrecent`), its own turn (`rrmemory`), or nothing (`random`). A free
agent goes to the head of one of their queues by chance, as whose caller looks next: queues know nothing of each other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from routing.model import WorkItem

STRATEGIES = ("rrmemory", "leastrecent", "random")


@dataclass(frozen=True, slots=True)
class Pair:
    interaction_id: str
    extension: str


class PeerQueues:
    """The verbs of `routing.pool.Pool`. Skill = queue of the same name; levels are not known."""

    def __init__(self, strategy: str, seed: int) -> None:
        self._strategy, self._chance = strategy, Random(seed)
        self._lines: dict[str, OrderedDict[str, None]] = {}
        self._queue_of: dict[str, str] = {}
        self._free: dict[str, Mapping[str, int]] = {}
        self._free_in: dict[str, dict[str, None]] = {}
        self._last: dict[tuple[str, str], float] = {}  # queue, agent → when they were last given a call of it
        self._turn: dict[str, str] = {}
        self._news: list[tuple[bool, str]] = []

    def put(self, item: WorkItem, since: float, now: float) -> None:
        self._lines.setdefault(item.queue, OrderedDict())[item.interaction_id] = None
        self._queue_of[item.interaction_id] = item.queue
        self._news.append((True, item.queue))

    def drop(self, interaction_id: str) -> None:
        queue = self._queue_of.pop(interaction_id, None)
        if queue is not None:
            del self._lines[queue][interaction_id]

    def free(
        self, extension: str, skills: Mapping[str, int], teams: frozenset[str], now: float, *, idle_since: float,
        occupancy: float = 0.0,
    ) -> None:  # fmt: skip
        self._free[extension] = skills
        for skill in skills:
            self._free_in.setdefault(skill, {})[extension] = None
        self._news.append((False, extension))

    def busy(self, extension: str) -> None:
        for skill in self._free.pop(extension, {}):
            del self._free_in[skill][extension]

    def settle(self, now: float) -> list[Pair]:
        made = []
        for is_item, name in self._news:
            if is_item and self._lines[name] and self._free_in.get(name):
                made.append(self._join(name, self._member(name), now))
            elif not is_item and name in self._free:
                queues = [skill for skill in self._free[name] if self._lines.get(skill)]
                if queues:
                    made.append(self._join(self._chance.choice(queues), name, now))
        self._news.clear()
        return made

    def next_widening(self) -> float | None:
        return None

    def _member(self, queue: str) -> str:
        members = self._free_in[queue]
        if self._strategy == "random":
            return self._chance.choice(list(members))
        if self._strategy == "leastrecent":
            return min(members, key=lambda extension: (self._last.get((queue, extension), -1.0), extension))
        turn = self._turn.get(queue, "")
        return min(members, key=lambda extension: (extension <= turn, extension))

    def _join(self, queue: str, extension: str, now: float) -> Pair:
        ix = next(iter(self._lines[queue]))
        self._last[queue, extension] = now
        self._turn[queue] = extension
        self.drop(ix)
        self.busy(extension)
        return Pair(ix, extension)
