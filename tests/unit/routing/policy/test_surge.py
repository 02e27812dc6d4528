"""Surge: one switch that always has an end, and then everything is as it was."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput, Unavailable
from routing.policy.desk import PolicyDesk
from routing.policy.document import Document
from routing.policy.model import Overflow, Policy
from routing.policy.store import Switch
from routing.policy.text import load
from routing.surge import MOST_S, USUAL_S, Surge, end_of, with_surge
from tests.lots import lots
from tests.unit.routing.policy.documents import documents
from tests.virtual import LoopClock, now, virtual_time

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)
TEXT = """
queues:
  service:
    max_wait_s: 600
    overflow: {timeout: voicemail, closed: closing}
    waits: {every_s: 30, expected_wait: true, prompts: [still-here]}
  express: {max_waiting: 5}
surge:
  service:
    greeting: many-calls
    expected_wait_prompt: an-hour
    callback_offer_after_s: 30
    overflow: {full: callback, timeout: callback}
    max_waiting: 100
    max_wait_s: 1200
    leave_without: [offline]
"""
DOCUMENT = load(TEXT)


def test_while_it_is_on_the_queues_it_names_are_otherwise_and_no_others() -> None:
    calm = DOCUMENT.policy
    policy = with_surge(calm, Surge(DOCUMENT.surge, LATER), NOW)
    assert policy.queues["express"] == calm.queues["express"]
    service = policy.queues["service"]
    assert (service.waits.greeting, service.waits.expected_wait_prompt) == ("many-calls", "an-hour")
    assert service.waits.prompts == ("still-here",) and service.waits.every_s == 30
    assert service.callback.offer_after_s == 30
    assert service.overflow == {
        "timeout": Overflow("callback"), "closed": Overflow("closing"), "full": Overflow("callback"),
    }  # fmt: skip
    assert (service.max_waiting, service.max_wait_s, service.leave_without) == (100, 1200, frozenset({"offline"}))


@pytest.mark.parametrize("until", [None, NOW, NOW - timedelta(seconds=1)], ids=["off", "ending now", "over"])
def test_when_it_is_off_or_over_nothing_is_changed(until: datetime | None) -> None:
    assert with_surge(DOCUMENT.policy, Surge(DOCUMENT.surge, until), NOW) is DOCUMENT.policy


@settings(max_examples=lots(40))
@given(documents(), st.integers(0, 200_000))
def test_a_surge_changes_only_what_it_names_and_always_has_an_end(document: Document, seconds: int) -> None:
    surge = Surge(document.surge, NOW + timedelta(seconds=seconds))
    policy = with_surge(document.policy, surge, NOW)
    assert policy.queues.keys() == document.policy.queues.keys()
    for name, queue in document.policy.queues.items():
        if name not in document.surge:
            assert policy.queues[name] == queue
    assert with_surge(document.policy, surge, NOW + timedelta(seconds=seconds)) == document.policy


def test_it_lasts_two_hours_unless_said_otherwise_and_a_day_at_most() -> None:
    assert end_of(NOW) - NOW == timedelta(seconds=USUAL_S) == timedelta(hours=2)
    assert end_of(NOW, MOST_S) - NOW == timedelta(hours=24)
    for seconds in (0, -1, MOST_S + 1, float("inf"), float("nan")):
        with pytest.raises(BadInput):
            end_of(NOW, seconds)


class Away:
    """A database that does not answer."""

    def read(self) -> Any:
        raise Unavailable("database")

    def unit(self, actor: str) -> Any:
        raise Unavailable("database")


@virtual_time
async def test_it_ends_by_itself_at_its_second_also_while_the_database_is_away() -> None:
    clock = LoopClock()
    told: list[tuple[float, Policy]] = []
    began = now()
    desk = PolicyDesk(Away(), clock, DOCUMENT)  # type: ignore[arg-type]
    desk.switch = Switch(1, end_of(clock.now()), "user:chen", clock.now())
    desk.apply = lambda policy: told.append((now() - began, policy))
    running = asyncio.get_running_loop().create_task(desk.run())
    await asyncio.sleep(USUAL_S + 60)
    running.cancel()
    assert [(round(at), policy) for at, policy in told] == [
        (0, with_surge(DOCUMENT.policy, Surge(DOCUMENT.surge, LATER), NOW)), (round(USUAL_S), DOCUMENT.policy),
    ]  # fmt: skip
