"""When a switch that lives and does not serve is killed, and what is told of it."""

from __future__ import annotations

import os
from pathlib import Path

from app.world.switch_watch import STALE_S, LastSeen, Seen, verdict
from core.settings import SupervisorSettings

LIMITS = SupervisorSettings()


def test_a_switch_that_answers_neither_phones_nor_its_console_is_killed_soon() -> None:
    late = LIMITS.switch_s + 0.1
    assert "console" in verdict(Seen(late, booted=True, console=False), LIMITS)
    assert not verdict(Seen(LIMITS.switch_s - 0.1, booted=True, console=False), LIMITS)


def test_a_switch_that_is_only_deaf_may_carry_talks_and_is_given_longer() -> None:
    assert not verdict(Seen(LIMITS.switch_s + 1, booted=True, console=True), LIMITS)
    assert "deaf" in verdict(Seen(LIMITS.deaf_s + 0.1, booted=True, console=True), LIMITS)


def test_a_switch_that_has_not_answered_yet_has_its_time_to_come_up() -> None:
    assert not verdict(Seen(LIMITS.deaf_s + 1, booted=False, console=False), LIMITS)
    assert "come up" in verdict(Seen(LIMITS.start_s + 1, booted=False), LIMITS)


def test_a_finding_is_old_when_it_stands_still_whatever_the_wall_clock_says(tmp_path: Path) -> None:
    file = tmp_path / "switch.json"
    last = LastSeen(file)
    assert last.look(0.0) is None
    file.write_text('{"silent_s": 6.0}', encoding="utf-8")
    os.utime(file, (1, 1))  # as after a jump of the clock
    assert last.look(1.0) == (6.0, True)
    assert last.look(1.0 + STALE_S) == (6.0, False)
    os.utime(file, (2, 2))
    assert last.look(2.0 + STALE_S) == (6.0, True)
