"""Quarters of an hour: what is counted where, that rows add up, and that changing the clocks loses and doubles nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import DomainEvent
from core.events.routing import (
    AgentStateChanged,
    ItemAbandoned,
    ItemOverflowed,
    ItemQueued,
    OfferAccepted,
    OfferDeclined,
    OfferTimedOut,
    SegmentEnded,
    WrapUpEnded,
)
from routing import measures
from routing.intervals import AgentRow, Goal, QueueRow, agent_rows, interval_of, intervals_of_day, queue_rows

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def queued(
    ix: str, seconds: float, queue: str = "service", returned: bool = False, told_at: float | None = None
) -> ItemQueued:
    told = at(seconds if told_at is None else told_at)
    return ItemQueued(interaction_id=ix, at=told, queue=queue, enqueued_at=at(seconds), channel="c", returned=returned)


def accepted(ix: str, seconds: float, waited_s: float, queue: str = "service") -> OfferAccepted:
    return OfferAccepted(
        interaction_id=ix, at=at(seconds), offer_id=f"o-{ix}", extension="101", queue=queue, waited_s=waited_s
    )


def ended(ix: str, seconds: float, talk_s: float, hold_s: float = 0, offer: str = "", who: str = "101") -> SegmentEnded:
    return SegmentEnded(
        interaction_id=ix, at=at(seconds), offer_id=offer or f"o-{ix}", extension=who, queue="service", ring_s=3,
        talk_s=talk_s, hold_s=hold_s, reason="caller_hangup",
    )  # fmt: skip


def wrapped(ix: str, seconds: float, wrap_up_s: float, offer: str = "") -> WrapUpEnded:
    return WrapUpEnded(
        interaction_id=ix, at=at(seconds), extension="101", offer_id=offer or f"o-{ix}", wrap_up_s=wrap_up_s
    )


def state(seconds: float, name: str, reason: str = "", who: str = "101") -> AgentStateChanged:
    return AgentStateChanged(at=at(seconds), extension=who, state=name, reason=reason)


def rows(events: Sequence[DomainEvent], **goals: Goal) -> list[QueueRow]:
    return queue_rows(events, SHANGHAI, goals)


def test_an_item_counts_where_it_came_and_its_talk_where_it_ended() -> None:
    first, second = rows([queued("a", 890), accepted("a", 915, 25), ended("a", 1000, 80, 5), wrapped("a", 1030, 30)])
    assert (first.since, first.offered, first.answered, first.answered_in_t, first.answered_wait_s) == (T0, 1, 1, 0, 25)
    assert (second.since, second.offered, second.segments, second.interactions) == (at(900), 0, 1, 1)
    assert measures.aht_interaction_s(second.talk_s, second.hold_s, second.wrap_up_s, second.interactions) == 115


def test_a_row_adds_up_whatever_came_of_its_items() -> None:
    events = [
        queued("a", 0), queued("b", 1), queued("c", 2), queued("d", 3), queued("e", 4),
        ItemAbandoned(interaction_id="b", at=at(4), queue="service", waited_s=3),
        ItemAbandoned(interaction_id="c", at=at(14), queue="service", waited_s=12),
        ItemOverflowed(interaction_id="d", at=at(60), queue="service", reason="timeout"),
        accepted("a", 30, 30),
    ]  # fmt: skip
    (row,) = rows(events, service=Goal(within_s=30, short_s=5))
    assert (row.offered, row.answered, row.abandoned, row.overflowed) == (5, 1, 2, 1)
    assert (row.answered_in_t, row.abandoned_in_t, row.short_abandoned) == (1, 2, 1)
    assert measures.sl_excl_short(row.counts) == pytest.approx(1 / 2)
    assert row.longest_wait_s == 30


def test_who_was_answered_and_came_back_has_one_end() -> None:
    events = [
        queued("a", 0), accepted("a", 10, 10), ended("a", 11, 0), queued("a", 0, returned=True, told_at=11),
        accepted("a", 40, 40), ended("a", 100, 60),
    ]  # fmt: skip
    (row,) = rows(events)
    assert (row.offered, row.answered, row.answered_wait_s, row.segments) == (1, 1, 40, 1)


def test_a_transfer_is_one_interaction_with_two_segments() -> None:
    events = [
        queued("a", 0),
        accepted("a", 5, 5),
        ended("a", 60, 50, offer="o1"),
        ended("a", 200, 100, offer="o2", who="102"),
    ]
    (row,) = rows(events)
    assert (row.segments, row.interactions, row.talk_s) == (2, 1, 150)


def test_an_item_that_came_before_these_events_is_known_by_its_end() -> None:
    (row,) = rows([accepted("a", 5, 20)])
    assert (row.since, row.offered, row.answered) == (at(-900), 1, 1)


def test_an_agent_s_time_is_cut_at_the_edges_and_offline_is_nobody_s() -> None:
    events = [
        state(0, "READY"), state(600, "RESERVED"), state(605, "ENGAGED"), state(1200, "WRAP_UP"),
        ended("a", 1200, 590, 5), state(1230, "NOT_READY", "lunch"), wrapped("a", 1230, 30), state(1800, "OFFLINE"),
    ]  # fmt: skip
    first, second = agent_rows(events, SHANGHAI, at(3600))
    assert first == AgentRow("101", T0, ready_s=600, reserved_s=5, engaged_s=295)
    assert second == AgentRow(
        "101", at(900), engaged_s=300, wrap_up_s=30, not_ready_s={"lunch": 570}, segments=1, talk_s=590, hold_s=5,
        worked_after_s=30,
    )  # fmt: skip
    assert measures.occupancy(first.handling_s, first.ready_s) == pytest.approx(1 / 3)


def test_a_state_that_nobody_ended_lasts_until_we_look() -> None:
    (row,) = agent_rows([state(0, "READY")], SHANGHAI, at(300))
    assert row.ready_s == 300


def test_missed_and_refused_calls_are_the_agent_s() -> None:
    events = [
        OfferTimedOut(interaction_id="a", at=at(15), offer_id="o", extension="101", rang_s=15),
        OfferDeclined(interaction_id="b", at=at(20), offer_id="p", extension="101", cause=21),
    ]
    (row,) = agent_rows(events, SHANGHAI, at(60))
    assert (row.ronas, row.declined) == (1, 1)


@pytest.mark.parametrize(
    "day, quarters", [(date(2026, 3, 29), 92), (date(2026, 10, 25), 100), (date(2026, 11, 24), 96)]
)
def test_a_day_has_all_its_quarters_also_when_the_clocks_change(day: date, quarters: int) -> None:
    edges = intervals_of_day(day, BERLIN)
    assert len(edges) == quarters == len(set(edges))
    assert edges[0].astimezone(BERLIN).date() == day
    assert all(interval_of(edge, BERLIN) == edge for edge in edges)


def test_the_hour_that_comes_twice_is_counted_twice_and_not_added_up() -> None:
    twice = [datetime(2026, 10, 25, hour, 10, tzinfo=UTC) for hour in (0, 1)]  # 02:10 in summer, 02:10 in winter
    assert len({moment.astimezone(BERLIN).time() for moment in twice}) == 1
    assert len({interval_of(moment, BERLIN) for moment in twice}) == 2


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "Australia/Adelaide", "America/St_Johns", "Asia/Shanghai"])
def test_quarters_are_those_of_the_clock_on_the_wall(zone: str) -> None:
    local = interval_of(datetime(2026, 11, 24, 9, 7, 30, tzinfo=UTC), ZoneInfo(zone)).astimezone(ZoneInfo(zone))
    assert local.minute % 15 == 0 and local.second == 0


steps = st.lists(
    st.tuples(st.floats(0, 4000), st.sampled_from(["READY", "RESERVED", "ENGAGED", "WRAP_UP", "NOT_READY", "OFFLINE"])),
    min_size=1, max_size=20,
)  # fmt: skip


@given(steps)
def test_no_second_of_an_agent_is_lost_or_counted_twice(life: list[tuple[float, str]]) -> None:
    events, now, there = [], 0.0, 0.0
    for (_, name), following in zip(life, [*life[1:], (600.0, "")], strict=True):
        events.append(state(now, name))
        now += following[0]
        there += following[0] if name != "OFFLINE" else 0.0
    found = agent_rows(events, BERLIN, at(now))
    assert sum(row.handling_s + row.ready_s + sum(row.not_ready_s.values()) for row in found) == pytest.approx(
        there, abs=1e-3
    )
    for row in found:
        assert row.handling_s + row.ready_s + sum(row.not_ready_s.values()) <= 900.001
