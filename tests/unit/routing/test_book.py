"""What the owner remembers: who is gone stays gone, who is over stays over, and only so much is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.clock import ManualClock
from core.errors import NotFound
from core.events.stream import EventStream
from routing import book as room
from routing.agent import Act, State
from routing.book import Book
from routing.model import Offer, WorkItem
from routing.policy.model import Policy, QueuePolicy
from tests.unit.routing.house import record

T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ITEM = WorkItem("ix", "service", "c", T0)


class Kept:
    def __init__(self) -> None:
        self.events: list = []

    def emit(self, event: object) -> None:
        self.events.append(event)


@pytest.fixture
def told() -> Kept:
    return Kept()


@pytest.fixture
def book(told: Kept) -> Book:
    return Book(
        Policy({"service": QueuePolicy("service", ring_s=7)}), [record("101")], EventStream(told), ManualClock(T0)
    )


def offer(offer_id: str = "o1", **more: object) -> Offer:
    return Offer(offer_id, ITEM, "101", 1000.0, **more)  # type: ignore[arg-type]


def test_a_change_of_an_agent_is_told_and_what_does_not_count_is_not(book: Book, told: Kept) -> None:
    assert book.happen("101", Act.SAY_READY, actor="user:li")
    assert not book.happen("101", Act.SAY_READY, actor="user:li")
    assert [(e.kind, e.state, e.actor) for e in told.events] == [("AgentStateChanged", "READY", "user:li")]
    assert book.agent("101").state is State.READY
    with pytest.raises(NotFound):
        book.agent("999")


def test_a_queue_nobody_configured_has_plain_rules_and_no_after_call_work(book: Book) -> None:
    assert book.policy("service").ring_s == 7
    assert (book.policy("elsewhere").wrap_up_s, book.policy("elsewhere").skills) == (0, {})


def test_a_device_of_nobody_we_know_is_let_go(book: Book) -> None:
    book.device("999", reachable=True, in_use=True)
    book.device("101", reachable=True, in_use=False)
    assert set(book.agents) == {"101"} and book.agents["101"].reachable


def test_who_is_put_back_keeps_the_moment_they_came_and_has_one_attempt_more(book: Book) -> None:
    book.put_back(ITEM)
    assert book.waiting == {"ix": replace(ITEM, attempts=1)}
    book.put_back(ITEM)
    assert book.waiting["ix"].attempts == 1, "who waits already is left where they are"


@pytest.mark.parametrize(
    ("other", "back"),
    [
        (offer(), False),  # rings elsewhere
        (offer(answered_at=1.0), False),  # about to be joined
        (offer(answered_at=1.0, connected_at=1.0, talking_since=T0), False),
        (offer(answered_at=1.0, connected_at=1.0, unconfirmed=True), False),
        (offer(answered_at=1.0, connected_at=1.0, talking_since=T0 - timedelta(seconds=9)), True),  # sent back since
    ],
)
def test_who_is_offered_elsewhere_or_talks_is_not_put_back(book: Book, other: Offer, back: bool) -> None:
    book.new_visit("ix", T0 - timedelta(seconds=5))
    book.offers["o1"] = other
    book.put_back(ITEM)
    assert ("ix" in book.waiting) is back


def test_who_is_gone_is_not_put_back(book: Book) -> None:
    book.mark_gone("ix")
    book.put_back(ITEM)
    assert book.waiting == {}


def test_the_same_moment_of_waiting_is_one_visit_and_another_is_another(book: Book) -> None:
    assert not book.seen_before("ix")
    assert book.new_visit("ix", T0)
    assert book.seen_before("ix") and not book.new_visit("ix", T0)
    assert book.new_visit("ix", T0 - timedelta(hours=1)), "a clock that was moved back hides nobody"


def test_only_so_much_is_remembered_and_the_newest_of_it(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "REMEMBERED", 3)
    for number in range(5):
        book.mark_gone(f"ix{number}")
        book.mark_over(f"o{number}")
    assert [book.is_gone(f"ix{n}") for n in range(5)] == [False, False, True, True, True]
    assert [book.is_over(f"o{n}") for n in range(5)] == [False, False, True, True, True]
    book.mark_gone("ix2")
    book.mark_gone("ix9")
    assert book.is_gone("ix2") and not book.is_gone("ix3"), "who was told again is remembered longer"


def test_a_wait_is_never_negative(book: Book) -> None:
    assert book.waited_s(replace(ITEM, enqueued_at=T0 + timedelta(hours=1))) == 0
    early = replace(ITEM, interaction_id="early", enqueued_at=T0 - timedelta(seconds=1.5))
    assert book.waited_s(early) == 1.5
