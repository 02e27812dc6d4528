"""What expires when; a legal hold wins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.retention import Kept, expired, expires_at

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def test_a_recording_goes_on_the_day_and_not_before() -> None:
    kept = Kept("r", NOW - timedelta(days=180))
    assert expired([kept], 180, NOW) == ["r"]
    assert expired([kept], 180, NOW - timedelta(milliseconds=1)) == []


def test_less_than_a_day_is_refused() -> None:
    with pytest.raises(ValueError, match="at least a day"):
        expires_at(NOW, 0)


@given(st.lists(st.tuples(st.integers(0, 5000), st.booleans())), st.integers(1, 3650))
def test_a_legal_hold_wins_over_every_age(recordings: list[tuple[int, bool]], keep_days: int) -> None:
    kept = [Kept(str(i), NOW - timedelta(days=age), hold) for i, (age, hold) in enumerate(recordings)]
    gone = set(expired(kept, keep_days, NOW))
    assert gone == {k.recording_id for k in kept if not k.legal_hold and (NOW - k.created_at).days >= keep_days}
