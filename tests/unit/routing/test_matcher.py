"""Who takes what: against a plain specification that tries every pair, and by examples that a supervisor would check."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.agent import Agent, State
from routing.matcher import match
from routing.model import WorkItem
from routing.policy.model import Policy, QueuePolicy
from routing.why import hindrance
from routing.wish import program, wanted_skills

T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SKILLS = ("service", "express", "zh")
POLICIES = {
    "service": QueuePolicy("service", {"service": 1}),
    "express": QueuePolicy("express", {"express": 2, "service": 1}),
    "open": QueuePolicy("open"),
}
RULES = Policy(POLICIES)
NOW = T0 + timedelta(minutes=1)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def item(ix: str, waited_since: float = 0, queue: str = "service", priority: int = 0, **skills: int) -> WorkItem:
    return WorkItem(ix, queue, f"c-{ix}", at(waited_since), skills, priority)


def agent(extension: str, idle_since: float | None = 0, state: State = State.READY, **skills: int) -> Agent:
    idle = at(idle_since) if idle_since is not None else None
    return Agent(extension, f"A{extension}", skills or {"service": 3}, state, idle_since=idle, reachable=True)


def pairs(items: Sequence[WorkItem], agents: Sequence[Agent]) -> list[tuple[str, str]]:
    return [(it.interaction_id, it.extension) for it in match(items, agents, RULES, NOW)]


def test_the_longest_waiting_caller_goes_to_the_longest_idle_agent() -> None:
    items = [item("b", 2), item("a", 1), item("c", 3)]
    agents = [agent("103", 30), agent("101", 10), agent("102", 20)]
    assert pairs(items, agents) == [("a", "101"), ("b", "102"), ("c", "103")]


def test_a_higher_priority_goes_first_and_within_it_the_longer_wait() -> None:
    items = [item("old", 0), item("vip-late", 9, priority=5), item("vip", 5, priority=5)]
    assert pairs(items, [agent("101"), agent("102", 1)]) == [("vip", "101"), ("vip-late", "102")]


def test_who_nobody_free_can_serve_does_not_hold_up_those_behind() -> None:
    items = [item("zh", 0, zh=3), item("plain", 1)]
    assert pairs(items, [agent("101", service=1)]) == [("plain", "101")]


def test_the_item_s_own_wish_raises_the_queue_s_and_never_lowers_it() -> None:
    assert wanted_skills(item("a", queue="express", express=1, zh=4), POLICIES["express"]) == {
        "express": 2, "service": 1, "zh": 4,
    }  # fmt: skip


def test_a_queue_nobody_configured_is_served_by_anybody() -> None:
    assert pairs([item("a", queue="nowhere")], [agent("101", zh=1)]) == [("a", "101")]


def test_who_was_never_idle_before_is_first_and_ties_go_by_extension() -> None:
    agents = [agent("103", 0), agent("102", None), agent("101", 0)]
    assert pairs([item("a"), item("b"), item("c")], agents) == [("a", "102"), ("b", "101"), ("c", "103")]


def why_not(it: WorkItem, who: Agent) -> str:
    found = hindrance(who, program(it, RULES).stages[0].wish)
    return found.words if found is not None else ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"state": State.NOT_READY, "reason": "lunch"}, "A101 is NOT_READY (lunch)"),
        ({"state": State.RESERVED}, "A101 is RESERVED"),
        ({"reachable": False}, "A101's phone is not reachable"),
        ({"in_use": True}, "A101 is on a call of their own"),
        ({"skills": {"service": 0}}, "A101 lacks the skill service"),
        ({}, ""),
    ],
)
def test_why_an_agent_may_not_take_a_caller_is_said_and_agrees_with_the_matcher(change: dict, why: str) -> None:
    it = replace(agent("101"), **change)
    assert why_not(item("a"), it) == why
    assert bool(pairs([item("a")], [it])) == (why == "")


# --- against the plain specification

proficiency = st.integers(0, 5)
skills = st.dictionaries(st.sampled_from(SKILLS), proficiency, max_size=3)
moments = st.one_of(st.none(), st.integers(0, 5))
items_strategy = st.lists(
    st.builds(lambda queue, since, priority, wish: (queue, since, priority, wish),
              st.sampled_from([*POLICIES, "nowhere"]), st.integers(0, 5), st.sampled_from([0, 0, 5]), skills),
    max_size=8,
).map(lambda rows: [WorkItem(f"i{n}", q, "c", at(s), w, p) for n, (q, s, p, w) in enumerate(rows)])  # fmt: skip
agents_strategy = st.lists(
    st.tuples(skills, st.sampled_from(State), moments, st.booleans(), st.booleans(), st.booleans()), max_size=6
).map(
    lambda rows: [
        Agent(f"{100 + n}", "A", skill, State.READY if ready else state, idle_since=at(idle) if idle is not None else None,
              reachable=reachable or ready, in_use=in_use and not ready)
        for n, (skill, state, idle, reachable, in_use, ready) in enumerate(rows)
    ]
)  # fmt: skip


def specified(items: Sequence[WorkItem], agents: Sequence[Agent]) -> list[tuple[str, str]]:
    """Of all pairs that may be made, again and again the one whose caller, then whose agent, comes first."""
    made: list[tuple[str, str]] = []
    while True:
        may = [
            (-it.priority, it.enqueued_at, it.interaction_id, who.idle_since or datetime(1970, 1, 1, tzinfo=UTC), who.extension)
            for it in items for who in agents
            if it.interaction_id not in {ix for ix, _ in made}
            and who.extension not in {extension for _, extension in made}
            and who.state is State.READY and who.reachable and not who.in_use
            and all(who.skills.get(skill, 0) >= least for skill, least in it.skills.items())
            and all(who.skills.get(skill, 0) >= least
                    for skill, least in (POLICIES[it.queue].skills if it.queue in POLICIES else {}).items())
        ]  # fmt: skip
        if not may:
            return made
        _, _, ix, _, extension = min(may)
        made.append((ix, extension))


@given(items_strategy, agents_strategy, st.randoms(use_true_random=False))
def test_it_is_what_the_plain_specification_says_in_whatever_order_things_are_listed(
    items: list[WorkItem], agents: list[Agent], chance: random.Random
) -> None:
    expected = specified(items, agents)
    assert pairs(items, agents) == expected
    chance.shuffle(items)
    chance.shuffle(agents)
    assert pairs(items, agents) == expected


@given(items_strategy, agents_strategy)
def test_nobody_gets_two_nobody_who_may_not_gets_one_and_nobody_is_left_over(
    items: list[WorkItem], agents: list[Agent]
) -> None:
    made = match(items, agents, RULES, NOW)
    by_item, by_agent = {it.interaction_id: it for it in items}, {it.extension: it for it in agents}
    assert len({it.interaction_id for it in made}) == len({it.extension for it in made}) == len(made)
    for one in made:
        it, who = by_item.pop(one.interaction_id), by_agent.pop(one.extension)
        assert why_not(it, who) == ""
    for it in by_item.values():
        assert all(why_not(it, who) for who in by_agent.values())
