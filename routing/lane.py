"""A lane: the waiting items that ask for the same at the same ring. Within it the longest wait is always first.

Pure. Counts how often those in it were overtaken: only the head is ever asked, because whoever came later was overtaken no
more often. Invariant: of two in one lane the longer-waiting one has been overtaken at least as often; who joins before others
is given the count of the head, so that it stays so.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from routing.model import WorkItem
from routing.wish import Program, Wish


@dataclass(slots=True, eq=False)
class Entry:
    """A waiting item. `since`: seconds; when it began to wait. `seen`: overtakes before it stood in this lane."""

    item: WorkItem
    since: float
    program: Program
    stage_no: int
    lane: Lane | None = None
    seen: int = 0
    before: int = 0  # what the lane's log would count of a time when this item was not in it
    personal: tuple[str, ...] = ()
    personal_points: float = 0.0


@dataclass(slots=True, eq=False)
class Lane:
    """`log`: when those began to wait who overtook somebody here, sorted."""

    wish: Wish
    wish_no: int
    points: float
    rate: float
    under: tuple[str, str] = ("", "")  # where the pool looks for it
    size: int = 0
    joined: int = 0
    heap: list[tuple[float, str, int, Entry]] = field(default_factory=list)
    log: list[float] = field(default_factory=list)
    last: float = float("-inf")  # the newest who stands here

    def head(self) -> Entry:
        """The longest-waiting item. The lane is not empty."""
        heap = self.heap
        while True:
            entry = heap[0][3]
            if entry.lane is self:
                return entry
            heappop(heap)

    def join(self, entry: Entry) -> None:
        if self.size and entry.since < self.last:
            entry.seen = max(entry.seen, self.overtaken(self.head()))
        entry.lane = self
        entry.before = self._logged(entry.since)
        self.size += 1
        self.last = max(self.last, entry.since)
        self.joined += 1
        heappush(self.heap, (entry.since, entry.item.interaction_id, self.joined, entry))

    def leave(self, entry: Entry) -> None:
        """The entry keeps its count."""
        entry.seen = self.overtaken(entry)
        entry.lane = None
        self.size -= 1

    def overtaken(self, entry: Entry) -> int:
        return entry.seen + self._logged(entry.since) - entry.before if self.log else entry.seen

    def log_overtake(self, since: float) -> int:
        """Somebody who waits since then goes before those here who wait longer. How often the head was overtaken now."""
        insort(self.log, since)
        return self.overtaken(self.head())

    def _logged(self, since: float) -> int:
        return len(self.log) - bisect_right(self.log, since)


def standing(entry: Entry, now: float) -> dict[str, Any]:
    """What is known of a waiting item, for those who ask."""
    stages, lane = entry.program.stages, entry.lane
    assert lane is not None
    coming = stages[entry.stage_no + 1].after_s if entry.stage_no + 1 < len(stages) else None
    waited_s = now - entry.since
    return {
        "ring": entry.stage_no, "wish": lane.wish, "points": lane.points, "waited_s": waited_s,
        "priority": lane.points + lane.rate * waited_s, "overtaken": lane.overtaken(entry),
        "widens_in_s": None if coming is None else max(0.0, coming - waited_s),
    }  # fmt: skip
