"""A recorded day under other rules: what came and who was there is taken from the events, who took whom is decided anew.

Pure. Reads no table (`sim/recorded.py` does). What the day does not tell is drawn from it: how long somebody would have waited
who was answered (their wait so far, and then as patient as those who hung up in the same queue), and how long a call would
have taken whose caller hung up (a call of the same queue). An agent is there whenever they were READY or busy with a call:
breaks, missed calls and what followed them stay where they were.
Invariant: the same events, rules and seed give the same figures, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from core.events import DomainEvent
from core.events import routing as told
from core.events.pbx import CallWaiting
from routing.intervals import Goal
from routing.items import item_of
from routing.model import WorkItem
from routing.policy.model import Policy
from routing.sim import report
from routing.sim.engine import NOBODY, Floats, Matching, Outcome, Staff, Work, run
from routing.sim.scenario import able, group_names, items, limits, stream

AT_WORK = frozenset({"READY", "RESERVED", "ENGAGED", "WRAP_UP"})
UNKNOWN_HANDLE_S = 180.0  # of a queue in which nobody was answered all day


@dataclass
class _Call:
    item: WorkItem
    ended: str = ""  # answered, abandoned, sent on; "" = still waits
    waited_s: float = 0.0
    offer_id: str = ""
    ring_s: float = 0.0
    handle_s: float = 0.0  # talk, hold and wrap-up


@dataclass(frozen=True)
class RecordedDay:
    """`began`: second 0. `alike`: by type, what its items ask for. `was`: what really happened, in the same shape as what a
    replay gives; nobody's overtaking is known of it."""

    began: datetime
    work: Work
    alike: Sequence[WorkItem]
    staff: Sequence[Staff]
    was: Outcome
    goals: Mapping[str, Goal] = field(default_factory=dict)

    @property
    def classes(self) -> report.Classes:
        """Calls are told by queue."""
        queues = [it.queue for it in self.alike]
        return report.Classes(queues, [self.goals.get(queue) or Goal() for queue in queues])


def recorded_day(
    events: Iterable[DomainEvent],
    skills: Mapping[str, Mapping[str, int]],
    *,
    teams: Mapping[str, frozenset[str]] | None = None,
    goals: Mapping[str, Goal] | None = None,
    seed: int = 0,
) -> RecordedDay:
    """A day from its events, in the order in which they were told. `skills` by extension: of agents whom nothing is known of,
    nothing is asked. Raises ValueError when nothing came."""
    came: list[_Call] = []
    calls: dict[tuple[str, str], _Call] = {}  # by interaction and queue: who was moved is known in each
    tickets: dict[str, WorkItem] = {}
    offers: dict[str, _Call] = {}
    presence: dict[str, list[list[datetime | None]]] = {}
    latest: datetime | None = None
    for event in events:
        if isinstance(event, told.RoutingEvent):
            latest = event.at if latest is None else max(latest, event.at)
        match event:
            case CallWaiting():
                tickets[event.interaction_id] = item_of(event)
            case told.ItemQueued() if (event.interaction_id, event.queue) not in calls:
                came.append(_Call(_item(event, tickets.get(event.interaction_id))))
                calls[event.interaction_id, event.queue] = came[-1]
            case told.OfferAccepted() if call := calls.get((event.interaction_id, event.queue)):
                call.ended, call.waited_s, call.ring_s = "answered", event.waited_s, event.ring_s
                call.offer_id = event.offer_id
                offers[event.offer_id] = call
            case told.SegmentEnded() if call := offers.get(event.offer_id):
                call.handle_s += event.talk_s + event.hold_s
            case told.WrapUpEnded() if call := offers.get(event.offer_id):
                call.handle_s += event.wrap_up_s
            case told.ItemAbandoned() if call := calls.get((event.interaction_id, event.queue)):
                call.ended, call.waited_s = "abandoned", event.waited_s
            case told.ItemOverflowed() if call := calls.get((event.interaction_id, event.queue)):
                if event.to.startswith("queue:"):  # waits there, and is one call
                    calls[event.interaction_id, event.to.removeprefix("queue:")] = call
                    continue
                call.ended, call.waited_s = "sent on", (event.at - call.item.enqueued_at).total_seconds()
            case told.AgentStateChanged():
                _attend(presence.setdefault(event.extension, []), event)
    if not came or latest is None:
        raise ValueError("nobody came on that day: there is nothing to replay")
    return _day(came, presence, skills, teams or {}, goals or {}, seed, latest)


def _item(event: told.ItemQueued, ticket: WorkItem | None) -> WorkItem:
    """What the queue's event does not say stands in the ticket with which the caller came."""
    item = WorkItem(
        event.interaction_id,
        event.queue,
        event.channel,
        event.enqueued_at,
        dict(event.skills),
        event.priority,
        event.language,
    )
    if ticket is None:
        return item
    return replace(
        item, tier=ticket.tier, problem=ticket.problem, value_minor=ticket.value_minor, owner=ticket.owner,
        preferred=ticket.preferred,
    )  # fmt: skip


def _attend(there: list[list[datetime | None]], event: told.AgentStateChanged) -> None:
    if event.state in AT_WORK:
        if not there or there[-1][1] is not None:
            there.append([event.at, None])
    elif there and there[-1][1] is None:
        there[-1][1] = event.at


