"""Facts told twice, late, or in another order end where the usual order ends: nobody waits, nobody is held, nobody is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from core.events import DomainEvent, pbx
from tests.unit.routing.house import House, queue, record
from tests.virtual import VirtualLoop

IX = "n1-1.1"
SEEDS = 60


def names(offer_id: str = "o-1") -> dict[str, str]:
    return {"interaction_id": IX, "leg_id": f"{IX}-{offer_id}", "offer_id": offer_id, "extension": "101"}


def ringing(at: datetime) -> DomainEvent:
    return pbx.LegRinging(at=at, **names())


def answered(at: datetime) -> DomainEvent:
    return pbx.LegAnswered(at=at, **names())


def connected(at: datetime) -> DomainEvent:
    return pbx.CallConnected(at=at, **names())


def ended(cause: int, *, after_answer: bool = False) -> Callable[[datetime], DomainEvent]:
    return lambda at: pbx.LegEnded(at=at, cause=cause, answered=after_answer, **names())


def gone(at: datetime) -> DomainEvent:
    return pbx.CallEnded(interaction_id=IX, at=at, reason="caller_hangup")


STORIES: dict[str, tuple[list[Callable[[datetime], DomainEvent]], set[str]]] = {
    "talked, the agent hung up": ([ringing, answered, connected, ended(16, after_answer=True), gone], {"READY"}),
    "talked, the caller hung up": ([ringing, answered, connected, gone, ended(16, after_answer=True)], {"READY"}),
    "not answered": ([ringing, ended(19), gone], {"NOT_READY", "READY"}),
    "declined": ([ringing, ended(21), gone], {"NOT_READY", "READY"}),
    "hung up while it rang": ([ringing, gone, ended(26)], {"READY", "NOT_READY"}),
    "answered into a stale offer": ([ringing, answered, ended(21, after_answer=True), gone], {"READY"}),
    "the phone is not there": ([ended(20), gone], {"NOT_READY", "READY"}),
}


def lives(story: list[Callable[[datetime], DomainEvent]], seed: int | None) -> tuple[House, list[DomainEvent]]:
    """The owner after the story, an hour later; in the usual order, or mixed and repeated by `seed`."""
    loop = VirtualLoop()

    async def living() -> tuple[House, list[DomainEvent]]:
        it = House([record("101")], [queue()], lists=False)
        it.start()
        it.switch.connect()
        await it.live()
        it.ready("101")
        it.switch.arrive(IX)
        waiting = it.told.last("CallWaiting")
        it.switch.deaf = True  # from now on only the story is told
        await it.live(1)
        facts: list[DomainEvent] = [make(it.clock.now() + timedelta(seconds=n)) for n, make in enumerate(story)]
        if seed is not None:
            chance = random.Random(seed)
            facts = [fact for fact in [*facts, waiting] for _ in range(chance.choice((1, 1, 2, 3)))]
            chance.shuffle(facts)
        for fact in facts:
            it.stream.emit(fact)
            await it.live(random.Random(seed).choice((0.0, 0.01, 1.0)) if seed is not None else 1.0)
        await it.live(3600)
        await it.end()
        return it, facts

    try:
        return loop.run_until_complete(asyncio.wait_for(living(), 10_000))
    finally:
        loop.close()


@pytest.mark.parametrize("name", STORIES)
def test_any_order_and_any_repetition_leave_nobody_waiting_held_or_lost(name: str) -> None:
    story, lands = STORIES[name]
    usual, _ = lives(story, None)
    assert usual.agent("101").state in lands
    for seed in range(SEEDS):
        it, facts = lives(story, seed)
        book, agent = it.acd.book, it.agent("101")
        assert not book.waiting and not book.offers, (seed, facts)
        assert agent.state in lands and agent.offer_id == "" and agent.wanted is None, (seed, facts)
        kinds = it.told.kinds(of=IX)
        for made in it.told.all("OfferMade"):
            over = [e for e in it.told.events if getattr(e, "offer_id", "") == made.offer_id and e.kind in (
                "OfferDeclined", "OfferTimedOut", "OfferCancelled", "SegmentEnded")]  # fmt: skip
            assert len(over) == 1, (seed, made.offer_id, kinds)
        assert kinds.count("ItemAbandoned") <= 1, (seed, kinds)


@pytest.mark.parametrize("name", ["talked, the agent hung up", "talked, the caller hung up"])
def test_doubled_facts_in_their_order_change_nothing_at_all(name: str) -> None:
    story, _ = STORIES[name]
    usual, _ = lives(story, None)
    doubled, _ = lives([fact for fact in story for _ in range(3)], None)

    def told(it: House) -> list[str]:
        return [e.kind for e in it.told.events if type(e).__module__ == "core.events.routing"]

    assert told(doubled) == told(usual)
