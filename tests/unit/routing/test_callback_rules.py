"""The rules of callbacks by table and by chance: the place is never worse, the pauses are kept, the day is the customer's."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given

from routing.callbacks import model
from routing.callbacks.model import MISSES, Callback, State, after_miss, closes, is_open, merged, opens
from routing.callbacks.where import Where
from routing.model import WorkItem, item_from, item_record
from routing.policy.model import CallbackRules

T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SHANGHAI, BERLIN, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
zones = st.sampled_from([UTC, SHANGHAI, BERLIN, NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu")])
windows = st.sampled_from(["09:00-20:00", "00:00-24:00", "22:00-02:00", "08:30-08:31", "23:00-23:59", "02:15-02:45"])
moments = st.integers(0, 2 * 365 * 86400).map(lambda seconds: T0 + timedelta(seconds=seconds))


def entry(**values: object) -> Callback:
    item = WorkItem("cb.1.c", "service", "", T0, priority=2, callback="c1", ani="13900000001")
    return replace(Callback("c1", "13900000001", item, T0), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reason", "attempts", "becomes", "pause_s"),
    [
        ("no_answer", 1, State.WAITING, 900), ("busy", 1, State.WAITING, 900), ("refused", 1, State.WAITING, 900),
        ("voicemail", 1, State.WAITING, 900), ("unclear", 1, State.WAITING, 900), ("unreachable", 1, State.WAITING, 900),
        ("agent_gone", 1, State.WAITING, 60), ("switch_unavailable", 0, State.WAITING, 30),
        ("too_many_calls", 0, State.WAITING, 300), ("not_allowed", 1, State.ENDED, None), ("other", 1, State.WAITING, 900),
    ],
)  # fmt: skip
def test_what_follows_from_a_call_that_reached_nobody(
    reason: str, attempts: int, becomes: State, pause_s: float | None
) -> None:
    after = after_miss(entry(), reason, T0, CallbackRules(window="00:00-24:00"), UTC)
    assert (after.attempts, after.state) == (attempts, becomes)
    assert after.next_at == (None if pause_s is None else T0 + timedelta(seconds=pause_s))


def test_the_last_attempt_gives_up() -> None:
    after = after_miss(entry(attempts=2), "busy", T0, CallbackRules(attempts=3), UTC)
    assert (after.state, after.outcome, after.reason, after.attempts) == (State.ENDED, "given_up", "busy", 3)


@given(st.lists(st.sampled_from([*MISSES, "strange"]), max_size=20), windows, zones, moments, st.integers(1, 5))
def test_the_place_is_never_lost_and_nobody_is_tried_for_ever_or_at_night(
    reasons: list[str], window: str, zone: ZoneInfo, at: datetime, attempts: int
) -> None:
    rules, now = CallbackRules(attempts=attempts, window=window), entry()
    for reason in reasons:
        if now.state is State.ENDED:
            break
        now = after_miss(now, reason, at, rules, zone)
        assert (now.item.enqueued_at, now.item.priority) == (T0, 2)
        assert now.attempts <= attempts
        if now.next_at is not None:
            assert now.next_at > at and is_open(window, now.next_at, zone)
            at = now.next_at
    assert now.state is State.ENDED or sum(MISSES.get(reason, model.Miss()).counts for reason in reasons) < attempts


@given(moments, moments, st.integers(0, 9), st.integers(0, 9))
def test_one_entry_of_two_has_the_better_of_both(first: datetime, second: datetime, mine: int, theirs: int) -> None:
    one = entry()
    one = replace(one, item=replace(one.item, enqueued_at=first, priority=mine))
    other = WorkItem("n1-1.1", "service", "PJSIP/trunk-1", second, priority=theirs)
    after = merged(one, other).item
    assert (after.enqueued_at, after.priority) == (min(first, second), max(mine, theirs))
    assert after.interaction_id == one.item.interaction_id and not after.channel
    live = model.inherited(other, one.item)
    assert (live.enqueued_at, live.priority) == (min(first, second), max(mine, theirs))
    assert (live.interaction_id, live.channel) == (other.interaction_id, other.channel)


@given(windows, zones, moments)
def test_a_window_opens_and_closes_by_the_clock_on_the_customers_wall(
    window: str, zone: ZoneInfo, at: datetime
) -> None:
    first = opens(window, at, zone)
    assert first >= at and is_open(window, first, zone) and first - at < timedelta(days=2)
    assert closes(window, first, zone) > first
    if first > at:
        assert not is_open(window, first - timedelta(microseconds=1), zone) or window == "00:00-24:00"


def test_in_the_night_in_which_the_clock_changes_the_morning_is_the_wall_clocks() -> None:
    before = datetime(2026, 3, 28, 21, 0, tzinfo=UTC)  # Berlin is set forward at 02:00
    assert opens("09:00-20:00", before, BERLIN) == datetime(2026, 3, 29, 7, 0, tzinfo=UTC)
    assert opens("09:00-20:00", before - timedelta(days=1), BERLIN) == datetime(2026, 3, 28, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("13900001111", SHANGHAI), ("+8613900001111", SHANGHAI), ("+4915112345678", BERLIN), ("+12125550123", NEW_YORK),
        ("004915112345678", BERLIN), ("110", SHANGHAI), ("", SHANGHAI), ("anonymous", SHANGHAI), ("+99999", SHANGHAI),
    ],
)  # fmt: skip
def test_a_number_has_its_own_time_of_day(number: str, zone: ZoneInfo) -> None:
    found = Where("CN", SHANGHAI).zone(number)
    assert T0.astimezone(found).utcoffset() == T0.astimezone(zone).utcoffset()


def test_spellings_of_one_number_are_one_and_an_entry_is_the_same_after_it_was_written_down() -> None:
    where = Where("CN", SHANGHAI)
    assert (
        len({where.key(text) for text in ("13900001111", "139 0000 1111", "+86 139-0000-1111", "008613900001111")}) == 1
    )
    item = entry().item
    assert item_from(item_record(item)) == item