def _day(
    calls: list[_Call],
    presence: Mapping[str, Sequence[Sequence[datetime | None]]],
    skills: Mapping[str, Mapping[str, int]],
    teams: Mapping[str, frozenset[str]],
    goals: Mapping[str, Goal],
    seed: int,
    latest: datetime,
) -> RecordedDay:
    calls.sort(key=lambda call: (call.item.enqueued_at, call.item.interaction_id))
    firsts = [calls[0].item.enqueued_at, *(spans[0][0] for spans in presence.values() if spans and spans[0][0])]
    began = min(firsts)

    def seconds(at: datetime | None) -> float:
        return ((at or latest) - began).total_seconds()

    staff = [
        Staff(
            extension, skills.get(extension, {}), teams.get(extension, frozenset()),
            tuple((seconds(since), seconds(until)) for since, until in spans if seconds(until) > seconds(since)),
        )
        for extension, spans in sorted(presence.items())
    ]  # fmt: skip
    kinds: dict[tuple[object, ...], int] = {}
    alike: list[WorkItem] = []
    for call in calls:
        if (key := _type(call.item)) not in kinds:
            kinds[key] = len(alike)
            alike.append(replace(call.item, interaction_id=call.item.queue, channel="", ani=""))
    at = np.array([seconds(call.item.enqueued_at) for call in calls])
    kind = np.array([kinds[_type(call.item)] for call in calls], dtype=np.int64)
    waited = np.array([call.waited_s for call in calls], dtype=float)
    ring = np.array([call.ring_s for call in calls], dtype=float)
    answered = np.array([call.ended == "answered" for call in calls])
    gone = np.array([call.ended == "abandoned" for call in calls])
    sent_on = np.array([call.ended == "sent on" for call in calls])
    queue = np.array([call.item.queue for call in calls])
    handle = _handles(np.array([call.handle_s for call in calls], dtype=float), answered, queue, seed)
    ring = np.where(answered, ring, float(np.median(ring[answered])) if answered.any() else 0.0)
    none, nobody = np.zeros(len(calls), dtype=np.int64), np.zeros(0)
    was = Outcome(
        np.where(answered, at + waited - ring, math.nan), none + NOBODY, np.where(gone, at + waited, math.nan),
        np.where(sent_on, at + waited, math.nan), none, nobody, nobody, seconds(latest),
    )  # fmt: skip
    work = Work(at, kind, handle + ring, _patience(np.where(answered, waited - ring, waited), gone, queue, seed), ring)
    return RecordedDay(began, work, alike, staff, was, goals)


def _type(item: WorkItem) -> tuple[object, ...]:
    """Of items for whom this is the same, the rules ask and say the same."""
    skills = tuple(sorted(item.skills.items()))
    return (
        item.queue, skills, item.priority, item.language, item.tier, item.problem, item.value_minor, item.owner, item.preferred
    )  # fmt: skip


def _handles(handle: Floats, answered: np.ndarray, queue: np.ndarray, seed: int) -> Floats:
    """Who hung up would have taken as long as somebody else of the same queue."""
    found = handle.copy()
    for name in sorted(set(queue.tolist())):
        known = handle[answered & (queue == name)]
        unknown = ~answered & (queue == name)
        count = int(unknown.sum())
        found[unknown] = stream(seed, "replayed handle", name).choice(known, count) if len(known) else UNKNOWN_HANDLE_S
    return found


def _patience(waited: Floats, gone: np.ndarray, queue: np.ndarray, seed: int) -> Floats:
    """Who hung up had just this patience. The others had waited so far (until a phone rang: then nobody hangs up in a replay),
    and would have gone on for a time with the mean that fits the queue's day best: all waiting / abandons. A queue in which
    nobody hung up waits for ever."""
    patience = waited.copy()
    for name in sorted(set(queue.tolist())):
        here = queue == name
        stayed = here & ~gone
        left = int((here & gone).sum())
        more = stream(seed, "replayed patience", name).exponential(1.0, int(stayed.sum()))
        patience[stayed] += more * (float(waited[here].sum()) / left) if left else math.inf
    return patience


def replay(day: RecordedDay, pool: Matching, policy: Policy) -> Outcome:
    """The day under the pool's rules."""
    return run(
        day.work,
        day.staff,
        pool,
        items(day.alike, day.work),
        able(day.staff, day.alike, policy),
        limits(day.alike, policy),
    )


def figures(day: RecordedDay, outcome: Outcome) -> tuple[report.Day, report.Day]:
    """Per class, and per group of equal agents (those who were there at the same time)."""
    classes = report.of_classes(day.work, outcome, day.classes)
    if not len(outcome.there_s):  # how it was: who was overtaken was not written down
        unknown: report.Figures = {"overtaken": None, "most_overtaken": None}
        return {name: {**of, **unknown} for name, of in classes.items()}, {}
    # No two agents' days are alike to the second: here those are equal who can do the same.
    alike = [Staff(agent.extension, agent.skills, agent.teams) for agent in day.staff]
    return classes, report.of_agents(outcome, alike, group_names(alike))
