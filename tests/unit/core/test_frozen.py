"""A frozen value, changed: as `dataclasses.replace` does it, on the paths where that is too slow."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime

import pytest

from core.frozen import changed
from pbx.call import Call, Leg

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CALL = Call("n1-1.1", caller=Leg("n1-1.1", channel="PJSIP/trunk-1"), told=frozenset({"arrived"}))


def test_it_is_what_replace_makes_and_the_old_one_stays() -> None:
    after = changed(CALL, arrived_at=NOW, legs={"n1-1.1-o": Leg("n1-1.1-o", "o")})
    assert after == replace(CALL, arrived_at=NOW, legs={"n1-1.1-o": Leg("n1-1.1-o", "o")})
    assert (type(after), CALL.arrived_at, CALL.legs) == (Call, None, {})


def test_what_was_changed_is_frozen_too_and_can_be_changed_again() -> None:
    after = changed(changed(CALL, ani="1"), ani="2")
    assert after.ani == "2"
    with pytest.raises(FrozenInstanceError):
        after.ani = "3"  # type: ignore[misc]
