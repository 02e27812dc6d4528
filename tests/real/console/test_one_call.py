"""One real call, from log-in to the told story, as an agent and a supervisor see it in their browsers."""

from __future__ import annotations

import pytest

from tests.real.console.one_call import NOTE, OneCall

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_states_chosen_and_lived_at_the_desk_are_on_the_supervisors_wallboard(told: OneCall) -> None:
    assert told.seen_by_boss == ["READY", "ENGAGED", "WRAP_UP", "READY"]


async def test_the_order_stands_in_the_agents_page_before_the_phone_rings(told: OneCall) -> None:
    print(f"frame to document {told.shown_ms - told.card_ms:.1f} ms; ring {told.rang_ms - told.shown_ms:.1f} ms later; reload {told.reload_s:.3f}")
    assert told.shown_ms < told.rang_ms


async def test_the_wrap_up_is_saved_as_it_was_written(told: OneCall) -> None:
    assert told.facts["disposition"] == "delivery"
    ended = next(moment["data"] for moment in told.facts["timeline"] if moment["kind"] == "WrapUpEnded")
    assert ended["note"] == NOTE
