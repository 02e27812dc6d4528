"""What each thing that happens makes of an agent: every pair of state and act, and no happening leads to a contradiction."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events.routing import AgentStateAsked, AgentStateChanged
from routing.agent import FOUND_DEAD, Act, Agent, Happening, Ignored, State, apply

T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
OFF, NOT, RDY, RES, ENG, WRP = State
LATER, NO = "later", "no"

# What becomes of an agent whom nothing else is known of, when it happens. A wrap-up is given 20 s.
TABLE = {
    #                     OFFLINE NOT_READY READY RESERVED ENGAGED WRAP_UP
    Act.SAY_READY:        (RDY,   RDY,      NO,   LATER,   LATER,  RDY),
    Act.SAY_NOT_READY:    (NOT,   NOT,      NOT,  LATER,   LATER,  NOT),
    Act.GO_OFFLINE:       (NO,    OFF,      OFF,  LATER,   LATER,  OFF),
    Act.RESERVE:          (NO,    NO,       RES,  NO,      NO,     NO),
    Act.RELEASE:          (NO,    NO,       NO,   RDY,     NO,     NO),
    Act.MISS:             (NO,    NO,       NO,   NOT,     NO,     NO),
    Act.BE_UNREACHABLE:   (NO,    NO,       NO,   NOT,     NO,     NO),
    Act.LOSE_PHONE:       (NO,    NO,       NO,   NO,      NO,     NO),
    Act.ENGAGE:           (ENG,   ENG,      ENG,  ENG,     NO,     ENG),
    Act.FINISH_TALK:      (NO,    NO,       NO,   NO,      WRP,    NO),
    Act.FINISH_WRAP_UP:   (NO,    NO,       NO,   NO,      NO,     RDY),
    Act.RESUME_WRAP_UP:   (WRP,   WRP,      WRP,  NO,      NO,     NO),
}  # fmt: skip
PAIRS = [(state, act, row[i]) for act, row in TABLE.items() for i, state in enumerate(State)]


def agent(state: State = RDY, **more: object) -> Agent:
    busy = state in (RES, ENG, WRP)
    known = {"offer_id": "o1" if busy else "", "since": T0, "reason": "lunch" if state is NOT else "", **more}
    return Agent("101", "Li Na", {"service": 3}, state, **known)  # type: ignore[arg-type]


def happen(it: Agent, act: Act, seconds: float = 1, **more: object) -> Agent:
    return apply(it, happening(act, seconds, **more))[0]


def happening(act: Act, seconds: float = 1, **more: object) -> Happening:
    at = T0 + timedelta(seconds=seconds)
    chosen = {"offer_id": "o1", "until": at + timedelta(seconds=20), "reason": "why", **more}
    return Happening(act, at, **chosen)  # type: ignore[arg-type]


def test_the_table_names_every_state_and_act() -> None:
    assert set(TABLE) == set(Act) and len(PAIRS) == len(State) * len(Act)


@pytest.mark.parametrize(("state", "act", "becomes"), PAIRS, ids=[f"{s}-{a}" for s, a, _ in PAIRS])
def test_every_pair_of_state_and_act_leads_where_the_table_says(state: State, act: Act, becomes: State | str) -> None:
    before = agent(state)
    after, told = apply(before, happening(act))
    if becomes == NO:
        assert after == before and isinstance(told, Ignored) and told.reason
        return
    assert not isinstance(told, Ignored)
    (event,) = told
    if becomes == LATER:
        assert (after.state, event.kind) == (state, "AgentStateAsked")
    else:
        assert isinstance(event, AgentStateChanged)
        assert (after.state, event.state, event.previous, event.extension) == (becomes, becomes, state, "101")


@pytest.mark.parametrize("act", Act)
@pytest.mark.parametrize("state", State)
def test_what_happened_already_changes_nothing_a_second_time(state: State, act: Act) -> None:
    once = happen(agent(state), act)
    twice, told = apply(once, happening(act, 2))
    if act is Act.RESERVE and once.state is RES:
        assert isinstance(told, Ignored)
    assert twice == once and isinstance(told, Ignored)


@pytest.mark.parametrize("act", [Act.RELEASE, Act.MISS, Act.BE_UNREACHABLE, Act.FINISH_TALK, Act.FINISH_WRAP_UP])
@pytest.mark.parametrize("state", [RES, ENG, WRP])
def test_an_act_of_another_offer_is_ignored(state: State, act: Act) -> None:
    before = agent(state)
    after, told = apply(before, happening(act, offer_id="o9"))
    assert after == before and isinstance(told, Ignored)


@pytest.mark.parametrize("during", [RES, ENG])
@pytest.mark.parametrize(
    ("asked", "lands"), [(Act.SAY_NOT_READY, (NOT, "lunch")), (Act.GO_OFFLINE, (OFF, "")), (Act.SAY_READY, (RDY, ""))]
)
def test_what_is_asked_for_during_a_call_takes_effect_afterwards(
    during: State, asked: Act, lands: tuple[State, str]
) -> None:
    it = happen(agent(during), asked, reason="lunch")
    assert it.state is during
    ways = {RES: [[Act.RELEASE], [Act.ENGAGE, Act.FINISH_TALK, Act.FINISH_WRAP_UP]],
            ENG: [[Act.FINISH_TALK, Act.FINISH_WRAP_UP]]}[during]  # fmt: skip
    for way in ways:
        after = it
        for act in way:
            after = happen(after, act, 2)
        assert (after.state, after.reason, after.wanted, after.offer_id) == (*lands, None, "")


def test_the_last_thing_asked_for_counts_and_each_is_told_once() -> None:
    it = agent(ENG)
    told: list[object] = []
    for act, reason in [(Act.SAY_NOT_READY, "lunch"), (Act.SAY_NOT_READY, "lunch"), (Act.SAY_READY, "")]:
        it, news = apply(it, happening(act, reason=reason, actor="user:li"))
        told += [] if isinstance(news, Ignored) else news
    at = T0 + timedelta(seconds=1)
    assert told == [
        AgentStateAsked(at=at, extension="101", state="NOT_READY", reason="lunch", actor="user:li"),
        AgentStateAsked(at=at, extension="101", state="READY", reason="", actor="user:li"),
    ]
    assert happen(it, Act.FINISH_TALK, until=None).state is RDY


@pytest.mark.parametrize("act", [Act.MISS, Act.BE_UNREACHABLE])
def test_who_asked_to_be_away_and_then_misses_the_call_is_away_for_their_own_reason(act: Act) -> None:
    it = happen(happen(agent(RES), Act.SAY_NOT_READY, reason="lunch"), act, reason="rona")
    assert (it.state, it.reason) == (NOT, "lunch")


@pytest.mark.parametrize(("state", "reason"), [(NOT, "lunch"), (OFF, "")])
@pytest.mark.parametrize(
    "way", [(Act.ENGAGE, Act.FINISH_TALK, Act.FINISH_WRAP_UP), (Act.RESUME_WRAP_UP, Act.FINISH_WRAP_UP)]
)
def test_who_was_away_and_is_found_at_work_is_away_again_afterwards(
    state: State, reason: str, way: tuple[Act, ...]
) -> None:
    it = agent(state)
    for act in way:
        it = happen(it, act)
    assert (it.state, it.reason) == (state, reason)


def test_misses_are_counted_up_to_the_limit_and_forgotten_by_an_answer_or_a_word() -> None:
    it = happen(agent(RES), Act.MISS, max_misses=3)
    assert (it.state, it.misses) == (RDY, 1)
    again = happen(happen(it, Act.RESERVE), Act.MISS, max_misses=3)
    assert (again.state, again.misses) == (RDY, 2)
    third = happen(happen(again, Act.RESERVE), Act.MISS, max_misses=3, reason="rona")
    assert (third.state, third.reason, third.misses) == (NOT, "rona", 0)
    assert happen(happen(it, Act.RESERVE), Act.ENGAGE).misses == 0
    assert happen(happen(it, Act.SAY_NOT_READY), Act.SAY_READY).misses == 0


def test_a_talk_without_after_call_work_ends_in_ready_and_makes_the_agent_the_last_in_line() -> None:
    it = happen(agent(ENG, idle_since=T0), Act.FINISH_TALK, 9, until=None)
    assert (it.state, it.offer_id, it.idle_since) == (RDY, "", T0 + timedelta(seconds=9))


@pytest.mark.parametrize("act", [Act.RELEASE, Act.MISS])
def test_an_offer_that_came_to_nothing_leaves_the_place_in_line(act: Act) -> None:
    it = happen(happen(agent(idle_since=T0), Act.RESERVE), act, 30, max_misses=2)
    assert (it.state, it.idle_since) == (RDY, T0)


def test_a_phone_found_dead_soon_after_a_missed_call_takes_the_blame_from_the_agent() -> None:
    missed = agent(NOT, reason="rona")
    soon, late = FOUND_DEAD.total_seconds(), FOUND_DEAD.total_seconds() + 1
    assert happen(missed, Act.LOSE_PHONE, soon).reason == "unreachable"
    assert happen(missed, Act.LOSE_PHONE, late).reason == "rona"
    assert happen(agent(NOT, reason="declined"), Act.LOSE_PHONE).reason == "declined"


def test_from_one_talk_into_another_nobody_is_told_anything_and_the_new_talk_counts() -> None:
    it, told = apply(agent(ENG), happening(Act.ENGAGE, offer_id="o2"))
    assert (it.state, it.offer_id, told) == (ENG, "o2", [])
    assert happen(it, Act.FINISH_TALK, offer_id="o1") == it


def test_availability_is_what_was_said_and_what_the_phone_can_do() -> None:
    it = replace(agent(), reachable=True)
    assert it.available
    assert not replace(it, reachable=False).available and not replace(it, in_use=True).available
    assert [replace(it, state=state).available for state in State] == [state is RDY for state in State]


happenings = st.builds(
    lambda act, offer, misses, reason, wraps: happening(
        act, offer_id=offer, max_misses=misses, reason=reason, until=T0 + timedelta(seconds=20) if wraps else None
    ),
    st.sampled_from(Act), st.sampled_from(["o1", "o2", ""]), st.integers(1, 3), st.sampled_from(["", "rona", "lunch"]),
    st.booleans(),
)  # fmt: skip


@given(st.lists(happenings, max_size=40))
def test_random_happenings_never_lead_to_a_contradiction(story: list[Happening]) -> None:
    it = Agent("101", "Li Na")
    for moment, random in enumerate(story):
        before, at = it, T0 + timedelta(seconds=moment)
        until = at + timedelta(seconds=20) if random.until is not None else None
        it, told = apply(it, replace(random, at=at, until=until))
        if isinstance(told, Ignored):
            assert it == before and told.reason
            continue
        changes = [event for event in told if isinstance(event, AgentStateChanged)]
        assert [event.state for event in changes] == ([it.state] if it.state is not before.state or changes else [])
        assert it.busy or (it.offer_id == "" and it.wanted is None), "a free agent belongs to no call"
        assert (it.wrap_up_until is not None) == (it.state is WRP), "wrap-up has an end, nothing else has one"
        assert it.state is not RDY or it.reason == ""
        assert it.misses < 3
        assert it.available is False  # nobody said that the phone is there
