"""Belief about a whole switch: which channel is whose, what a list mends, and that each call is told to its end once."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import pbx as facts
from pbx.ami_events import (
    UNSEEN,
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
from pbx.switchboard import KEEP_ENDED, KnownCall, Switchboard, is_leg
from tests.unit.pbx.told import STORIES, blocks
from tests.unit.pbx.truth import Desk, Truth, check_told, moment, typed

IX, LEG = "n1-1.1", "n1-1.1-o1"
CALLER, AGENT = "PJSIP/trunk-00000001", "PJSIP/101-00000002"
T0 = datetime(2026, 11, 24, 8, 59, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def arrives(ix: str = IX, channel: str = CALLER, dialled: str = "4008002000") -> ChannelSeen:
    return ChannelSeen(at=at(0), uniqueid=ix, channel=channel, number="138", name="Li Na", dialled=dialled)


def rings(leg: str = LEG, channel: str = AGENT) -> list[AmiEvent]:
    return [
        ChannelSeen(at=at(2), uniqueid=leg, channel=channel),
        ChannelState(at=at(3), uniqueid=leg, channel=channel, state="Ringing"),
    ]


def talks(leg: str = LEG, ix: str = IX) -> list[AmiEvent]:
    return [
        ChannelState(at=at(4), uniqueid=leg, channel=AGENT, state="Up"),
        BridgeEntered(at=at(5), uniqueid=ix, channel=CALLER, bridge_id="b"),
        BridgeEntered(at=at(5), uniqueid=leg, channel=AGENT, bridge_id="b"),
    ]


def gone(unique: str, seconds: float = 9, cause: int = 16) -> ChannelGone:
    return ChannelGone(at=at(seconds), uniqueid=unique, channel="", cause=cause)


def listed(unique: str = IX, channel: str = CALLER, **more: object) -> ChannelSeen:
    return ChannelSeen(at=at(20), uniqueid=unique, channel=channel, number="138", up=True, **more)  # type: ignore[arg-type]


def desk(*events: AmiEvent) -> Desk:
    it = Desk()
    it.take(events)
    return it


# --- each call and leg ends once


def test_an_agents_leg_whose_end_was_lost_is_ended_by_a_list_also_after_the_call_has_ended() -> None:
    it = desk(arrives(), *rings(), *talks(), gone(IX))
    assert it.heard.kinds()[-1] == "CallEnded" and not it.heard.of("LegEnded")
    it.board.take_list([])
    (ended,) = it.heard.of("LegEnded")
    assert isinstance(ended, facts.LegEnded) and ended.answered and ended.extension == "101"
    it.board.take_list([])
    check_told(it.heard.events, set())


def test_when_asterisk_is_lost_every_call_and_every_leg_is_over_once_and_late_events_change_nothing() -> None:
    other, waiting = (
        "n1-2.2",
        Told(at=at(1), name="AcWaiting", fields={"interaction": "n1-2.2", "channel": "c", "at": "0"}),
    )
    it = desk(arrives(), *rings(), *talks(), arrives(other, "PJSIP/trunk-00000009"), waiting)
    it.board.lost_node()
    assert {(e.interaction_id, e.reason) for e in it.heard.of("CallEnded")} == {(IX, "node_lost"), (other, "node_lost")}  # type: ignore[attr-defined]
    assert [e.answered for e in it.heard.of("LegEnded")] == [True]  # type: ignore[attr-defined]
    it.board.take_list([])
    count = len(it.heard.events)
    it.take([gone(LEG), gone(IX), *talks()])
    it.board.lost_node()
    it.board.take_list([])
    assert len(it.heard.events) == count and not it.board.calls()
    check_told(it.heard.events, set())


UNIQUES = (IX, LEG, "n1-1.1-o2", "n1-2.2", "n1-2.2-o3", "1.3", "")
CHANNELS = (CALLER, AGENT, "PJSIP/102-3", "Local/x", "")


def event_of(kind: int, who: int, where: int, seconds: int, flag: bool) -> AmiEvent:
    """Any event at all, about few channels."""
    unique, channel, when = UNIQUES[who], CHANNELS[where], at(seconds)
    told = {"interaction": unique, "channel": channel, "visit": str(seconds % 3), "at": "0" if flag else "x"}
    return (
        ChannelSeen(at=when, uniqueid=unique, channel=channel, up=flag, bridge_id="ab"[where % 2]),
        ChannelSeen(at=when, uniqueid=unique, channel=channel, ringing=flag),
        ChannelState(at=when, uniqueid=unique, channel=channel, state="Up" if flag else "Ringing"),
        ChannelGone(at=when, uniqueid=unique, channel=channel, cause=seconds),
        BridgeEntered(at=when, uniqueid=unique, channel=channel, bridge_id="ab"[where % 2]),
        BridgeLeft(at=when, uniqueid=unique, channel=channel, bridge_id="ab"[where % 2]),
        HoldChanged(at=when, uniqueid=unique, on=flag),
        OriginateFailed(at=when, action_id=unique),
        DeviceChanged(at=when, extension=("101", "999")[where % 2], state="INUSE" if flag else "INVALID"),
        Told(at=when, name="AcWaiting" if flag else "AcFeature", fields={**told, "extension": "101"}),
    )[kind]


EVENTS = st.tuples(st.integers(0, 9), st.integers(0, 6), st.integers(0, 4), st.integers(0, 50), st.booleans())


@given(st.lists(EVENTS, max_size=25), st.sets(st.integers(0, 25), max_size=3), st.booleans())
def test_whatever_is_told_in_whatever_order_no_call_ends_twice_and_a_list_ends_them_all(
    told: list[tuple[int, int, int, int, bool]], listed_after: set[int], sure: bool
) -> None:
    it = Desk()
    for number, event in enumerate(told):
        it.board.on_event(event_of(*event))
        if number in listed_after:
            it.board.take_list([], sure=sure)
    it.board.take_list([])
    assert not it.board.calls() and not it.board.missing
    check_told(it.heard.events, set())


# --- lists


def test_a_list_that_is_not_sure_ends_a_call_only_when_the_next_one_lacks_it_too() -> None:
    it = desk(arrives(), *rings())
    assert it.board.take_list([listed(LEG, AGENT)], sure=False) == 0
    assert it.board.missing == {IX} and not it.heard.of("CallEnded")
    assert it.board.take_list([listed(), listed(LEG, AGENT)], sure=False) == 0
    assert not it.board.missing
    it.board.take_list([], sure=False)
    it.take([gone(IX, cause=16), gone(LEG, cause=19)])
    assert it.board.take_list([], sure=False) == 0, "their last events came meanwhile: nothing to repair"
    (ended,) = it.heard.of("CallEnded")
    assert ended.reason == "caller_hangup"  # type: ignore[attr-defined]


def test_each_repair_is_told_and_counted() -> None:
    it = desk(arrives(), *rings(), *talks())
    repairs = it.board.take_list([listed("n1-9.9", "PJSIP/trunk-00000004"), listed()])
    told = [(e.interaction_id, e.what) for e in it.heard.of("StateRepaired")]  # type: ignore[attr-defined]
    assert told == [("n1-9.9", "call_found"), (IX, "bridge_left"), (IX, "leg_ended")]
    assert repairs == 3 and it.board.repairs == {"call_found": 1, "bridge_left": 1, "leg_ended": 1}
    assert all(event.reason for event in it.heard.of("StateRepaired"))  # type: ignore[attr-defined]


def test_a_call_without_a_ticket_yet_is_found_by_a_list_all_the_same() -> None:
    it = desk()
    it.board.take_list([listed(variables={"AC_IX": "", "AC_ENTRY": ""}, dialled="4008003000")])
    (call,) = it.board.calls()
    assert (call.id, call.ani) == (IX, "138") and it.heard.kinds()[:3] == [
        "StateRepaired",
        "CallArrived",
        "CallAnswered",
    ]


def test_the_trunks_end_of_somebody_elses_call_is_no_call_of_its_own() -> None:
    it = desk()
    it.board.take_list([listed("n1-7.7", "PJSIP/trunk-00000007", variables={"AC_IX": IX})])
    assert not it.board.calls() and not it.heard.of("CallArrived") and not it.board.repairs


def test_the_number_that_a_caller_was_connected_to_is_no_call_of_its_own_either() -> None:
    it = desk()
    far = ChannelSeen(at=at(2), uniqueid="n1-1.9", channel="PJSIP/trunk-00000009", linkedid=IX, dialled="s")
    for event in (arrives(), far, ChannelState(at=at(3), uniqueid=far.uniqueid, channel=far.channel, state="Up")):
        it.board.on_event(event)
    assert [call.id for call in it.board.calls()] == [IX]
    it.board.take_list([replace(arrives(), up=True), replace(far, up=True)])
    assert [call.id for call in it.board.calls()] == [IX]
    it.board.on_event(gone(far.uniqueid))
    assert len(it.heard.of("CallArrived")) == 1 and not it.heard.of("CallEnded")


def test_a_caller_found_waiting_keeps_queue_and_the_moment_they_began_to_wait() -> None:
    it = desk()
    said = {"AC_IX": IX, "AC_STAGE": "wait", "AC_VISIT": "2", "AC_QUEUE": "service", "AC_AT": str(int(T0.timestamp() * 1000)),
            "AC_SKILLS": "zh:3,vip:1", "AC_PRIO": "5", "AC_LANG": "zh", "AC_LEVEL": "ani", "AC_PROBLEM": "a, b"}  # fmt: skip
    it.board.take_list([listed(variables=said)])
    it.board.take_list([listed(variables=said)])
    (waiting,) = it.heard.of("CallWaiting")
    assert isinstance(waiting, facts.CallWaiting)
    assert (waiting.queue, waiting.enqueued_at, waiting.priority, waiting.skills) == (
        "service",
        T0,
        5,
        {"zh": 3, "vip": 1},
    )
    assert (waiting.language, waiting.level, waiting.problem, waiting.ani) == ("zh", "ani", "a, b", "138")
    assert it.board.calls()[0].waiting


@pytest.mark.parametrize("visit", ["", "x", "-1", "²"])
def test_a_ticket_that_cannot_be_read_costs_no_list(visit: str) -> None:
    it = desk()
    it.board.take_list(
        [
            listed(variables={"AC_IX": IX, "AC_STAGE": "wait", "AC_VISIT": visit, "AC_AT": "soon"}),
            listed("n1-2.2", "PJSIP/trunk-2"),
        ]
    )
    assert {call.id for call in it.board.calls()} == {IX, "n1-2.2"}


# --- a process before us


@pytest.mark.parametrize("seed", range(60))
def test_two_processes_one_after_the_other_tell_each_call_to_have_arrived_and_ended_once(seed: int) -> None:
    chance = random.Random(seed)
    story = list(blocks(chance.choice(STORIES)))
    killed, back = sorted(chance.choices(range(len(story) + 1), k=2))
    truth, first, second = Truth(), Desk(), Desk()
    first.take(typed(story[:killed]))
    for block in story[:back]:
        truth.tell(block)
    known = known_of(first)
    second.board.take_list(truth.channels(moment(story[max(0, back - 1)])), known=known)
    second.take(typed(story[back:]))
    second.board.take_list([])
    both = [*first.heard.events, *second.heard.events]
    per_call = [(event.kind, event.interaction_id) for event in both if event.kind in ("CallArrived", "CallEnded")]
    assert len(per_call) == len(set(per_call))
    assert {ix for kind, ix in per_call if kind == "CallArrived"} == {
        ix for kind, ix in per_call if kind == "CallEnded"
    }
    connected = {e.leg_id: e.at for e in first.heard.of("CallConnected")}  # type: ignore[attr-defined]
    again = {e.leg_id: e.at for e in second.heard.of("CallConnected")}  # type: ignore[attr-defined]
    assert all(connected[leg] == since for leg, since in again.items() if leg in connected), "talking since then"


def known_of(desk: Desk) -> dict[str, KnownCall]:
    """As `store.open_calls` tells it of what was written down."""
    ended = {event.interaction_id for event in desk.heard.of("CallEnded")}
    arrived = {e.interaction_id: e.at for e in desk.heard.of("CallArrived") if e.interaction_id not in ended}
    legs = desk.heard.of("CallConnected")
    return {
        ix: KnownCall(since, {leg.leg_id: leg.at for leg in legs if leg.interaction_id == ix})  # type: ignore[attr-defined]
        for ix, since in arrived.items()
    }


def test_a_known_call_that_is_over_is_ended_without_a_moment_before_its_arrival() -> None:
    it = desk()
    arrived_at = it.clock.now() + timedelta(hours=1)  # the clock was set back meanwhile
    it.board.take_list([], known={IX: KnownCall(arrived_at)})
    (ended,) = it.heard.of("CallEnded")
    assert (ended.reason, ended.at) == ("unseen", arrived_at)  # type: ignore[attr-defined]


# --- whose channel


def test_a_call_of_an_agents_own_is_no_call_of_ours_but_the_phone_is_in_use() -> None:
    own = "n1-5.5"
    it = desk(DeviceChanged(at=at(0), extension="101", state="NOT_INUSE"), ChannelSeen(at=at(1), uniqueid=own, channel=AGENT),
              ChannelState(at=at(1), uniqueid=own, channel=AGENT, state="Up"), gone_named(own, AGENT))  # fmt: skip
    assert [(e.reachable, e.in_use) for e in it.heard.of("AgentDeviceChanged")] == [
        (True, False),
        (True, True),
        (True, False),
    ]  # type: ignore[attr-defined]
    assert not it.board.calls()


def gone_named(unique: str, channel: str) -> ChannelGone:
    return ChannelGone(at=at(9), uniqueid=unique, channel=channel, cause=16)


def test_the_leg_of_an_offer_does_not_make_a_phone_in_use_even_when_its_call_is_unknown() -> None:
    it = desk(DeviceChanged(at=at(0), extension="101", state="INUSE"), *rings("n1-8.8-o1"))
    it.board.take_list([listed("n1-8.8-o1", AGENT)])
    assert [(e.reachable, e.in_use) for e in it.heard.of("AgentDeviceChanged") if e.extension == "101"] == [
        (True, False)
    ]  # type: ignore[attr-defined]


def test_a_phone_in_use_whose_hangup_was_lost_is_free_after_a_list() -> None:
    it = desk(ChannelSeen(at=at(1), uniqueid="n1-5.5", channel=AGENT))
    it.board.take_list([])
    assert [e.in_use for e in it.heard.of("AgentDeviceChanged") if e.extension == "101"] == [True, False]  # type: ignore[attr-defined]
    it.board.take_list([listed("n1-6.6", AGENT)])
    assert it.heard.of("AgentDeviceChanged")[-1].in_use  # type: ignore[attr-defined]


@pytest.mark.parametrize("state", ["UNAVAILABLE", "INVALID", "UNKNOWN"])
def test_a_phone_is_reachable_until_asterisk_says_otherwise(state: str) -> None:
    it = desk(DeviceChanged(at=at(0), extension="101", state="NOT_INUSE"), DeviceChanged(at=at(1), extension="101", state=state),
              DeviceChanged(at=at(1), extension="900", state="NOT_INUSE"))  # fmt: skip
    it.board.take_devices([DeviceChanged(at=at(2), extension="101", state="BUSY")])
    told = [(e.extension, e.reachable) for e in it.heard.of("AgentDeviceChanged")]  # type: ignore[attr-defined]
    assert told == [("101", True), ("101", False), ("101", True)]
    it.board.add_extension("900")
    it.take([DeviceChanged(at=at(3), extension="900", state="NOT_INUSE")])
    assert it.heard.of("AgentDeviceChanged")[-1].extension == "900"  # type: ignore[attr-defined]


def test_feature_codes_count_only_from_phones_of_ours() -> None:
    it = desk(
        *(Told(at=at(0), name="AcFeature", fields={"extension": who, "code": "ready"}) for who in ("101", "trunk", ""))
    )
    assert [e.extension for e in it.heard.of("FeatureCodeDialled")] == ["101"]  # type: ignore[attr-defined]


def test_a_caller_id_that_looks_like_an_agent_or_a_leg_is_still_a_caller() -> None:
    seen = ChannelSeen(at=at(0), uniqueid=IX, channel=CALLER, number="101", name="PJSIP/101-1", dialled="4008002000")
    it = desk(seen, DeviceChanged(at=at(0), extension="101", state="NOT_INUSE"))
    (call,) = it.board.calls()
    assert (call.ani, call.entry) == ("101", "queue")
    assert not it.heard.of("AgentDeviceChanged")[0].in_use  # type: ignore[attr-defined]


@pytest.mark.parametrize(("unique", "leg"), [(IX, False), (LEG, True), ("1795497528.2", False), ("x", False), ("", False),
                                             ("node-with-dashes-1.2", False), ("node-1.2-o", True)])  # fmt: skip
def test_ids_that_we_chose_are_told_from_those_asterisk_counted_out(unique: str, leg: bool) -> None:
    assert is_leg(unique) is leg


# --- bounds


def test_memory_is_bounded_and_late_events_of_a_call_that_just_ended_still_find_it() -> None:
    it = Desk()
    for number in range(KEEP_ENDED + 20):
        ix = f"n1-{number}.1"
        it.take([arrives(ix), gone(ix)])
        it.take([ChannelState(at=at(1), uniqueid=ix, channel=CALLER, state="Up"), gone(ix)])
    assert len(it.board.recent()) == KEEP_ENDED and it.board.call("n1-0.1") is None
    assert len(it.heard.of("CallEnded")) == KEEP_ENDED + 20
    it.take([gone("n1-0.1"), BridgeLeft(at=at(9), uniqueid="n1-0.1", channel=CALLER, bridge_id="b")])
    assert it.board.call("n1-0.1") is None, "what was forgotten is not begun anew by its last events"


def test_an_unseen_cause_is_no_cause_that_others_have_to_know() -> None:
    it = desk(arrives(), *rings(), *talks())
    it.board.take_list([])
    assert [e.cause for e in it.heard.of("LegEnded")] == [0] and UNSEEN < 0  # type: ignore[attr-defined]
    (ended,) = it.heard.of("CallEnded")
    assert (ended.reason, ended.cause) == ("vanished", 0)  # type: ignore[attr-defined]
    it = desk(arrives())
    it.board.lost_node()
    assert it.heard.of("CallEnded")[0].cause >= 0  # type: ignore[attr-defined]


def test_an_orphaned_ring_is_told_as_a_repair_of_its_call() -> None:
    it = desk()
    it.board.note_orphan(LEG)
    (repaired,) = it.heard.of("StateRepaired")
    assert (repaired.interaction_id, repaired.what) == (IX, "offer_orphaned")  # type: ignore[attr-defined]


def test_a_switchboard_begins_with_nothing() -> None:
    board: Switchboard = Desk().board
    assert board.calls() == board.recent() == [] and board.take_list([]) == 0
