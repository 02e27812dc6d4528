"""The figures by which a call centre is run, with the data by which they are checked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from routing import measures
from routing.measures import Contact, Counts, Stretch

DAY = Counts(answered=1000, abandoned=60, answered_in_t=860, abandoned_in_t=20, short_abandoned=10)
T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "name, level",
    [
        ("sl_offered", 0.8113), ("sl_excl_abandon_in_t", 0.8269), ("sl_excl_short", 0.8190),
        ("sl_credit_abandon_in_t", 0.8302), ("sl_credit_short", 0.8208), ("sl_answered_only", 0.8600),
    ],
)  # fmt: skip
def test_the_six_service_levels_of_one_day(name: str, level: float) -> None:
    assert measures.SERVICE_LEVELS[name](DAY) == pytest.approx(level, abs=5e-5)


def test_every_variant_is_known_by_its_id_and_the_plain_one_is_the_default() -> None:
    assert all(function.__name__ == name for name, function in measures.SERVICE_LEVELS.items())
    assert all("/" in (function.__doc__ or "") for function in measures.SERVICE_LEVELS.values())
    assert measures.DEFAULT_SERVICE_LEVEL == "sl_offered"


def test_nothing_divided_by_nothing_is_no_figure() -> None:
    none = Counts()
    assert [level(none) for level in measures.SERVICE_LEVELS.values()] == [None] * 6
    assert measures.abandonment(none) is None
    assert measures.asa_s(0.0, 0) is None
    assert measures.aht_segment_s(0, 0, 0, 0) is None
    assert measures.occupancy(0, 0) is None
    assert measures.fcr([]) is None


def test_days_add_up() -> None:
    assert sum([DAY, DAY], Counts()) == Counts(2000, 120, 1720, 40, 20)
    assert measures.abandonment(DAY) == pytest.approx(60 / 1060)


def test_a_transferred_call_counts_twice_for_agents_and_once_for_the_queue() -> None:
    assert measures.aht_segment_s(300, 60, 40, 2) == 200
    assert measures.aht_interaction_s(300, 60, 40, 1) == 400


def test_asa_knows_only_the_answered() -> None:
    assert measures.asa_s(7840, 1000) == pytest.approx(7.84)


def test_shares_of_an_agent_s_day() -> None:
    handling, ready, away = 18_000, 7_200, 3_600
    assert measures.occupancy(handling, ready) == pytest.approx(0.7143, abs=5e-5)
    assert measures.utilisation(handling, ready, away) == pytest.approx(0.875)
    assert measures.shrinkage(8_640, 28_800) == pytest.approx(0.30)
    assert measures.adherence(27_000, 28_800) == pytest.approx(0.9375)


def stretch(since_min: float, until_min: float, kind: str) -> Stretch:
    return Stretch(T0 + timedelta(minutes=since_min), T0 + timedelta(minutes=until_min), kind)


def test_adherent_is_who_does_at_each_moment_what_the_roster_says() -> None:
    roster = [stretch(0, 120, "work"), stretch(120, 135, "break"), stretch(135, 240, "work")]
    day = [stretch(5, 125, "work"), stretch(125, 140, "break"), stretch(140, 260, "work")]
    # 5 … 120 work, 125 … 135 break, 140 … 240 work
    assert measures.adherent_s(roster, day) == (115 + 10 + 100) * 60
    assert measures.adherent_s(roster, []) == 0
    assert measures.adherent_s(roster, roster) == 240 * 60


def contact(days: float, customer: str = "c1", problem: str = "late") -> Contact:
    return Contact(T0 + timedelta(days=days), customer, problem)


def test_who_comes_back_within_seven_days_with_the_same_problem_was_not_helped() -> None:
    calls = [contact(0), contact(6.9), contact(30), contact(1, "c2"), contact(2, problem="refund")]
    assert measures.repeats(calls) == (1, 5)
    assert measures.fcr(calls) == pytest.approx(0.8)


def test_the_window_counts_from_the_contact_before_whatever_the_order_of_the_rows() -> None:
    assert measures.repeats([contact(12), contact(6), contact(0)]) == (2, 3)
    assert measures.repeats([contact(0), contact(7), contact(14.001)]) == (1, 3)


def test_who_is_not_known_can_neither_repeat_nor_be_repeated() -> None:
    assert measures.repeats([contact(0, ""), contact(1, ""), contact(2, problem=""), contact(3)]) == (0, 1)
