"""When the door to new calls closes, and when it opens again."""

from __future__ import annotations

from app.admission import CLOSE_AFTER_S, OPEN_AFTER_S, Gate
from core.settings import AdmissionSettings

LIMITS = AdmissionSettings()


def test_one_slow_moment_closes_nothing_and_a_slow_while_does() -> None:
    gate = Gate(LIMITS)
    assert gate.look(LIMITS.max_lag_s * 2, 0.0, 0.0)
    assert gate.look(0.0, 0.0, 0.5)
    assert gate.look(LIMITS.max_lag_s * 2, 0.0, 1.0)
    assert not gate.look(LIMITS.max_lag_s * 2, 0.0, 1.0 + CLOSE_AFTER_S)
    assert "late" in gate.why


def test_a_switch_that_answers_slowly_closes_the_door_too() -> None:
    gate = Gate(LIMITS)
    gate.look(0.0, LIMITS.max_round_trip_s * 1.1, 0.0)
    assert not gate.look(0.0, LIMITS.max_round_trip_s * 1.1, CLOSE_AFTER_S)
    assert "switch" in gate.why


def test_the_door_opens_only_after_a_calm_while() -> None:
    gate = Gate(LIMITS)
    for now in (0.0, CLOSE_AFTER_S):
        gate.look(LIMITS.max_lag_s * 2, 0.0, now)
    assert not gate.look(0.0, 0.0, 2.0)
    assert not gate.look(LIMITS.max_lag_s * 0.8, 0.0, 3.0)  # under the limit, not calm
    assert not gate.look(0.0, 0.0, 4.0)
    assert gate.look(0.0, 0.0, 4.0 + OPEN_AFTER_S)
    assert gate.why == ""
