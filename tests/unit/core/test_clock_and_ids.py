"""Time and chance come in as parameters; what the real ones promise."""

from __future__ import annotations

from datetime import UTC

import pytest

from core.clock import ManualClock, SystemClock
from core.ids import CountingIds, new_id, new_secret


def test_the_wall_clock_is_utc_to_the_millisecond() -> None:
    now = SystemClock().now()
    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0


def test_the_monotonic_clock_never_goes_back() -> None:
    clock = SystemClock()
    seen = [clock.monotonic() for _ in range(1000)]
    assert seen == sorted(seen)


def test_a_jump_moves_the_wall_clock_alone() -> None:
    clock = ManualClock()
    wall, seconds = clock.now(), clock.monotonic()
    clock.jump(-3600)
    assert ((clock.now() - wall).total_seconds(), clock.monotonic() - seconds) == (-3600, 0)
    clock.advance(5)
    assert ((clock.now() - wall).total_seconds(), clock.monotonic() - seconds) == (-3595, 5)


def test_ids_are_unique_and_sort_by_the_time_of_their_making() -> None:
    made = [new_id() for _ in range(10_000)]
    assert len(set(made)) == 10_000
    assert made == sorted(made)
    assert all(len(one) == 36 and one[14] == "7" for one in made)


def test_a_secret_is_long_random_and_fits_every_configuration_file_and_url() -> None:
    made = {new_secret() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(one) == 32 and one.isascii() and one.isalnum() for one in made)
    assert len(set("".join(made))) == 57
    with pytest.raises(ValueError, match="16"):
        new_secret(15)


def test_counting_ids_can_be_foreseen() -> None:
    ids = CountingIds("x")
    assert [ids(), ids()] == ["x-1", "x-2"]
