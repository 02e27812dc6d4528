"""A made-up day as a real one would stand in the event table: for tests and measurements of the replay, and to try rules on.

Simulates a shop with four queues in two languages, and tells what happened as events. Not for judging anything real.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from core.events import DomainEvent
from core.events import routing as told
from routing.policy.model import Policy, QueuePolicy
from routing.sim.engine import Matching, Staff, run
from routing.sim.scenario import CallType, Duration, Rate, Scenario, draw, like

MORNING = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)
HOURS = 12
RING_S = 4.0
# How a shop's day goes, by hour.
SHAPE = (0.3, 0.6, 1.0, 1.3, 1.2, 0.9, 1.0, 1.3, 1.4, 1.2, 0.8, 0.5)
QUEUES = {"orders_zh": 0.45, "orders_en": 0.25, "returns_zh": 0.2, "returns_en": 0.1}
WRAP_UP_S = 20.0


def made_scenario(calls: int = 12_000, crew: int = 101) -> Scenario:
    """About so many calls, and agents enough that most of them are answered in time."""
    policy = Policy(queues={
        name: QueuePolicy(name, {name.partition("_")[0]: 1, name.partition("_")[2]: 1}, wrap_up_s=WRAP_UP_S) for name in QUEUES
    })  # fmt: skip
    types = tuple(
        CallType(
            name, like(name),
            tuple(
                Rate(hour * 3600.0, hour * 3600.0 + 3600, calls * part * share / sum(SHAPE)) for hour, share in enumerate(SHAPE)
            ),
            Duration(240, "lognormal", 0.8), Duration(150), RING_S,
        )
        for name, part in QUEUES.items()
    )  # fmt: skip
    return Scenario("a made-up day", types, _crew(crew), policy)


def _crew(count: int) -> tuple[Staff, ...]:
    """Half can Chinese alone, a fifth English alone, the others both; every third does no returns. In two shifts."""
    staff = []
    for number in range(count):
        skills = {"orders": 3}
        if number % 10 < 8:
            skills["zh"] = 4
        if number % 10 >= 5:
            skills["en"] = 3
        if number % 3:
            skills["returns"] = 2
        late = number % 4 == 3
        shift = (
            (3 * 3600.0, HOURS * 3600.0) if late else (0.0, (HOURS - 3) * 3600.0 if number % 4 == 0 else HOURS * 3600.0)
        )
        staff.append(Staff(str(2000 + number), skills, frozenset(), (shift,)))
    return tuple(staff)


def made_day(
    pool_of: Callable[[Policy], Matching], seed: int = 1, calls: int = 12_000
) -> tuple[list[DomainEvent], Scenario]:
    """The day's events in the order in which they were told, and the scenario behind them."""
    scenario = made_scenario(calls, crew=max(8, calls // 118))
    work = draw(scenario.types, seed)
    outcome = run(work, scenario.staff, pool_of(scenario.policy), scenario.items(work))
    events = [event for agent in scenario.staff for event in _presence(agent)]
    for number in range(len(work)):
        queue = scenario.types[int(work.kind[number])].name
        came, begun, gone = float(work.at[number]), float(outcome.begun[number]), float(outcome.hung_up[number])
        ix, offer_id = f"made-{number:06d}", f"{number:06d}"
        events.append(told.ItemQueued(
            interaction_id=ix, at=_at(came), queue=queue, enqueued_at=_at(came), channel=f"PJSIP/trunk-{number:06d}",
            language=queue.partition("_")[2],
        ))  # fmt: skip
        if not math.isnan(begun):
            extension = scenario.staff[int(outcome.agent[number])].extension
            events += _served(ix, offer_id, queue, extension, came, begun, float(work.handle_s[number]))
        elif not math.isnan(gone):
            waited = round(gone - came, 3)
            events.append(told.ItemAbandoned(interaction_id=ix, at=_at(gone), queue=queue, waited_s=waited))
    events.sort(key=lambda event: event.at)
    return events, scenario


def _at(seconds: float) -> datetime:
    return MORNING + timedelta(milliseconds=round(seconds * 1000))


def _presence(agent: Staff) -> list[DomainEvent]:
    changes: list[DomainEvent] = []
    for since, until in agent.shifts:
        changes.append(
            told.AgentStateChanged(at=_at(since), extension=agent.extension, state="READY", actor="user:made")
        )
        changes.append(
            told.AgentStateChanged(at=_at(until), extension=agent.extension, state="OFFLINE", actor="user:made")
        )
    return changes


def _served(
    ix: str, offer_id: str, queue: str, extension: str, came: float, begun: float, handle_s: float
) -> Sequence[DomainEvent]:  # fmt: skip
    answered, done = begun + RING_S, begun + handle_s
    wrap_up = min(WRAP_UP_S, (handle_s - RING_S) / 3)
    ended = done - wrap_up
    return [
        told.OfferMade(
            interaction_id=ix, at=_at(begun), offer_id=offer_id, extension=extension, queue=queue, attempt=1,
            leg_id=f"{ix}-{offer_id}", waited_s=round(begun - came, 3),
        ),
        told.OfferAccepted(
            interaction_id=ix, at=_at(answered), offer_id=offer_id, extension=extension, queue=queue,
            waited_s=round(answered - came, 3), ring_s=RING_S,
        ),
        told.SegmentEnded(
            interaction_id=ix, at=_at(ended), offer_id=offer_id, extension=extension, queue=queue, ring_s=RING_S,
            talk_s=round(ended - answered, 3), hold_s=0.0, reason="caller_hangup",
        ),
        told.WrapUpStarted(interaction_id=ix, at=_at(ended), extension=extension, offer_id=offer_id, seconds=WRAP_UP_S),
        told.WrapUpEnded(interaction_id=ix, at=_at(done), extension=extension, offer_id=offer_id, wrap_up_s=round(wrap_up, 3)),
    ]  # fmt: skip
