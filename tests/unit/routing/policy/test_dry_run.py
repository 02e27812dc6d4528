"""Dry runs: the same decision as the owner's, for two policies side by side, and nothing is touched."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from routing.agent import Agent, State
from routing.matcher import match
from routing.model import WorkItem
from routing.policy.document import Document
from routing.policy.dry_run import Present, Situation, Waiting, dry_run, situation_from, situation_record
from routing.policy.model import Policy
from routing.policy.text import load
from tests.lots import lots
from tests.unit.routing.policy.documents import documents

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
CALM = load("queues: {service: {skills: {zh: 3}}, express: {}}").policy
EAGER = load(
    "queues: {service: {skills: {zh: 3}, rings: [{after_s: 60, drop: [zh]}, {after_s: 90, points: 5}]}}"
).policy


def waiting(ix: str, waited_s: float, queue: str = "service", **more: Any) -> Waiting:
    return Waiting(WorkItem(ix, queue, f"PJSIP/{ix}", NOW - timedelta(seconds=waited_s), **more), waited_s)


def test_a_ring_that_begins_sooner_shows_who_could_take_it_then() -> None:
    found = Situation((waiting("a", 70), waiting("b", 30)), (Present("101", available=True), Present("102")))
    told = dry_run(found, CALM, EAGER)
    first, second = told.changes
    assert (first.interaction_id, first.before.ring, first.after.ring, first.after.rings) == ("a", 0, 1, 3)
    assert (first.before.ever, first.after.ever, first.after.free) == (0, 2, 1)
    assert (first.after.could_take, first.after.assigned, first.after.widens_in_s) == (("101",), "101", 20)
    assert (second.after.widens_in_s, second.after.assigned, second.changed) == (30, "", False)
    assert (told.summary.served_before, told.summary.served_after, told.summary.stuck_after) == (0, 1, 1)


def test_nobody_waits_and_nobody_is_there() -> None:
    told = dry_run(Situation(), CALM, EAGER)
    assert (told.summary.waiting, told.changes, told.more) == (0, (), 0)


QUEUES = ("service", "express", "gone", "a.b", "7up", "vip")
SKILLS = st.dictionaries(st.sampled_from(["zh", "en", "vip", "7up", "x-y"]), st.integers(1, 5), max_size=3)
ITEMS = st.lists(
    st.builds(
        waiting, st.uuids().map(str), st.integers(0, 4000).map(float), st.sampled_from(QUEUES), skills=SKILLS,
        priority=st.integers(0, 3), tier=st.sampled_from(["", "vip"]), owner=st.sampled_from(["", "101"]),
        language=st.sampled_from(["", "en"]), value_minor=st.integers(0, 10**6),
    ),
    max_size=12,
)  # fmt: skip
AGENTS = st.dictionaries(
    st.sampled_from([str(n) for n in range(101, 109)]),
    st.builds(
        Present, st.just(""), skills=SKILLS, teams=st.frozensets(st.sampled_from(["vip", "_"])), available=st.booleans(),
        idle_s=st.integers(0, 5000).map(float),
    ),
    max_size=8,
).map(lambda found: tuple(Present(**{**vars(agent), "extension": ext}) for ext, agent in found.items()))  # fmt: skip
SITUATIONS = st.builds(lambda items, agents: Situation(tuple(items), agents), ITEMS, AGENTS)


@settings(max_examples=lots(40))
@given(SITUATIONS, documents())
def test_the_same_rules_change_nobody_and_serve_whom_the_owner_would_serve(
    found: Situation, document: Document
) -> None:
    policy: Policy = document.policy
    told = dry_run(found, policy, policy)
    assert told.summary.changed == told.summary.earlier == told.summary.later == 0
    assert sorted(change.after.position for change in told.changes) == list(range(1, len(found.waiting) + 1))
    agents = [
        Agent(one.extension, "", one.skills, State.READY if one.available else State.NOT_READY, reachable=True,
              idle_since=NOW - timedelta(seconds=one.idle_s), teams=one.teams)
        for one in found.agents
    ]  # fmt: skip
    pairs = {
        pair.interaction_id: pair.extension for pair in match([one.item for one in found.waiting], agents, policy, NOW)
    }
    assert {change.interaction_id: change.after.assigned for change in told.changes if change.after.assigned} == pairs
    for change in told.changes:
        side = change.after
        assert len(side.could_take) <= side.free <= side.ever
        assert not side.assigned or side.free


@settings(max_examples=lots(30))
@given(SITUATIONS)
def test_a_situation_comes_through_json_as_it_was(found: Situation) -> None:
    assert situation_from(json.loads(json.dumps(situation_record(found)))) == found


def test_a_thousand_who_wait_and_three_hundred_agents_are_worked_out_in_seconds() -> None:
    items = tuple(waiting(f"ix-{n}", float(n), skills={"zh": 1 + n % 5}, tier=str(n % 7)) for n in range(1000))
    agents = tuple(Present(str(n), skills={"zh": n % 6, "en": 3}, available=n % 2 == 0) for n in range(300))
    began = time.perf_counter()
    told = dry_run(Situation(items, agents), CALM, EAGER)
    assert time.perf_counter() - began < 8
    assert (told.summary.waiting, len(told.changes), told.more) == (1000, 200, 800)
