"""A call is what is known of it, in whatever order, how often and with whatever gaps it was told."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.events import DomainEvent
from core.events import pbx as facts
from pbx.ami_events import (
    AmiEvent,
    BridgeEntered,
    BridgeLeft,
    ChannelGone,
    ChannelSeen,
    ChannelState,
    DeviceChanged,
    HoldChanged,
    OriginateFailed,
    Told,
)
from pbx.call import Call, Ignored, Leg, Stay, apply
from tests.unit.pbx.told import STORIES, events, interaction

IX = "n1-1.1"
LEG = f"{IX}-o1"
T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SEEDS = 300


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def fold(story: tuple[AmiEvent, ...] | list[AmiEvent], ix: str = IX) -> tuple[Call, list[DomainEvent]]:
    call, told = Call(ix), []
    for event in story:
        call, news = apply(call, event)
        if not isinstance(news, Ignored):
            told += news
    return call, told


def facts_of(call: Call) -> Call:
    """Without what was told already: that depends on the order, what is known does not."""
    return replace(call, told=frozenset())


@pytest.mark.parametrize("story", STORIES)
def test_any_order_and_any_repetition_of_a_real_call_end_in_the_same_call(story: str) -> None:
    ix = interaction(story)
    straight, _ = fold(events(story), ix)
    assert straight.ended
    for seed in range(SEEDS):
        chance = random.Random(seed)
        mixed = [event for event in events(story) for _ in range(chance.choice((1, 1, 2, 3)))]
        chance.shuffle(mixed)
        call, told = fold(mixed, ix)
        assert facts_of(call) == facts_of(straight), seed
        kinds = Counter(event.kind for event in told)
        assert kinds["CallArrived"] == kinds["CallEnded"] == 1, seed
        assert max(Counter((e.kind, getattr(e, "leg_id", ""), e.at) for e in told).values()) == 1, seed


@pytest.mark.parametrize("story", STORIES)
def test_losing_what_says_nothing_about_a_call_changes_nothing(story: str) -> None:
    ix = interaction(story)
    straight, told = fold(events(story), ix)
    for seed in range(SEEDS // 3):
        chance = random.Random(seed)
        thinned = []
        call = Call(ix)
        for event in events(story):
            after, news = apply(call, event)
            if isinstance(news, Ignored) and chance.random() < 0.8:
                continue
            thinned.append(event)
            call = after
        assert fold(thinned, ix) == (straight, told), seed


@pytest.mark.parametrize(
    ("story", "kinds", "reason"),
    [
        ("agent_hangs_up", ["LegRinging", "LegAnswered", "CallConnected", "LegEnded"], "agent_hangup"),
        ("caller_hangs_up", ["LegRinging", "LegAnswered", "CallConnected", "LegEnded"], "caller_hangup"),
        ("not_answered", ["LegRinging", "LegEnded"], "caller_hangup"),
        ("phone_not_there", ["LegEnded"], "caller_hangup"),
        ("abandoned_while_ringing", ["LegRinging", "LegEnded"], "caller_hangup"),
        (
            "held_and_resumed",
            ["LegRinging", "LegAnswered", "CallConnected", "CallHeld", "CallResumed", "LegEnded"],
            "caller_hangup",
        ),
        (
            "declined_then_answered",
            ["LegRinging", "LegEnded", "LegRinging", "LegAnswered", "CallConnected", "LegEnded"],
            "agent_hangup",
        ),
    ],
)
def test_a_real_call_is_told_as_it_was(story: str, kinds: list[str], reason: str) -> None:
    _, told = fold(events(story), interaction(story))
    assert [event.kind for event in told][:3] == ["CallArrived", "CallAnswered", "CallWaiting"]
    rest = [event.kind for event in told[3:] if event.kind != "CallEnded"]
    assert rest == kinds
    (ended,) = [event for event in told if isinstance(event, facts.CallEnded)]
    assert ended.reason == reason
    assert (ended.talk_s > 0) == ("CallConnected" in kinds)


@pytest.mark.parametrize(
    ("story", "cause"), [("declined_then_answered", 17), ("not_answered", 19), ("abandoned_while_ringing", 26)]
)
def test_a_failed_offer_carries_the_cause_of_its_own_leg(story: str, cause: int) -> None:
    _, told = fold(events(story), interaction(story))
    first = next(event for event in told if isinstance(event, facts.LegEnded))
    assert (first.cause, first.answered) == (cause, False)


def talk(*, leaver: str) -> list[AmiEvent]:
    first, second = (LEG, IX) if leaver == "agent" else (IX, LEG)
    return [
        ChannelSeen(at=at(0), uniqueid=IX, channel="PJSIP/trunk-1", number="1", dialled="400"),
        ChannelState(at=at(1), uniqueid=IX, channel="PJSIP/trunk-1", state="Up"),
        ChannelSeen(at=at(2), uniqueid=LEG, channel="PJSIP/101-2"),
        ChannelState(at=at(3), uniqueid=LEG, channel="PJSIP/101-2", state="Ringing"),
        ChannelState(at=at(4), uniqueid=LEG, channel="PJSIP/101-2", state="Up"),
        BridgeEntered(at=at(5), uniqueid=IX, channel="PJSIP/trunk-1", bridge_id="b"),
        BridgeEntered(at=at(5.5), uniqueid=LEG, channel="PJSIP/101-2", bridge_id="b"),
        BridgeLeft(at=at(9), uniqueid=first, channel="", bridge_id="b"),
        BridgeLeft(at=at(9.0001), uniqueid=second, channel="", bridge_id="b"),
        ChannelGone(at=at(9.1), uniqueid=LEG, channel="PJSIP/101-2", cause=16),
        ChannelGone(at=at(9.2), uniqueid=IX, channel="PJSIP/trunk-1", cause=16),
    ]


@pytest.mark.parametrize("who", ["agent", "caller"])
def test_whoever_left_first_hung_up_even_within_one_millisecond(who: str) -> None:
    call, told = fold(talk(leaver=who))
    ended = told[-1]
    assert isinstance(ended, facts.CallEnded)
    assert (ended.reason, ended.talk_s) == (f"{who}_hangup", 3.5)
    assert call.talk_s == 3.5 and not call.waiting and call.talking is None


def second_talk(*, leaver: str) -> list[AmiEvent]:
    """The first agent hung up, the caller went back into the queue and was given to another agent."""
    leg = f"{IX}-o2"
    first, second = (leg, IX) if leaver == "agent" else (IX, leg)
    fields = {"interaction": IX, "channel": "PJSIP/trunk-1", "visit": "2", "queue": "service", "at": "0"}
    return [
        *talk(leaver="agent")[:-1],
        Told(at=at(10), name="AcWaiting", fields=fields),
        ChannelSeen(at=at(12), uniqueid=leg, channel="PJSIP/102-3"),
        ChannelState(at=at(13), uniqueid=leg, channel="PJSIP/102-3", state="Up"),
        BridgeEntered(at=at(14), uniqueid=leg, channel="PJSIP/102-3", bridge_id="a"),
        BridgeEntered(at=at(14.1), uniqueid=IX, channel="PJSIP/trunk-1", bridge_id="a"),
        BridgeLeft(at=at(20), uniqueid=first, channel="", bridge_id="a"),
        BridgeLeft(at=at(20.0001), uniqueid=second, channel="", bridge_id="a"),
        ChannelGone(at=at(20.1), uniqueid=leg, channel="", cause=16),
        ChannelGone(at=at(20.2), uniqueid=IX, channel="PJSIP/trunk-1", cause=16),
    ]


@pytest.mark.parametrize("who", ["agent", "caller"])
def test_with_two_talks_whoever_left_the_last_one_first_hung_up(who: str) -> None:
    _, told = fold(second_talk(leaver=who))
    ended = told[-1]
    assert isinstance(ended, facts.CallEnded) and ended.reason == f"{who}_hangup"


def test_whoever_has_talked_waits_again_only_when_they_come_back_into_the_queue() -> None:
    story = second_talk(leaver="agent")
    back = next(i for i, event in enumerate(story) if isinstance(event, Told))
    joined = next(i for i, event in enumerate(story) if isinstance(event, BridgeEntered) and event.bridge_id == "a") + 1
    first = Told(at=at(1.5), name="AcWaiting", fields={"interaction": IX, "channel": "c", "visit": "1", "at": "0"})
    story = [*story[:2], first, *story[2:]]
    waiting = [fold(story[: n + 1])[0].waiting for n in range(len(story))]
    assert [n for n, (a, b) in enumerate(zip(waiting, waiting[1:], strict=False)) if a != b] == [1, 6, back, joined]


def test_a_list_that_is_read_late_does_not_outlive_the_leaving_that_came_after_it() -> None:
    start = talk(leaver="agent")[:5]
    listed = ChannelSeen(at=at(6), uniqueid=LEG, channel="PJSIP/101-2", up=True, bridge_id="b")
    call, _ = fold([*start, listed, BridgeLeft(at=at(7), uniqueid=LEG, channel="", bridge_id="b")])
    assert not call.legs[LEG].stays[0].here
    call, _ = fold([*start, BridgeLeft(at=at(7), uniqueid=LEG, channel="", bridge_id="b"), listed])
    assert call.legs[LEG].stays[0].here, "it is there again, whatever the clocks say"


def test_a_caller_who_waits_twice_is_told_waiting_twice_with_the_first_moment() -> None:
    def visit(number: int, moment: float) -> Told:
        fields = {"interaction": IX, "channel": "PJSIP/trunk-1", "visit": str(number), "queue": "service"}
        return Told(at=at(moment), name="AcWaiting", fields={**fields, "at": str(int(at(2).timestamp() * 1000))})

    _, told = fold([*talk(leaver="agent")[:2], visit(1, 2), visit(1, 2), visit(2, 40)])
    waiting = [event for event in told if isinstance(event, facts.CallWaiting)]
    assert [event.enqueued_at for event in waiting] == [at(2), at(2)]


def test_an_offer_without_a_channel_ends_as_unreachable_and_one_with_a_channel_by_its_own_cause() -> None:
    start = talk(leaver="agent")[:2]
    _, told = fold([*start, OriginateFailed(at=at(3), action_id=LEG)])
    assert isinstance(told[-1], facts.LegEnded) and (told[-1].cause, told[-1].offer_id) == (20, "o1")
    rang = [ChannelSeen(at=at(2), uniqueid=LEG, channel="PJSIP/101-2"), OriginateFailed(at=at(3), action_id=LEG)]
    gone = ChannelGone(at=at(3.1), uniqueid=LEG, channel="PJSIP/101-2", cause=21)
    _, told = fold([*start, *rang, gone])
    assert [(e.cause, e.extension) for e in told if isinstance(e, facts.LegEnded)] == [(21, "101")]


def test_coming_back_into_the_same_bridge_is_talking_again() -> None:
    again = [
        *talk(leaver="agent")[:7],
        BridgeLeft(at=at(8), uniqueid=IX, channel="", bridge_id="b"),
        BridgeEntered(at=at(10), uniqueid=IX, channel="", bridge_id="b"),
    ]
    call, _ = fold(again)
    assert call.talking is not None
    call, _ = fold([*again, BridgeLeft(at=at(12), uniqueid=LEG, channel="", bridge_id="b")])
    assert call.talking is None and call.talk_s == pytest.approx(2.5 + 2.0)


def test_a_stay_whose_leaving_was_lost_lasts_to_the_next_leaving() -> None:
    stay = Stay("b", entered=(at(1), at(3), at(9)), left=(at(5),))
    assert stay.spans() == [(at(1), at(5)), (at(9), None)] and stay.here


def test_holds_are_told_with_whose_they_were() -> None:
    _, told = fold([*talk(leaver="agent")[:7], HoldChanged(at=at(6), uniqueid=LEG, on=True)])
    assert told[-1] == facts.CallHeld(interaction_id=IX, at=at(6), extension="101")


@pytest.mark.parametrize(
    "event",
    [
        DeviceChanged(at=T0, extension="101", state="INUSE"),
        ChannelGone(at=T0, uniqueid="n1-9.9", channel="x", cause=16),
        BridgeEntered(at=T0, uniqueid="n1-1.1x-o1", channel="x", bridge_id="b"),
        OriginateFailed(at=T0, action_id="ac-12"),
        Told(at=T0, name="AcWaiting", fields={"interaction": "n1-9.9"}),
        Told(at=T0, name="AcWaiting", fields={"interaction": IX, "visit": "1", "at": "soon"}),
        Told(at=T0, name="AcWaiting", fields={"interaction": IX, "visit": "1", "at": "9" * 40, "channel": "x"}),
    ],
)
def test_what_is_not_about_this_call_is_ignored_with_a_reason(event: AmiEvent) -> None:
    call = Call(IX, caller=Leg(IX))
    after, news = apply(call, event)
    assert after == call and isinstance(news, Ignored) and news.reason
