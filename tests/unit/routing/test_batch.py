"""Pairs of a batch: against every way of pairing, and the promises that no points may buy off."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.batch import DUE, NEVER, Free, Pair, Waiting, best_pairs, matrix
from routing.policy.model import Weights
from routing.wish import VOICE, Wish

SKILLS = ("zh", "en", "refunds")
WEIGHTS = Weights(idle=0.01, fit=0.02, breadth=-0.01, occupancy=-0.01)
skill_sets = st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 5), max_size=3)


def wish(skills: dict[str, int], only: str = "", teams: frozenset[str] = frozenset(), kind: str = "voice") -> Wish:
    return Wish(tuple(sorted(skills.items())), teams, only, kind=kind, weights=WEIGHTS, fit_of=tuple(sorted(skills)))


items = st.lists(
    st.tuples(
        skill_sets, st.floats(-5, 20), st.booleans(), st.sampled_from(["", "", "", "a0"]),
        st.sampled_from([frozenset(), frozenset("x"), frozenset("xy")]), st.sampled_from(["voice", "voice", "chat"]),
    ),
    max_size=4,
).map(lambda them: [Waiting(f"i{n}", wish(s, *more), p, due) for n, (s, p, due, *more) in enumerate(them)])  # fmt: skip
agents = st.lists(
    st.tuples(
        skill_sets, st.sampled_from([frozenset(), frozenset("y")]), st.sampled_from([VOICE, frozenset({"voice", "chat"})]),
        st.floats(0, 3600), st.floats(0, 1),
    ),
    max_size=4,
).map(lambda them: [Free(f"a{n}", *about) for n, about in enumerate(them)])  # fmt: skip


def points(item: Waiting, agent: Free) -> float | None:
    if not item.wish.met_by(agent.extension, agent.skills, agent.teams, agent.kinds):
        return None
    fit = WEIGHTS.fit * sum(agent.skills.get(skill, 0) for skill in item.wish.fit_of)
    other = (
        WEIGHTS.idle * agent.idle_s / 60
        + WEIGHTS.breadth * len(agent.skills)
        + WEIGHTS.occupancy * agent.occupancy * 100
    )
    return item.priority + fit + other


def by_trying(waiting: list[Waiting], free: list[Free]) -> tuple[int, int, float]:
    """(most pairs, then most that were due, then most points) over every way of pairing."""
    best = (0, 0, 0.0)
    places: list[int | None] = [*range(len(free)), *([None] * len(waiting))]
    for order in set(permutations(places, len(waiting))):
        got = [
            (item, worth) for item, place in zip(waiting, order, strict=True)
            if place is not None and (worth := points(item, free[place])) is not None
        ]  # fmt: skip
        best = max(best, (len(got), sum(item.due for item, _ in got), math.fsum(worth for _, worth in got)))
    return best


@given(items, agents)
def test_no_other_way_of_pairing_makes_more_pairs_or_serves_more_that_are_due_or_has_more_points(
    waiting: list[Waiting], free: list[Free]
) -> None:
    pairs = best_pairs(waiting, free)
    most, due, total = by_trying(waiting, free)
    was_due = {item.interaction_id for item in waiting if item.due}
    assert len(pairs) == most
    assert sum(pair.interaction_id in was_due for pair in pairs) == due
    assert math.fsum(pair.points for pair in pairs) == pytest.approx(total, abs=1e-6)


@given(items, agents)
def test_nobody_has_two_and_every_pair_meets_the_wish(waiting: list[Waiting], free: list[Free]) -> None:
    pairs = best_pairs(waiting, free)
    by_ix, by_extension = {it.interaction_id: it for it in waiting}, {agent.extension: agent for agent in free}
    assert len({pair.interaction_id for pair in pairs}) == len({pair.extension for pair in pairs}) == len(pairs)
    for pair in pairs:
        worth = points(by_ix[pair.interaction_id], by_extension[pair.extension])
        assert worth is not None and pair.points == pytest.approx(worth, abs=1e-6)


def test_the_only_agent_who_can_help_the_second_is_not_given_to_the_first() -> None:
    waiting = [Waiting("first", wish({"en": 1}), 9.0), Waiting("second", wish({"zh": 1}), 1.0)]
    free = [Free("both", {"zh": 5, "en": 5}, idle_s=900), Free("en", {"en": 1})]
    assert [(pair.interaction_id, pair.extension) for pair in best_pairs(waiting, free)] == [
        ("first", "en"),
        ("second", "both"),
    ]


def test_pairs_that_may_not_be_are_all_as_bad_as_each_other() -> None:
    waiting = [Waiting("a", wish({"zh": 1}), 50.0, due=True), Waiting("b", wish({"zh": 1}), -50.0)]
    assert matrix(waiting, [Free("x", {"en": 5}, idle_s=1e6)]).tolist() == [[NEVER], [NEVER]]
    assert best_pairs(waiting, [Free("x", {"en": 5})]) == []
    assert DUE < -NEVER / 50


def test_nobody_waits_or_nobody_is_free() -> None:
    assert best_pairs([], [Free("a", {})]) == [] == best_pairs([Waiting("i", Wish(), 1.0)], [])
    assert best_pairs([Waiting("i", Wish(), 1.0)], [Free("a", {})]) == [Pair("i", "a", 1.0)]
