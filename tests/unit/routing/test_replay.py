"""A recorded day under other rules: what is taken from the events, what is drawn, and that it is quick and repeatable."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from core.events import DomainEvent
from core.events.pbx import CallWaiting
from core.events.routing import (
    AgentStateChanged,
    ItemAbandoned,
    ItemOverflowed,
    ItemQueued,
    OfferAccepted,
    SegmentEnded,
    WrapUpEnded,
)
from routing.policy.model import Policy, PriorityClass
from routing.pool import Pool
from routing.replay import RecordedDay, figures, recorded_day, replay
from routing.sim.made_day import MORNING, made_day, made_scenario
from routing.sim.recorded import bounds, events_of_day
from routing.sim.study import compare_day
from tests.unit.routing.database import copy, sqlite

T0 = MORNING
SKILLS = {agent.extension: agent.skills for agent in made_scenario().staff}


def at(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def state(seconds: float, name: str, who: str = "101") -> AgentStateChanged:
    return AgentStateChanged(at=T0 + at(seconds), extension=who, state=name)


def queued(ix: str, seconds: float, returned: bool = False) -> ItemQueued:
    return ItemQueued(
        interaction_id=ix, at=T0 + at(seconds), queue="q", enqueued_at=T0 + at(seconds), channel="c", returned=returned
    )


def served(
    ix: str, seconds: float, waited_s: float, talk_s: float, wrap_up_s: float = 0, queue: str = "q"
) -> list[DomainEvent]:
    who = {"interaction_id": ix, "offer_id": f"o-{ix}", "extension": "101"}
    answered, ended = T0 + at(seconds), T0 + at(seconds + talk_s)
    return [
        OfferAccepted(at=answered, queue=queue, waited_s=waited_s, ring_s=3, **who),  # type: ignore[arg-type]
        SegmentEnded(at=ended, queue=queue, ring_s=3, talk_s=talk_s, hold_s=0, reason="completed", **who),  # type: ignore[arg-type]
        WrapUpEnded(at=ended + at(wrap_up_s), wrap_up_s=wrap_up_s, **who),  # type: ignore[arg-type]
    ]


def small_day() -> list[DomainEvent]:
    return [
        state(0, "READY"), queued("a", 10), *served("a", 15, 5, 60, 20), queued("b", 20), queued("c", 30),
        ItemAbandoned(interaction_id="c", at=T0 + at(70), queue="q", waited_s=40), *served("b", 98, 78, 30),
        state(130, "NOT_READY"), state(200, "READY"), queued("d", 210),
        ItemOverflowed(interaction_id="d", at=T0 + at(240), queue="q", reason="closed"), state(300, "OFFLINE"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made() -> RecordedDay:
    events, _ = made_day(Pool, seed=1, calls=6000)
    return recorded_day(events, SKILLS)


def test_calls_and_agents_are_those_of_the_day() -> None:
    day = recorded_day(small_day(), {})
    assert day.work.at.tolist() == [10, 20, 30, 210]
    assert day.work.handle_s.tolist()[:2] == [3 + 60 + 20, 3 + 30]
    assert [agent.shifts for agent in day.staff] == [((0.0, 130.0), (200.0, 300.0))]


def test_who_hung_up_had_that_much_patience_and_the_others_more_than_they_needed() -> None:
    day = recorded_day(small_day(), {})
    assert day.work.patience_s[2] == 40
    assert day.work.patience_s[0] > 5 - 3 and day.work.patience_s[1] > 78 - 3
    nobody_left = recorded_day([it for it in small_day() if not isinstance(it, ItemAbandoned)], {})
    assert np.isinf(nobody_left.work.patience_s).all()


def test_a_call_whose_caller_hung_up_would_have_taken_as_long_as_another_of_its_queue() -> None:
    day = recorded_day(small_day(), {})
    assert day.work.handle_s[2] - day.work.ring_s[2] in (80.0, 30.0)


def test_how_it_was_is_told_in_the_same_figures() -> None:
    day = recorded_day(small_day(), {})
    classes, _ = figures(day, day.was)
    assert [classes["q"][what] for what in ("answered", "abandoned", "sent_on", "left")] == [2, 1, 1, 0]
    assert classes["q"]["asa_s"] == pytest.approx((5 + 78) / 2)


def test_a_caller_who_came_back_is_one_call() -> None:
    events = [state(0, "READY"), queued("a", 10), queued("a", 12, returned=True), *served("a", 20, 10, 30)]
    assert len(recorded_day(events, {}).work) == 1


def test_a_caller_who_was_moved_into_another_queue_is_one_call_that_came_to_the_first() -> None:
    moved = [
        ItemOverflowed(interaction_id="a", at=T0 + at(40), queue="q", reason="timeout", to="queue:r"),
        ItemQueued(
            interaction_id="a", at=T0 + at(40), queue="r", enqueued_at=T0 + at(10), channel="c", returned=True
        ),
    ]  # fmt: skip
    answered = served("a", 50, 40, 30, queue="r")
    day = recorded_day([state(0, "READY"), queued("a", 10), *moved, *answered], {})
    (call,) = day.alike
    assert (call.queue, len(day.work)) == ("q", 1)
    assert figures(day, day.was)[0]["q"]["asa_s"] == 40


def test_what_the_ticket_said_counts_in_the_replay() -> None:
    ticket = CallWaiting(
        interaction_id="a", at=T0 + at(9), channel="c", queue="q", enqueued_at=T0 + at(9), problem="refund", tier="gold",
        facts={"value": "60000", "owner": "101"},
    )  # fmt: skip
    day = recorded_day([ticket, *small_day()], {})
    first = day.alike[int(day.work.kind[0])]
    assert (first.tier, first.problem, first.value_minor, first.owner) == ("gold", "refund", 60_000, "101")
    assert len(day.alike) == 2


def test_a_day_on_which_nobody_came_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody came"):
        recorded_day([state(0, "READY")], {})


def test_the_day_under_its_own_rules_comes_out_nearly_as_it_was(made: RecordedDay) -> None:
    own = made_scenario().policy
    was, again = figures(made, made.was)[0], figures(made, replay(made, Pool(own), own))[0]
    for queue in made_scenario().policy.queues:
        level, level_again = was[queue]["sl_offered"], again[queue]["sl_offered"]
        assert level is not None and level_again is not None and abs(level - level_again) < 0.03
        wait, wait_again = was[queue]["asa_s"], again[queue]["asa_s"]
        assert wait is not None and wait_again is not None and abs(wait - wait_again) < max(3, 0.2 * wait)


def test_other_rules_give_another_day_for_those_they_favour(made: RecordedDay) -> None:
    own = made_scenario().policy
    better = replace(
        own,
        queues={n: replace(q, default_class="gold") if n.startswith("returns") else q for n, q in own.queues.items()},
        classes={"gold": PriorityClass("gold", 3.0)},
    )  # fmt: skip
    study = compare_day(made, {"own": own, "returns first": better}, Pool)
    assert study.differences["returns_zh"]["asa_s"].mean < 0 < study.differences["orders_zh"]["asa_s"].mean


def test_twelve_thousand_calls_take_less_than_twenty_seconds_and_the_same_bytes_twice() -> None:
    (events, scenario), texts = made_day(Pool, seed=3), []
    began = time.perf_counter()
    for _ in range(2):
        day = recorded_day(events, SKILLS, seed=5)
        assert len(day.work) == pytest.approx(12_000, abs=500)
        study = compare_day(day, {"own": scenario.policy, "plain": Policy()}, Pool)
        texts.append(json.dumps(study.record(), sort_keys=True) + "\n".join(study.lines()))
    assert texts[0] == texts[1]
    assert (time.perf_counter() - began) / 2 < 20


def test_another_seed_draws_what_is_not_known_anew_and_keeps_what_is(made: RecordedDay) -> None:
    events, _ = made_day(Pool, seed=1, calls=6000)
    other = recorded_day(events, SKILLS, seed=2)
    gone = ~np.isnan(made.was.hung_up)
    assert gone.any() and (other.work.patience_s[gone] == made.work.patience_s[gone]).all()
    assert (other.work.patience_s != made.work.patience_s).any()
    assert not math.isnan(other.work.handle_s.sum())


async def test_a_day_is_read_from_the_event_table_by_the_clock_on_the_wall() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    since, until = bounds(date(2026, 11, 24), zone)
    assert (since.hour, until - since) == (16, timedelta(days=1))
    early = AgentStateChanged(at=since - at(3600), extension="102", state="READY")
    late = queued("tomorrow", 16 * 3600 + 5)
    async with sqlite() as conn:
        await copy(conn, [early, *small_day(), late])
        found = await events_of_day(conn, date(2026, 11, 24), zone)
    assert found[0] == replace(early, at=since)
    day = recorded_day(found, {})
    assert len(day.work) == 4 and {agent.extension for agent in day.staff} == {"101", "102"}
