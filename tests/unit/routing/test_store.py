"""Rows of offers, segments and last words: whenever and however often events are copied, the rows are the same."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.events import DomainEvent, from_record, to_record
from core.events.routing import (
    AgentStateChanged,
    OfferAccepted,
    OfferCancelled,
    OfferMade,
    OfferRinging,
    RoutingEvent,
    SegmentEnded,
    WrapUpEnded,
    WrapUpStarted,
)  # fmt: skip
from routing import store
from routing.model import AgentRecord, OpenOffer, OpenWrapUp, Unfinished
from tests.unit.routing.database import copy, sqlite
from tests.unit.routing.house import House, queue, record
from tests.virtual import VirtualLoop

T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
TABLES = (store.said_table, store.offer_table, store.segment_table)
Rows = dict[str, list[dict[str, Any]]]


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


async def rows(conn: AsyncConnection) -> Rows:
    return {
        table.name: [dict(row._mapping) for row in await conn.execute(select(table).order_by(*table.primary_key))]
        for table in TABLES
    }


@cache
def a_day() -> tuple[DomainEvent, ...]:
    """What is told of some hours with everything in them, played with a fixed seed."""
    loop, chance = VirtualLoop(), random.Random(7)

    async def living() -> list[DomainEvent]:
        it = House([record("101"), record("102")], [queue(max_misses=2), queue("express", wrap_up_s=0)])
        it.start()
        it.switch.connect()
        await it.live()
        for n in range(60):
            it.switch.arrive(f"n1-{n}.{n}", chance.choice(["service", "express"]), skills={"service": 1})
            await it.live(chance.choice([0.5, 5, 20]))
            for extension in ("101", "102"):
                act = chance.choice(
                    [
                        it.switch.answer,
                        it.switch.decline,
                        it.switch.agent_hangs_up,
                        it.switch.sent_back,
                        it.ready,
                        it.ready,
                    ]
                )
                act(extension)
                await it.live(1)
                if it.state(extension) == "WRAP_UP" and chance.random() < 0.5:
                    it.acd.extend_wrap_up(extension, 30, actor="user:li")
                    await it.live(2)
                    it.acd.finish_wrap_up(extension, disposition=chance.choice(["", "refund"]), actor="user:li")
                if chance.random() < 0.1:
                    it.say(extension, "NOT_READY", "lunch")
            if chance.random() < 0.3:
                it.switch.caller_hangs_up(chance.choice(list(it.switch.callers)))
        await it.end()
        return [from_record(to_record(event)) for event in it.told.events]

    try:
        return tuple(loop.run_until_complete(living()))
    finally:
        loop.close()


def test_the_day_has_everything_in_it() -> None:
    kinds = {event.kind for event in a_day()}
    assert {"OfferMade", "OfferRinging", "OfferAccepted", "OfferDeclined", "OfferTimedOut", "OfferCancelled", "SegmentEnded",
            "WrapUpStarted", "WrapUpEnded", "AgentStateChanged", "AgentStateAsked"} <= kinds  # fmt: skip


@pytest.fixture(scope="module")
def fresh() -> Rows:
    """The rows of the whole day, built in one go."""

    async def building() -> Rows:
        async with sqlite() as conn:
            await copy(conn, a_day())
            return await rows(conn)

    return asyncio.run(building())


@pytest.mark.parametrize("seed", range(6))
async def test_rows_of_a_snapshot_and_what_came_after_equal_a_fresh_snapshot(seed: int, fresh: Rows) -> None:
    """In batches of any size, some of them copied again: a flusher that fell over."""
    chance, events = random.Random(seed), list(a_day())
    async with sqlite() as conn:
        done = 0
        while done < len(events):
            batch = chance.choice([1, 3, 50, 500])
            await store.RoutingProjector().project(conn, events[max(0, done - chance.choice([0, 0, 7])) : done + batch])
            done += batch
        assert await rows(conn) == fresh


def story() -> list[DomainEvent]:
    """Offered in vain, then talked, wrapped up."""
    first = {"interaction_id": "ix", "offer_id": "o1", "extension": "101"}
    second = {"interaction_id": "ix", "offer_id": "o2", "extension": "102"}
    made = {"queue": "service"}
    told: list[RoutingEvent] = [
        OfferMade(at=at(1), attempt=1, leg_id="ix-o1", waited_s=1.0, **first, **made),
        OfferCancelled(at=at(2), reason="unreachable", **first),
        OfferMade(at=at(3), attempt=2, leg_id="ix-o2", waited_s=3.0, **second, **made),
        OfferRinging(at=at(4), **second),
        OfferAccepted(at=at(6), queue="service", waited_s=6.0, ring_s=2.0, **second),
        SegmentEnded(at=at(60), queue="service", ring_s=2.0, talk_s=50.0, hold_s=4.0, reason="talked", **second),
        WrapUpStarted(interaction_id="ix", at=at(60), extension="102", offer_id="o2", seconds=20),
        WrapUpEnded(
            interaction_id="ix", at=at(70), extension="102", offer_id="o2", wrap_up_s=10.0, disposition="refund"
        ),
    ]
    return [replace(event, epoch=3) for event in told]


async def test_the_rows_say_what_happened() -> None:
    async with sqlite() as conn:
        await copy(conn, story())
        built = await rows(conn)
    one, two = built["offer"]
    assert (one["outcome"], one["reason"], one["ended_at"], one["ringing_at"]) == (
        "cancelled",
        "unreachable",
        at(2),
        None,
    )
    assert (two["outcome"], two["attempt"], two["epoch"], two["made_at"], two["ringing_at"], two["waited_s"]) == (
        "accepted", 2, 3, at(3), at(4), 6.0,
    )  # fmt: skip
    (segment,) = built["segment"]
    assert [segment[name] for name in ("offer_id", "extension", "talk_s", "hold_s", "wrap_up_s", "disposition")] == [
        "o2", "102", 50.0, 4.0, 10.0, "refund",
    ]  # fmt: skip


def said(seconds: float, state: str, actor: str, reason: str = "") -> DomainEvent:
    return AgentStateChanged(at=at(seconds), extension="101", state=state, reason=reason, actor=actor)


@pytest.mark.parametrize(
    ("actor", "counts"),
    [
        ("user:li", True), ("phone:101", True), ("rule:offer", True),
        ("rule:talk", False), ("rule:wrap-up", False), ("rule:connect", False), ("system:restart", False),
    ],
)  # fmt: skip
async def test_last_words_are_what_people_said_or_a_missed_call_made_of_them(actor: str, counts: bool) -> None:
    async with sqlite() as conn:
        await copy(conn, [said(1, "READY", "user:li"), said(2, "NOT_READY", actor, "why")])
        words = await store.said_by_agents(conn)
    assert words == {"101": ("NOT_READY", "why") if counts else ("READY", "")}


async def test_states_that_only_calls_make_are_no_last_words() -> None:
    async with sqlite() as conn:
        await copy(conn, [said(1, "RESERVED", "user:li"), said(2, "ENGAGED", "rule:offer")])
        assert await store.said_by_agents(conn) == {}


@pytest.mark.parametrize(
    ("told", "left"),
    [
        (0, Unfinished()),
        (1, Unfinished((OpenOffer("ix", "o1", "101", "service", at(1)),))),
        (2, Unfinished()),
        (4, Unfinished((OpenOffer("ix", "o2", "102", "service", at(3), at(4)),))),
        (5, Unfinished((OpenOffer("ix", "o2", "102", "service", at(3), at(4), at(6)),))),
        (6, Unfinished()),
        (7, Unfinished(wrap_ups=(OpenWrapUp("ix", "o2", "102", at(60), at(60), 20),))),
        (8, Unfinished()),
    ],
)
async def test_what_was_under_way_is_found_at_every_point_of_a_call(told: int, left: Unfinished) -> None:
    async with sqlite() as conn:
        await copy(conn, story()[:told])
        assert await store.unfinished(conn, at(100)) == left


async def test_extended_work_began_when_it_began_and_ends_when_it_was_given_to() -> None:
    again = WrapUpStarted(interaction_id="ix", at=at(75), extension="102", offer_id="o2", seconds=300)
    async with sqlite() as conn:
        await copy(conn, [*story()[:7], again])
        (work,) = (await store.unfinished(conn, at(100))).wrap_ups
    assert (work.began_at, work.until) == (at(60), at(375))


async def test_what_is_older_than_half_a_day_is_not_under_way() -> None:
    async with sqlite() as conn:
        await copy(conn, story()[:5])
        assert await store.unfinished(conn, at(100) + store.LONGEST_TALK) == Unfinished()
        await copy(conn, story()[:7])
        assert await store.unfinished(conn, at(100) + store.LONGEST_TALK) == Unfinished()


async def test_an_offer_given_up_at_a_restart_and_answered_all_the_same_is_accepted() -> None:
    names = {"interaction_id": "ix", "offer_id": "o2", "extension": "102"}
    async with sqlite() as conn:
        await copy(conn, [*story()[2:4], OfferCancelled(at=at(5), reason="restart", **names), story()[4]])
        (offer,) = (await rows(conn))["offer"]
    assert (offer["outcome"], offer["reason"]) == ("accepted", None)


async def test_skills_are_kept_and_join_the_names() -> None:
    async with sqlite() as conn:
        await store.set_skills(conn, {"101": {"service": 3}, "102": {"zh": 5}})
        await store.set_skills(conn, {"101": {"express": 1}})
        known = await store.skills_of_agents(conn)
    assert known == {"101": {"express": 1}, "102": {"zh": 5}}
    assert store.records({"103": "Wang", "101": "Li"}, known) == [
        AgentRecord("101", "Li", {"express": 1}), AgentRecord("103", "Wang", {}),
    ]  # fmt: skip


async def test_long_words_are_cut_to_their_columns() -> None:
    events: Sequence[DomainEvent] = [said(1, "NOT_READY", "user:li", "x" * 500)]
    async with sqlite() as conn:
        await copy(conn, events)
        assert (await store.said_by_agents(conn))["101"] == ("NOT_READY", "x" * 64)


async def test_how_long_contacts_took_is_told_with_their_after_call_work_the_oldest_first() -> None:
    def contact(n: int, talk_s: float, wrap_up_s: float) -> list[DomainEvent]:
        names = {"interaction_id": f"ix{n}", "offer_id": f"o{n}", "extension": "101"}
        ended = SegmentEnded(
            at=at(n), queue="service", ring_s=1, talk_s=talk_s, hold_s=5, reason="caller_hangup", **names
        )  # fmt: skip
        return [ended, WrapUpEnded(at=at(n + 1), wrap_up_s=wrap_up_s, **names)]

    async with sqlite() as conn:
        await copy(conn, [*contact(30, 60, 20), *contact(10, 100, 0), *contact(20, 0, 3)])
        assert await store.contacts_since(conn, at(5)) == [("service", 105.0), ("service", 85.0)]
        assert await store.contacts_since(conn, at(15)) == [("service", 85.0)]
