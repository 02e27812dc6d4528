"""What happened in each quarter of an hour: rows per queue and per agent, counted from events.

Pure. Does not store rows and computes no share (`measures.py`). What came of an item is counted in the interval in which
it *came* (`enqueued_at`), so that a row adds up: offered = answered + abandoned + overflowed + still waiting. A segment
counts where it ended; an agent's time is cut at the edges of the intervals.
Invariants: an interval is known by its beginning in UTC, so the hour that comes twice in autumn has eight rows, and the one
that is left out in spring none; the same events give the same rows, in whatever batches they come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.events import DomainEvent
from core.events import routing as told
from routing.measures import Counts

LENGTH = timedelta(minutes=15)
_MIDNIGHT = datetime(1970, 1, 1, tzinfo=UTC)


def interval_of(at: datetime, zone: ZoneInfo, length: timedelta = LENGTH) -> datetime:
    """The beginning, in UTC, of the interval of the local clock that holds `at`."""
    offset = at.astimezone(zone).utcoffset() or timedelta()
    into = (
        at.astimezone(UTC) + offset - _MIDNIGHT
    ) % length  # midnights are edges, for every length that divides a day
    return at.astimezone(UTC) - into


def intervals_of_day(day: date, zone: ZoneInfo, length: timedelta = LENGTH) -> list[datetime]:
    """The beginnings, in UTC, of a local day's intervals: 96 quarters, or 92 and 100 when the clocks change."""
    begins = datetime.combine(day, time(), zone).astimezone(UTC)
    ends = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
    return [begins + number * length for number in range((ends - begins) // length)]


@dataclass(frozen=True)
class Goal:
    """`within_s`: the service level's threshold T. Who hangs up before `short_s` is a short abandon."""

    within_s: float = 20.0
    short_s: float = 5.0


@dataclass
class QueueRow:
    """A queue's interval. Segments and their seconds are of talks that ended here, whenever they came."""

    queue: str
    since: datetime
    offered: int = 0
    answered: int = 0
    abandoned: int = 0
    overflowed: int = 0
    answered_in_t: int = 0
    abandoned_in_t: int = 0
    short_abandoned: int = 0
    answered_wait_s: float = 0.0
    abandoned_wait_s: float = 0.0
    longest_wait_s: float = 0.0
    segments: int = 0
    interactions: int = 0  # whose first segment ended here
    talk_s: float = 0.0
    hold_s: float = 0.0
    wrap_up_s: float = 0.0

    @property
    def counts(self) -> Counts:
        """For the service levels of `measures.py`."""
        return Counts(self.answered, self.abandoned, self.answered_in_t, self.abandoned_in_t, self.short_abandoned)


@dataclass
class AgentRow:
    """An agent's interval: seconds by state, and the segments that ended here. Time while OFFLINE is nobody's."""

    extension: str
    since: datetime
    ready_s: float = 0.0
    reserved_s: float = 0.0
    engaged_s: float = 0.0
    wrap_up_s: float = 0.0
    not_ready_s: dict[str, float] = field(default_factory=dict)  # by reason
    segments: int = 0
    talk_s: float = 0.0
    hold_s: float = 0.0
    worked_after_s: float = 0.0  # wrap-up of the segments that ended here
    ronas: int = 0
    declined: int = 0

    @property
    def handling_s(self) -> float:
        """Time with a contact: while it rings, talking, and what comes after."""
        return self.reserved_s + self.engaged_s + self.wrap_up_s


@dataclass
class _Item:
    queue: str
    enqueued_at: datetime
    outcome: str = ""  # answered, abandoned, overflowed; "" = waits
    waited_s: float = 0.0


def queue_rows(
    events: Iterable[DomainEvent], zone: ZoneInfo, goals: Mapping[str, Goal] | None = None
) -> list[QueueRow]:
    """Rows by (interval, queue), in that order. `goals` by queue; without one the plain `Goal`."""
    items: dict[tuple[str, str], _Item] = {}
    segments: dict[str, told.SegmentEnded] = {}
    wrap_ups: dict[str, float] = {}
    for event in events:
        match event:
            case told.ItemQueued():
                items[event.interaction_id, event.queue] = _Item(event.queue, event.enqueued_at)
            case told.OfferAccepted():
                _settle(items, event, "answered", event.waited_s)
            case told.ItemAbandoned():
                _settle(items, event, "abandoned", event.waited_s)
            case told.ItemOverflowed():
                _settle(items, event, "overflowed", 0.0)
            case told.SegmentEnded() if event.talk_s + event.hold_s > 0:
                segments[event.offer_id] = event
            case told.WrapUpEnded():
                wrap_ups[event.offer_id] = event.wrap_up_s
    rows: dict[tuple[datetime, str], QueueRow] = {}
    for item in items.values():
        row = _queue_row(rows, item.queue, interval_of(item.enqueued_at, zone))
        _count_item(row, item, (goals or {}).get(item.queue) or Goal())
    seen: set[tuple[str, str]] = set()
    for offer_id, segment in segments.items():
        row = _queue_row(rows, segment.queue, interval_of(segment.at, zone))
        row.segments += 1
        row.talk_s += segment.talk_s
        row.hold_s += segment.hold_s
        row.wrap_up_s += wrap_ups.get(offer_id, 0.0)
        if (segment.interaction_id, segment.queue) not in seen:
            seen.add((segment.interaction_id, segment.queue))
            row.interactions += 1
    return [rows[key] for key in sorted(rows)]


def _queue_row(rows: dict[tuple[datetime, str], QueueRow], queue: str, since: datetime) -> QueueRow:
    return rows.setdefault((since, queue), QueueRow(queue, since))


def _settle(
    items: dict[tuple[str, str], _Item],
    event: told.OfferAccepted | told.ItemAbandoned | told.ItemOverflowed,
    outcome: str,
    waited_s: float,
) -> None:
    """An item whose coming was told before these events is known by its end alone."""
    key = (event.interaction_id, event.queue)
    item = items.setdefault(key, _Item(event.queue, event.at - timedelta(seconds=waited_s)))
    item.outcome, item.waited_s = outcome, waited_s


def _count_item(row: QueueRow, item: _Item, goal: Goal) -> None:
    row.offered += 1
    row.longest_wait_s = max(row.longest_wait_s, item.waited_s)
    in_time = item.waited_s <= goal.within_s
    if item.outcome == "answered":
        row.answered += 1
        row.answered_in_t += in_time
        row.answered_wait_s += item.waited_s
    elif item.outcome == "abandoned":
        row.abandoned += 1
        row.abandoned_in_t += in_time
        row.short_abandoned += item.waited_s < goal.short_s
        row.abandoned_wait_s += item.waited_s
    elif item.outcome == "overflowed":
        row.overflowed += 1


def agent_rows(events: Iterable[DomainEvent], zone: ZoneInfo, until: datetime) -> list[AgentRow]:
    """Rows by (interval, agent), in that order. A state that nobody ended lasts until `until`."""
    rows: dict[tuple[datetime, str], AgentRow] = {}
    states: dict[str, told.AgentStateChanged] = {}
    segments: dict[str, told.SegmentEnded] = {}

    def row_at(extension: str, at: datetime) -> AgentRow:
        since = interval_of(at, zone)
        return rows.setdefault((since, extension), AgentRow(extension, since))

    def spend(state: told.AgentStateChanged, end: datetime) -> None:
        if state.state != "OFFLINE":
            for since, seconds in _pieces(state.at, end, zone):
                _spend(rows.setdefault((since, state.extension), AgentRow(state.extension, since)), state, seconds)

    for event in events:
        match event:
            case told.AgentStateChanged():
                if before := states.get(event.extension):
                    spend(before, event.at)
                states[event.extension] = event
            case told.SegmentEnded() if event.talk_s + event.hold_s > 0:
                segments[event.offer_id] = event
                row = row_at(event.extension, event.at)
                row.segments += 1
                row.talk_s += event.talk_s
                row.hold_s += event.hold_s
            case told.WrapUpEnded() if event.offer_id in segments:
                row_at(event.extension, segments[event.offer_id].at).worked_after_s += event.wrap_up_s
            case told.OfferTimedOut():
                row_at(event.extension, event.at).ronas += 1
            case told.OfferDeclined():
                row_at(event.extension, event.at).declined += 1
    for state in states.values():
        spend(state, until)
    return [rows[key] for key in sorted(rows)]


def _spend(row: AgentRow, state: told.AgentStateChanged, seconds: float) -> None:
    match state.state:
        case "READY":
            row.ready_s += seconds
        case "RESERVED":
            row.reserved_s += seconds
        case "ENGAGED":
            row.engaged_s += seconds
        case "WRAP_UP":
            row.wrap_up_s += seconds
        case "NOT_READY":
            row.not_ready_s[state.reason] = row.not_ready_s.get(state.reason, 0.0) + seconds


def _pieces(begin: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[datetime, float]]:
    """(interval, seconds in it) from begin to end; nothing when the clock went backwards in between."""
    while begin < end:
        since = interval_of(begin, zone)
        edge = min(end, since + LENGTH)
        yield since, (edge - begin).total_seconds()
        begin = edge
