"""Who takes whom, kept ready: waiting items in lanes, free agents by skill, and what changed since the last decision.

Pure: no clock, no loop; every verb is given `now` (seconds, from the same origin as `since`). Does not know offers or states.
`settle` is to be called after each change; it looks at what changed alone, so that neither a long queue nor a big team costs
a scan. Invariants, after every `settle`: nobody waits while somebody free may take them; nobody has two; among those who ask
for the same, the longest wait first; nobody is overtaken more than `max_overtakes` times by somebody who came later; the same
verbs give the same assignments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any

from routing.lane import Entry, Lane, standing
from routing.model import WorkItem
from routing.policy.model import Policy, QueuePolicy
from routing.seats import Profile, Row, Seat
from routing.wish import VOICE, Program, Wish, program, signature, stage_no_at

REMEMBERED = 4096
TINY = 1e-9  # points; more than what rounding makes of equal sums
Key = tuple[bool, bool, float, float]  # overtaken too often, voice, priority, wait: the greatest is first


@dataclass(frozen=True, slots=True)
class Assignment:
    """`priority`: the item's points at that moment; `merit`: the agent's; `ring`: which of the item's rings; `due`: taken
    because it had been overtaken as often as anybody may be."""

    interaction_id: str
    extension: str
    priority: float = 0.0
    merit: float = 0.0
    ring: int = 0
    due: bool = False


class Pool:
    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._items: dict[str, Entry] = {}
        self._free = Row()
        self._free_with: dict[str, Row] = {}
        self._personal: dict[str, dict[str, Entry]] = {}  # agent → items that would rather have them
        self._lanes: dict[tuple[int, int], Lane] = {}  # those that are not empty, by (program, ring)
        self._standing: dict[tuple[str, str], dict[tuple[int, int], Lane]] = {}  # by where they are looked for
        self._programs: dict[tuple[object, ...], Program] = {}
        self._wishes: dict[Wish, int] = {}
        self._profiles: dict[tuple[object, ...], Profile] = {}
        self._best_level = 0  # of anybody in anything
        self._turns: dict[str, int] = {}
        self._turn_of: dict[tuple[str, str], int] = {}
        self._coming: list[tuple[float, str, int]] = []  # when whose next ring begins
        self._seen: dict[str, int] = {}  # how often those were overtaken who wait no more, and may come back
        self.widened: list[tuple[str, int]] = []  # who came to which ring in the last `settle`
        self._new_items: dict[str, None] = {}
        self._new_seats: dict[str, None] = {}

    # --- what changes

    def put(self, item: WorkItem, since: float, now: float) -> None:
        """An item waits, since `since`. One with the same id that waits already is replaced; how often it was overtaken
        before is remembered."""
        ix = item.interaction_id
        self.drop(ix)
        queue = self.policy.queue(item.queue)
        steps = self._program(item, queue)
        entry = Entry(item, since, steps, stage_no_at(steps, now - since), seen=self._seen.pop(ix, 0))
        if queue.last_agent_points:
            entry.personal = tuple(dict.fromkeys(ext for ext in (item.preferred, item.last_agent) if ext))
            entry.personal_points = queue.last_agent_points
            for extension in entry.personal:
                self._personal.setdefault(extension, {})[ix] = entry
        self._items[ix] = entry
        self._stand(entry)

    def drop(self, interaction_id: str) -> None:
        """The item waits no more; nothing happens when it did not."""
        entry = self._items.pop(interaction_id, None)
        if entry is None:
            return
        self._new_items.pop(interaction_id, None)
        for extension in entry.personal:
            self._personal[extension].pop(interaction_id, None)
        self._step_out(entry)
        if entry.seen:
            self._seen[interaction_id] = entry.seen
            if len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]

    def free(
        self, extension: str, skills: Mapping[str, int], teams: frozenset[str], now: float, *, idle_since: float,
        occupancy: float = 0.0, kinds: frozenset[str] = VOICE,
    ) -> None:  # fmt: skip
        """The agent may be given something of these kinds; what was known of them before is forgotten."""
        self.busy(extension)
        key = (frozenset(skills.items()), teams, kinds)
        profile = self._profiles.get(key)
        if profile is None:
            profile = self._profiles[key] = Profile(skills, teams, kinds)
            self._best_level = max(self._best_level, *skills.values(), 0)
        seat = Seat(extension, profile, idle_since, occupancy)
        self._free.add(seat)
        for skill in profile.skills:
            row = self._free_with.get(skill)
            if row is None:
                row = self._free_with[skill] = Row()
            row.add(seat)
        self._new_seats[extension] = None

    def busy(self, extension: str) -> None:
        """The agent may be given nothing."""
        seat = self._free.pop(extension, None)
        if seat is not None:
            self._new_seats.pop(extension, None)
            for skill in seat.profile.skills:
                self._free_with[skill].pop(extension, None)

    def set_policy(self, policy: Policy, now: float) -> None:
        """Other rules, for those who wait already, too; their waits and how often they were overtaken stay."""
        self.policy = policy
        entries = sorted(self._items.values(), key=lambda entry: entry.since)
        for entry in entries:
            self.drop(entry.item.interaction_id)
        self._programs.clear()
        self._coming.clear()
        self._wishes.clear()
        for profile in self._profiles.values():
            profile.fits.clear()
        for entry in entries:
            self.put(entry.item, entry.since, now)
        self._new_seats.update(dict.fromkeys(self._free))

    # --- deciding

    def settle(self, now: float) -> list[Assignment]:
        """The assignments to make now, in order; who is in them is not in the pool any more."""
        self._widen(now)
        made: list[Assignment] = []
        if not self._free or not self._items:
            self._new_items.clear()
            self._new_seats.clear()
            return made
        if len(self._new_seats) + len(self._new_items) == 1:
            self._settle_one(now, made)
        else:
            self._settle_many(now, made)
        self._new_items.clear()
        self._new_seats.clear()
        return made

    def next_widening(self) -> float | None:
        """When the next ring of somebody who waits begins."""
        while self._coming:
            at, ix, stage_no = self._coming[0]
            entry = self._items.get(ix)
            if (
                entry is not None
                and entry.stage_no + 1 == stage_no < len(entry.program.stages)  # fewer rings in the queue they came to
                and at == entry.since + entry.program.stages[stage_no].after_s
            ):
                return at
            heappop(self._coming)
        return None

    # --- what is asked

    def standing(self, interaction_id: str, now: float) -> dict[str, Any] | None:
        entry = self._items.get(interaction_id)
        return None if entry is None else standing(entry, now)

    def ranked(self, interaction_id: str, now: float) -> list[tuple[str, float]]:
        """The free agents who may take this item, the best first, with their merit in points."""
        entry = self._items[interaction_id]
        merits = [(seat.extension, merit) for seat, merit in self._candidates(entry, now)]
        return sorted(merits, key=lambda found: (-found[1], self._free[found[0]].idle_since, found[0]))

    def order(self, now: float) -> list[str]:
        """Those who wait, in the order in which an agent who can do everything would take them."""
        keys = {ix: self._key(entry, now) for ix, entry in self._items.items()}
        return sorted(keys, key=lambda ix: (*(-part for part in keys[ix]), ix))

    # --- inside

    def _settle_one(self, now: float, made: list[Assignment]) -> None:
        for extension in self._new_seats:
            seat = self._free[extension]
            found, passed = self._best_item(seat, now)
            if found is not None:
                entry, key = found
                self._assign(entry, seat, key, now, made, passed=passed)
                return
        for ix in self._new_items:
            entry = self._items[ix]
            chosen = self._best_seat(entry, now)
            if chosen is not None:
                self._assign(entry, chosen, self._key(entry, now), now, made, passed=False)
                return

    def _settle_many(self, now: float, made: list[Assignment]) -> None:
        """The most urgent item first, and for it the best agent. A lane nobody free may serve stays so: fewer are free, never
        more."""
        touched, personal = self._touched()
        again = True
        while again:  # who has now been overtaken often enough is looked at anew, before all others
            again = False
            heap = [
                (self._place(lane.head(), now), lane.head().item.interaction_id, False) for lane in touched.values()
            ]
            heap += [(self._place(entry, now, entry.personal_points), ix, True) for ix, entry in personal.items()]
            heapify(heap)
            while heap and not again:
                _, ix, for_one = heappop(heap)
                entry = self._items.get(ix)
                if entry is None or (for_one and not any(extension in self._free for extension in entry.personal)):
                    personal.pop(ix, None)
                    continue
                lane = entry.lane
                assert lane is not None
                seat = self._best_seat(entry, now)
                if seat is None:
                    touched.pop(id(lane), None)
                    personal.pop(ix, None)
                    continue
                again = self._assign(entry, seat, self._key(entry, now), now, made, passed=True)
                personal.pop(ix, None)
                if not lane.size:
                    touched.pop(id(lane), None)
                elif id(lane) in touched:
                    head = lane.head()
                    heappush(heap, (self._place(head, now), head.item.interaction_id, False))

    def _touched(self) -> tuple[dict[int, Lane], dict[str, Entry]]:
        """The lanes in which something may be paired because of what is new, and those who would rather have an agent who is."""
        lanes = [lane for ix in self._new_items if (lane := self._items[ix].lane) is not None]
        personal: dict[str, Entry] = {}
        for extension in self._new_seats:
            seat = self._free[extension]
            lanes += [lane for lane in self._lanes_for(seat) if seat.profile.fit(lane, extension) is not None]
            for ix, entry in self._personal.get(extension, {}).items():
                if entry.lane is not None and seat.profile.fit(entry.lane, extension) is not None:
                    personal[ix] = entry
        return {id(lane): lane for lane in lanes}, personal

    def _place(self, entry: Entry, now: float, more: float = 0.0) -> tuple[float, ...]:
        """Where in a heap: the most urgent is the least."""
        due, voice, priority, since = self._key(entry, now)
        return (-due, -voice, -priority - (0.0 if due else more), -since)

    def _assign(self, entry: Entry, seat: Seat, key: Key, now: float, made: list[Assignment], *, passed: bool) -> bool:
        """Whether somebody was overtaken as often as anybody may be."""
        ix, extension = entry.item.interaction_id, seat.extension
        merit = self._merit(entry, seat, now)
        full = passed and self._count_overtaken(entry, seat)
        made.append(Assignment(ix, extension, key[2], merit or 0.0, entry.stage_no, key[0]))
        queue = entry.item.queue
        turn = self._turns[queue] = self._turns.get(queue, 0) + 1
        self._turn_of[queue, extension] = turn
        self.drop(ix)
        self.busy(extension)
        return full

    def _count_overtaken(self, entry: Entry, seat: Seat) -> bool:
        full, most, since = False, self.policy.max_overtakes, entry.since
        for lane in self._lanes_for(seat):
            if seat.profile.fit(lane, seat.extension) is not None and lane.head().since < since:
                full |= lane.log_overtake(since) == most
        return full

    def _best_item(self, seat: Seat, now: float) -> tuple[tuple[Entry, Key] | None, bool]:
        """The item this agent takes, and whether somebody who waits longer is passed over."""
        best: Entry | None = None
        best_key: Key = (False, False, float("-inf"), float("-inf"))
        oldest = float("inf")
        most, profile, extension = self.policy.max_overtakes, seat.profile, seat.extension
        fits = profile.fits
        for lane in self._lanes_for(seat):
            fit = fits[lane.wish_no] if lane.wish_no in fits else profile.fit(lane, extension)
            if fit is None:
                continue
            entry = lane.head()
            since = entry.since
            if since < oldest:
                oldest = since
            score = lane.points + lane.rate * (now - since) + fit
            due = (bool(lane.log) or entry.seen > 0) and lane.overtaken(entry) >= most
            key = (due, lane.wish.kind == "voice", 0.0 if due else score, -since)
            if key > best_key or (
                key == best_key and best is not None and entry.item.interaction_id < best.item.interaction_id
            ):
                best, best_key = entry, key
        for entry in self._personal.get(extension, {}).values():
            own = entry.lane
            assert own is not None
            own_fit = profile.fit(own, extension)
            if own_fit is not None and not best_key[0]:
                score = own.points + own.rate * (now - entry.since) + own_fit + entry.personal_points
                key = (False, own.wish.kind == "voice", score, -entry.since)
                if key > best_key:
                    best, best_key = entry, key
        if best is None:
            return None, False
        return (best, best_key), oldest < best.since

    def _best_seat(self, entry: Entry, now: float) -> Seat | None:
        best: Seat | None = None
        best_order: tuple[float, float, str] = (0.0, 0.0, "")
        row, most, idle = self._row(entry), self._most(entry), entry.lane.wish.weights.idle / 60  # type: ignore[union-attr]
        for seat in row.longest_idle_first():
            if best is not None and most + idle * (now - seat.idle_since) < -best_order[0] - TINY:
                break  # neither they nor anybody who became free later can be better
            merit = self._merit(entry, seat, now)
            if merit is not None:
                order = (-merit, seat.idle_since, seat.extension)
                if best is None or order < best_order:
                    best, best_order = seat, order
        return best

    def _candidates(self, entry: Entry, now: float) -> Iterable[tuple[Seat, float]]:
        for seat in self._row(entry).values():
            merit = self._merit(entry, seat, now)
            if merit is not None:
                yield seat, merit

    def _row(self, entry: Entry) -> Row:
        """Those among whom all are who may take this item."""
        lane = entry.lane
        assert lane is not None
        wish, row = lane.wish, self._free
        if wish.only:
            only = Row()
            if wish.only in row:
                only.add(row[wish.only])
            return only
        for skill, _ in wish.skills:
            having = self._free_with.get(skill)
            if having is None:
                return Row()
            if len(having) < len(row):
                row = having
        return row

    def _most(self, entry: Entry) -> float:
        """More than this, beside idleness, nobody's merit for this item can be."""
        lane = entry.lane
        assert lane is not None
        weights, wish = lane.wish.weights, lane.wish
        if weights.idle < 0 or weights.breadth > 0:
            return inf
        most = max(0.0, weights.fit) * self._best_level * len(wish.fit_of) + weights.breadth * len(wish.skills)
        most += max(0.0, weights.occupancy) * 100
        if weights.turn > 0:
            most += weights.turn * self._turns.get(entry.item.queue, 0)
        return most + max(0.0, entry.personal_points)

    def _merit(self, entry: Entry, seat: Seat, now: float) -> float | None:
        """The agent's points for this item; None when they may not take it."""
        lane = entry.lane
        assert lane is not None
        merit = seat.profile.fit(lane, seat.extension)
        if merit is None:
            return None
        weights = lane.wish.weights
        merit += weights.idle * (now - seat.idle_since) / 60
        if weights.breadth:
            merit += weights.breadth * len(seat.profile.skills)
        if weights.occupancy:
            merit += weights.occupancy * seat.occupancy * 100
        if weights.turn:
            queue = entry.item.queue
            merit += weights.turn * (self._turns.get(queue, 0) - self._turn_of.get((queue, seat.extension), 0))
        if entry.personal and seat.extension in entry.personal:
            merit += entry.personal_points
        return merit

    def _key(self, entry: Entry, now: float) -> Key:
        lane = entry.lane
        assert lane is not None
        due = lane.overtaken(entry) >= self.policy.max_overtakes
        priority = lane.points + lane.rate * (now - entry.since)
        return (due, lane.wish.kind == "voice", 0.0 if due else priority, -entry.since)

    def _lanes_for(self, seat: Seat) -> Iterable[Lane]:
        """The lanes that are not empty in which this agent may find something; others are never looked at."""
        standing = self._standing
        if lanes := standing.get(("", "")):
            yield from lanes.values()
        if lanes := standing.get(("agent", seat.extension)):
            yield from lanes.values()
        for skill in seat.profile.skills:
            if lanes := standing.get(("skill", skill)):
                yield from lanes.values()

    def _widen(self, now: float) -> None:
        self.widened = []
        while (at := self.next_widening()) is not None and at <= now:
            _, ix, stage_no = heappop(self._coming)
            entry = self._items[ix]
            self._step_out(entry)
            entry.stage_no = stage_no
            self._stand(entry)
            self.widened.append((ix, stage_no))

    def _program(self, item: WorkItem, queue: QueuePolicy) -> Program:
        key = signature(item, queue)
        found = self._programs.get(key)
        if found is None:
            if len(self._programs) >= REMEMBERED:
                self._programs.clear()  # those who stand keep theirs
            found = self._programs[key] = program(item, self.policy)
        return found

    def _stand(self, entry: Entry) -> None:
        """The entry joins the lane of its ring."""
        stages, stage_no = entry.program.stages, entry.stage_no
        key = (id(entry.program), stage_no)
        lane = self._lanes.get(key)
        if lane is None:
            stage = stages[stage_no]
            wish_no = self._wishes.setdefault(stage.wish, len(self._wishes))
            lane = Lane(stage.wish, wish_no, stage.points, entry.program.rate, _under(stage.wish))
            self._lanes[key] = lane
            self._standing.setdefault(lane.under, {})[key] = lane
        lane.join(entry)
        ix = entry.item.interaction_id
        self._new_items[ix] = None
        if stage_no + 1 < len(stages):
            heappush(self._coming, (entry.since + stages[stage_no + 1].after_s, ix, stage_no + 1))

    def _step_out(self, entry: Entry) -> None:
        lane = entry.lane
        assert lane is not None
        lane.leave(entry)
        if not lane.size:
            key = (id(entry.program), entry.stage_no)
            del self._lanes[key]
            del self._standing[lane.under][key]


def _under(wish: Wish) -> tuple[str, str]:
    """Where a lane is looked for: at its one agent, at one of its skills, or by everybody."""
    if wish.only:
        return ("agent", wish.only)
    return ("skill", wish.skills[0][0]) if wish.skills else ("", "")
