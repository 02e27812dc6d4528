"""The loop of virtual time: calls come, wait, are taken by the product's own matching, or hang up; agents come and go.

Draws nothing (`scenario.py` does, or a recorded day) and judges nothing (`report.py` does): the same work, agents and rules
give the same outcome. Times are seconds since the beginning.
Invariants: a call has one end: answered, abandoned, sent on, or left waiting when everybody had gone home; an agent has one
call, and finishes it after the shift's end; at one and the same moment calls end before others come.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from math import inf, nan
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from routing.model import WorkItem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NOBODY = -1
_FINISH, _START, _STOP, _LIMIT, _HANG_UP = range(5)


class Made(Protocol):
    """An assignment, as far as the loop looks at it."""

    @property
    def interaction_id(self) -> str: ...
    @property
    def extension(self) -> str: ...


class Matching(Protocol):
    """What the loop asks of `routing.pool.Pool`, and of whatever is compared with it."""

    def put(self, item: WorkItem, since: float, now: float) -> None: ...
    def drop(self, interaction_id: str) -> None: ...
    def free(
        self, extension: str, skills: Mapping[str, int], teams: frozenset[str], now: float, *, idle_since: float,
        occupancy: float = 0.0,
    ) -> None: ...  # fmt: skip
    def busy(self, extension: str) -> None: ...
    def settle(self, now: float) -> Sequence[Made]: ...
    def next_widening(self) -> float | None: ...


@dataclass(frozen=True)
class Work:
    """All calls, by the time they come: of which type, how long they keep an agent (ringing, talk, hold and wrap-up), how long
    they wait before they hang up (inf: for ever), and how much of the agent's time is ringing, in which they still wait."""

    at: Floats
    kind: Ints
    handle_s: Floats
    patience_s: Floats
    ring_s: Floats

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True)
class Staff:
    """An agent and when they are there: (from, until) in seconds, in order."""

    extension: str
    skills: Mapping[str, int] = field(default_factory=dict)
    teams: frozenset[str] = frozenset()
    shifts: tuple[tuple[float, float], ...] = ((0.0, inf),)

    @property
    def alike(self) -> tuple[object, ...]:
        """Agents of whom this is the same are equal: the same skills, teams and hours."""
        return (tuple(sorted(self.skills.items())), tuple(sorted(self.teams)), self.shifts)


@dataclass(frozen=True)
class Able:
    """Who could take what at once: types that ask for the same stand in one line; `may[agent][line]`."""

    line_of: Sequence[int]  # by type
    may: Sequence[Sequence[bool]]


@dataclass(frozen=True)
class Limit:
    """Who still waits after so long is sent on: to the queue `then`, with the wait they have; "" = to where nobody waits."""

    after_s: float
    then: str = ""


@dataclass(frozen=True)
class Outcome:
    """By call: when it was given to an agent and to whom (nan, NOBODY), when it hung up or was sent away (nan), and by how many
    it was overtaken that came later and went to somebody who could have taken it. By agent: seconds of work, and there."""

    begun: Floats
    agent: Ints
    hung_up: Floats
    sent_on: Floats
    overtaken: Ints
    busy_s: Floats
    there_s: Floats
    ended_at: float


