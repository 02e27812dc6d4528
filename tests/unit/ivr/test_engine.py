"""The interpreter: it always stops, it can be written down between any two steps, and nobody is left without a person."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.events.ivr import FlowEnded, FlowStarted, FlowWaited
from core.phrases.model import Digits, Prompt
from ivr.flow import engine
from ivr.flow.model import End, Flow, Limits, Remember, Report, Step, Trigger
from ivr.flow.session import Session
from ivr.flow.waits import (
    CallerGone,
    Collect,
    Done,
    HandOff,
    Keys,
    LookedUp,
    LookUp,
    NoInput,
    Outcome,
    Play,
    Played,
    Refused,
    Wait,
)
from ivr.loader import load
from tests.lots import lots
from tests.unit.ivr.build import KNOWN, context, sample

CALL = Trigger("n1-1.1", "4000", "13800138000")
FLOW = sample()
FOUND = LookedUp(
    "found",
    "o-1",
    "20261234",
    "second_factor",
    (Digits("20261234"), Prompt("order-state-shipped")),
    {"status": "shipped"},
)


def stored(session: Session) -> Session:
    """As it comes back from disk."""
    return Session.from_json(json.loads(json.dumps(session.to_json())))


def walk(flow: Flow, *outcomes: Outcome) -> Step:
    step = engine.start(flow, CALL, context())
    for outcome in outcomes:
        step = engine.resume(flow, stored(step.session), outcome, context())
    return step


TO_STATUS = (Played(), Keys("1"), Keys("20261234"), Keys("5678"), FOUND)


def tiny(nodes: str, *, start: str = "a") -> Flow:
    text = f"name: tiny\nstart: {start}\nperson: person\nnodes:\n{nodes}  person: {{type: handoff, queue: service}}\n"
    return load(text, "tiny.yaml", KNOWN)


def test_a_call_from_welcome_to_handoff_tells_its_story() -> None:
    step = engine.start(FLOW, CALL, context())
    kinds = [event.kind for event in step.events]
    for outcome in (*TO_STATUS, Played(), Keys("0"), Played(), Done()):
        step = engine.resume(FLOW, stored(step.session), outcome, context())
        kinds += [event.kind for event in step.events]
    assert isinstance(step.then, End) and step.then.exit == "handoff"
    assert kinds[0] == "FlowStarted" and kinds[-1] == "FlowEnded"
    assert kinds.count("FlowEnded") == 1
    assert [kind for kind in kinds if kind not in ("FlowWaited", "DigitsCollected")] == [
        "FlowStarted", "OrderLookedUp", "CallerIdentified", "FlowEnded",
    ]  # fmt: skip


def test_the_channel_learns_what_changed_and_nothing_else() -> None:
    first = engine.start(FLOW, CALL, context())
    assert first.effects == (Remember("node", "welcome"), Remember("language", "en"))
    second = engine.resume(FLOW, first.session, Played(), context())
    assert second.effects == (Remember("node", "main"),)
    again = engine.resume(FLOW, second.session, Keys("7"), context())
    assert again.effects == ()
    assert Remember("level", "second_factor") in walk(FLOW, *TO_STATUS).effects


def test_the_same_input_gives_the_same_step() -> None:
    assert walk(FLOW, *TO_STATUS) == walk(FLOW, *TO_STATUS)


def test_a_caller_who_is_gone_ends_the_flow_wherever_it_is() -> None:
    for length in range(len(TO_STATUS) + 1):
        step = walk(FLOW, *TO_STATUS[:length], CallerGone())
        assert step.then == End("caller_gone")
        assert [event.kind for event in step.events] == ["FlowEnded"]


def test_the_journal_gets_the_session_without_what_was_proved() -> None:
    step = walk(FLOW, *TO_STATUS)
    (waited,) = [event for event in step.events if isinstance(event, FlowWaited)]
    text = json.dumps(waited.session)
    assert "20261234" not in text and "5678" not in text and "second_factor" not in text.replace('"second-factor"', "")
    assert waited.node == "status" and waited.wait == "Play"


def test_after_a_crash_the_caller_is_asked_again_who_they_are() -> None:
    waiting = walk(FLOW, *TO_STATUS)
    journalled = Session.from_json(waiting.events[-1].session)  # type: ignore[attr-defined]
    step = engine.restore(FLOW, journalled, context())
    assert step.session.node == "order-number" and isinstance(step.then, Collect)
    assert step.session.level == "" and Remember("level", "") in step.effects


@pytest.mark.parametrize(
    ("outcomes", "node"),
    [
        ((), "welcome"),
        ((Played(),), "main"),
        ((Played(), Keys("1")), "order-number"),
        ((Played(), Keys("1"), Keys("20261234")), "order-number"),
        ((Played(), Keys("1"), Keys("20261234"), Keys("5678")), "order-number"),
        ((*TO_STATUS, Played()), "after-status"),
        ((Played(), Keys("2")), "returns-menu"),
        ((Played(), Keys("0"), Played()), "person"),
    ],
)
def test_a_caller_falls_out_anywhere_and_comes_back_to_the_right_place(
    outcomes: tuple[Outcome, ...], node: str
) -> None:
    journalled = Session.from_json(json.loads(json.dumps(walk(FLOW, *outcomes).session.journal())))
    step = engine.restore(FLOW, journalled, context())
    assert step.session.node == node
    assert step.session.failed == journalled.failed


def test_hearing_the_status_again_after_a_crash_asks_for_the_order_first() -> None:
    journalled = Session.from_json(walk(FLOW, *TO_STATUS, Played()).session.journal())
    step = engine.restore(FLOW, journalled, context())
    step = engine.resume(FLOW, stored(step.session), Keys("1"), context())
    assert step.session.node == "order-number"


def test_tries_at_orders_are_remembered_through_a_crash() -> None:
    wrong = (Keys("1"), Keys("99999999"), Keys("0000"), LookedUp("none"))
    step = walk(FLOW, Played(), *wrong)
    back = engine.restore(FLOW, Session.from_json(step.session.journal()), context())
    assert back.session.failed == 1


def test_what_must_not_be_repeated_leads_to_a_person_after_a_crash() -> None:
    flow = tiny(
        "  a: {type: menu, say: [menu-main], exits: {1: b}}\n  b: {type: say, say: [goodbye], repeat: never, next: a}\n"
    )
    step = engine.resume(flow, engine.start(flow, CALL, context()).session, Keys("1"), context())
    assert step.session.node == "b"
    assert engine.restore(flow, step.session, context()).session.node == "person"
    assert engine.start(flow, CALL, context(), at_node="b").session.node == "person"


def test_a_session_of_a_version_that_is_gone_begins_anew_in_its_language() -> None:
    old = replace(walk(FLOW, Played(), Keys("9")).session, version="000000000000")
    step = engine.restore(FLOW, old, context())
    assert step.session.node == "welcome" and step.session.language == "zh"
    assert isinstance(step.events[0], FlowStarted)
    with pytest.raises(ValueError, match="another flow"):
        engine.resume(FLOW, old, Played(), context())


def test_only_the_node_is_known() -> None:
    step = engine.start(FLOW, replace_language("zh"), context(), at_node="second-factor")
    assert step.session.node == "second-factor" and step.session.language == "zh"
    assert engine.start(FLOW, CALL, context(), at_node="no-such-node").session.node == "welcome"


def replace_language(language: str) -> Trigger:
    return Trigger("n1-1.1", "4000", "138", language)


def test_a_second_factor_without_an_order_number_is_not_looked_up() -> None:
    step = engine.start(FLOW, CALL, context(), at_node="second-factor")
    step = engine.resume(FLOW, step.session, Keys("5678"), context())
    assert not isinstance(step.then, LookUp)
    assert step.session.node in ("person", "order-number", "second-factor")


def test_a_fault_of_the_author_leads_to_a_person_and_is_reported() -> None:
    flow = tiny(
        "  a: {type: menu, say: [menu-main], exits: {1: b}}\n  b: {type: say, say: [{digits: nobody_set_this}], next: a}\n"
    )
    step = engine.resume(flow, engine.start(flow, CALL, context()).session, Keys("1"), context())
    assert isinstance(step.then, HandOff)
    assert [effect for effect in step.effects if isinstance(effect, Report)] == [
        Report("b", "'nobody_set_this' has no value here")
    ]


def test_a_circle_that_only_calls_can_close_ends_at_a_person() -> None:
    flow = tiny("  a: {type: menu, say: [menu-main], tries: 1, exits: {1: a, no-input: a}}\n")
    step = engine.start(flow, CALL, context())
    rounds = 0
    while isinstance(step.then, Collect):
        step = engine.resume(flow, stored(step.session), NoInput(), context())
        rounds += 1
        assert rounds < 100
    assert isinstance(step.then, HandOff)
    assert any(isinstance(effect, Report) and "limit" in effect.message for effect in step.effects)


def test_the_steps_of_a_call_have_an_end() -> None:
    limits = Limits(visits_of_a_node=10**9, steps_of_a_call=20)
    step = engine.start(FLOW, CALL, context(), limits=limits)
    for _ in range(200):
        if isinstance(step.then, End):
            break
        outcome = Keys("9") if isinstance(step.then, Collect) else Played() if isinstance(step.then, Play) else Done()
        step = engine.resume(FLOW, step.session, outcome, context(), limits=limits)
    assert isinstance(step.then, End) and step.then.exit == "handoff"


OUTCOMES: dict[type, st.SearchStrategy[Outcome]] = {
    Play: st.builds(Played, st.sampled_from(["", "0", "1", "9", "*", "#"])),
    Collect: st.one_of(
        st.builds(Keys, st.text("0123456789*#", max_size=20), st.booleans()),
        st.builds(Keys, st.sampled_from(["0", "1", "2", "9", "20261234", "5678", "4111111111111111"])),
        st.just(NoInput()),
    ),
    LookUp: st.builds(
        LookedUp,
        st.sampled_from(["found", "several", "none", "slow", "error", "refused", "junk"]),
        phrases=st.just((Prompt("goodbye"),)),
        level=st.sampled_from(["", "ani", "second_factor"]),
    ),
}


def outcome_for(wait: Wait) -> st.SearchStrategy[Outcome]:
    return OUTCOMES.get(type(wait), st.one_of(st.just(Done()), st.builds(Refused, st.just("full"))))


@settings(max_examples=lots(150), deadline=None)
@given(st.data())
def test_whatever_callers_and_shops_do_the_flow_ends_well_and_can_be_picked_up_anywhere(data: st.DataObject) -> None:
    step = engine.start(FLOW, CALL, context())
    ended = 0
    for _ in range(400):
        ended += sum(isinstance(event, FlowEnded) for event in step.events)
        if isinstance(step.then, End):
            break
        picked_up = engine.restore(FLOW, Session.from_json(json.loads(json.dumps(step.session.journal()))), context())
        assert not isinstance(picked_up.then, End)
        outcome = data.draw(outcome_for(step.then))
        before = stored(step.session)
        assert before == step.session
        step = engine.resume(FLOW, before, outcome, context())
        assert engine.resume(FLOW, before, outcome, context()) == step
    assert isinstance(step.then, End), "the flow has no end"
    assert ended == 1
    assert step.then.exit in ("handoff", "voicemail", "error")
    if step.then.exit == "error":
        assert step.then.error == "neither a person nor a message box"


@pytest.mark.parametrize("record", [{}, {"interaction_id": 5}, {"interaction_id": "x", "flow": "f"}, {"visits": []}])
def test_what_is_no_session_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a session"):
        Session.from_json(record)


def test_fields_of_a_newer_release_are_dropped() -> None:
    session = walk(FLOW, Played()).session
    assert Session.from_json({**session.to_json(), "newer": 1}) == session