def run(
    work: Work,
    staff: Sequence[Staff],
    pool: Matching,
    item_of: Callable[[int], WorkItem],
    able: Able | None = None,
    limits: Sequence[Limit | None] = (),
) -> Outcome:
    """Lives through all of it. `item_of(number)`: the call as a work item with an id of its own. `able`: for
    counting who was overtaken; without it nobody is counted. `limits`: by type, how long it may wait."""
    total, crew = len(work), len(staff)
    arrivals = [*work.at.tolist(), inf]
    handle, patience = work.handle_s.tolist(), work.patience_s.tolist()
    begun, agent_of, hung_up, sent_on = [nan] * total, [NOBODY] * total, [nan] * total, [nan] * total
    limit_of = [limits[kind] for kind in work.kind.tolist()] if any(limits) else [None] * total
    index = {agent.extension: number for number, agent in enumerate(staff)}
    extensions = [agent.extension for agent in staff]
    skills, teams = [agent.skills for agent in staff], [agent.teams for agent in staff]
    on_shift, engaged = [False] * crew, [False] * crew
    busy_s, there_s, came_at = [0.0] * crew, [0.0] * crew, [0.0] * crew
    numbers: dict[str, int] = {}  # those who wait
    ids: dict[int, str] = {}  # of those who may hang up or be sent on
    counter = _Overtakes(work.kind.tolist(), able) if able is not None else None

    events = [
        (when, what, number)
        for number, agent in enumerate(staff)
        for since, until in agent.shifts
        for when, what in ((since, _START), (until, _STOP)) if when < inf
    ]  # fmt: skip
    heapify(events)
    put, settle, free, next_widening = pool.put, pool.settle, pool.free, pool.next_widening
    coming, number, widening, now = arrivals[0], 0, inf, 0.0
    while True:
        when = events[0][0] if events else inf
        came = NOBODY
        if coming < when and coming <= widening:
            now, came, ix = coming, number, ""
            item = item_of(number)
            ix = item.interaction_id
            numbers[ix] = number
            put(item, now, now)
            if counter is not None:
                counter.join(number)
            number += 1
            coming = arrivals[number]
        elif widening < when:
            now = widening
        elif when == inf:
            break
        else:
            now, what, who = heappop(events)
            if what == _FINISH:
                engaged[who] = False
                if not on_shift[who]:
                    continue
                there = there_s[who] + now - came_at[who]
                free(
                    extensions[who], skills[who], teams[who], now, idle_since=now,
                    occupancy=busy_s[who] / there if there > 0 else 0.0,
                )  # fmt: skip
            elif what == _HANG_UP:
                gone = ids.pop(who, "")
                if gone:
                    pool.drop(gone)
                    del numbers[gone]
                    hung_up[who] = now
                    if counter is not None:
                        counter.leave(who)
                continue
            elif what == _LIMIT:
                gone, limit = ids.get(who, ""), limit_of[who]
                if not gone or limit is None:
                    continue
                pool.drop(gone)
                if counter is not None:
                    counter.leave(who)
                if not limit.then:
                    del numbers[gone], ids[who]
                    sent_on[who] = now
                    continue
                put(replace(item_of(who), interaction_id=gone, queue=limit.then), arrivals[who], now)
            elif what == _START:
                on_shift[who], came_at[who] = True, now
                if engaged[who]:
                    continue
                free(extensions[who], skills[who], teams[who], now, idle_since=now)
            else:
                on_shift[who] = False
                there_s[who] += now - came_at[who]
                pool.busy(extensions[who])
                continue
        for made in settle(now):
            ix = made.interaction_id
            taken, who = numbers.pop(ix), index[made.extension]
            begun[taken], agent_of[taken], engaged[who] = now, who, True
            busy_s[who] += handle[taken]
            heappush(events, (now + handle[taken], _FINISH, who))
            ids.pop(taken, None)
            if counter is not None:
                counter.take(taken, who)
        if came >= 0 and agent_of[came] < 0:
            if patience[came] < inf:
                ids[came] = item.interaction_id
                heappush(events, (now + patience[came], _HANG_UP, came))
            limit = limit_of[came]
            if limit is not None:
                ids[came] = item.interaction_id
                heappush(events, (now + limit.after_s, _LIMIT, came))
        next_ring = next_widening()
        widening = inf if next_ring is None else max(now, next_ring)
    for who in range(crew):
        if on_shift[who]:
            there_s[who] += max(now, came_at[who]) - came_at[who]
    return Outcome(
        np.array(begun), np.array(agent_of, dtype=np.int64), np.array(hung_up), np.array(sent_on),
        np.array(counter.count if counter is not None else [0] * total, dtype=np.int64),
        np.array(busy_s), np.array(there_s), now,
    )  # fmt: skip


class _Overtakes:
    """Who waits, by line in order of coming, and how often each was passed by somebody who came later."""

    def __init__(self, kinds: Sequence[int], able: Able) -> None:
        self.count = [0] * len(kinds)
        waiting: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(max(able.line_of, default=-1) + 1)]
        self._line_of = [waiting[able.line_of[kind]] for kind in kinds]
        self._lines_of = [[line for line, can in zip(waiting, row, strict=True) if can] for row in able.may]

    def join(self, number: int) -> None:
        self._line_of[number][number] = None

    def leave(self, number: int) -> None:
        """Who was sent on stands in no line any more."""
        self._line_of[number].pop(number, None)

    def take(self, number: int, who: int) -> None:
        self.leave(number)
        for line in self._lines_of[who]:
            for other in line:
                if other > number:
                    break
                self.count[other] += 1
