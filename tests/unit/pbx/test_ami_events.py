"""What Asterisk says becomes a typed value, or nothing; what strangers wrote into it comes out clean."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx.ami_events import (
    AmiEvent,
    Booted,
    BridgeEntered,
    BridgeLeft,
    ChannelGone,
    ChannelSeen,
    ChannelState,
    DeviceChanged,
    HoldChanged,
    OriginateFailed,
    Told,
    answers,
    device_in_list,
    ends_list,
    is_item,
    is_response,
    read,
    refusal,
    seen_in_status,
    value_in,
)
from pbx.ami_wire import Block, Framer, headers_of
from tests.unit.pbx.told import STORIES, blocks

AT = datetime(2026, 11, 24, 9, 0, 0, 123456, tzinfo=UTC)
STAMP = f"{AT.timestamp():.6f}"
ASKED = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def block(text: str) -> Block:
    return headers_of(text.replace("\n", "\r\n").encode())


@pytest.mark.parametrize(
    ("text", "event"),
    [
        (
            "Event: Newchannel\nUniqueid: n1-1.1\nChannel: PJSIP/trunk-1\nLinkedid: n1-1.1\nCallerIDNum: +86 138-0013\n"
            "CallerIDName:  Li\tNa \nExten: 400\nContext: from-trunk\nChannelStateDesc: Ring",
            ChannelSeen(
                at=AT, uniqueid="n1-1.1", channel="PJSIP/trunk-1", linkedid="n1-1.1", number="+861380013", name="Li Na",
                dialled="400", context="from-trunk",
            ),
        ),
        (
            "Event: Newstate\nUniqueid: 1\nChannel: c\nChannelStateDesc: Ringing",
            ChannelState(at=AT, uniqueid="1", channel="c", state="Ringing"),
        ),
        ("Event: Hangup\nUniqueid: 1\nChannel: c\nCause: 17", ChannelGone(at=AT, uniqueid="1", channel="c", cause=17)),
        ("Event: Hangup\nUniqueid: 1\nChannel: c", ChannelGone(at=AT, uniqueid="1", channel="c", cause=0)),
        (
            "Event: BridgeEnter\nUniqueid: 1\nChannel: c\nBridgeUniqueid: b",
            BridgeEntered(at=AT, uniqueid="1", channel="c", bridge_id="b"),
        ),
        (
            "Event: BridgeLeave\nUniqueid: 1\nChannel: c\nBridgeUniqueid: b",
            BridgeLeft(at=AT, uniqueid="1", channel="c", bridge_id="b"),
        ),
        ("Event: Hold\nUniqueid: 1", HoldChanged(at=AT, uniqueid="1", on=True)),
        ("Event: Unhold\nUniqueid: 1", HoldChanged(at=AT, uniqueid="1", on=False)),
        ("Event: DeviceStateChange\nDevice: PJSIP/101\nState: INUSE", DeviceChanged(at=AT, extension="101", state="INUSE")),
        ("Event: OriginateResponse\nResponse: Failure\nActionID: x-o1", OriginateFailed(at=AT, action_id="x-o1")),
        (
            "Event: UserEvent\nUserEvent: AcWaiting\nAcQueue: service\nQueue: other",
            Told(at=AT, name="AcWaiting", fields={"queue": "service"}),
        ),
        ("Event: FullyBooted\nUptime: 12", Booted(at=AT)),
    ],
)  # fmt: skip
def test_an_event_is_read(text: str, event: AmiEvent) -> None:
    assert read(block(f"{text}\nTimestamp: {STAMP}")) == event


@pytest.mark.parametrize(
    "text",
    [
        "Event: Newchannel\nChannel: PJSIP/trunk-1",
        "Event: Newchannel\nUniqueid:\nChannel: PJSIP/trunk-1",
        "Event: Hangup\nCause: 16",
        "Event: Hangup\nUniqueid: 1\nCause: sixteen",
        "Event: Newstate\nUniqueid: 1\nTimestamp: soon",
        "Event: Newstate\nUniqueid: 1\nTimestamp: 1e400",
        "Event: Newstate\nUniqueid: 1\nTimestamp: nan",
        "Event: Newstate\nUniqueid: 1\nTimestamp: -1e18",
        "Event: DeviceStateChange\nDevice: Local/x\nState: INUSE",
        "Event: DeviceStateChange\nState: INUSE",
        "Event: OriginateResponse\nResponse: Success\nActionID: x",
        "Event: RTCPSent\nUniqueid: 1",
        "Response: Success\nActionID: 1",
        "Uniqueid: 1",
        "",
    ],
)
def test_what_does_not_say_whom_it_is_about_or_says_nonsense_is_no_event(text: str) -> None:
    assert read(block(text)) is None


HEADERS = (
    "Event",
    "Uniqueid",
    "Channel",
    "Timestamp",
    "Cause",
    "ChannelStateDesc",
    "Device",
    "State",
    "Uptime",
    "AcAt",
)
NAMES = ("Newchannel", "Newstate", "Hangup", "BridgeEnter", "Hold", "DeviceStateChange", "OriginateResponse", "UserEvent",
         "FullyBooted")  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(HEADERS), st.sampled_from(NAMES) | st.text(max_size=20)), max_size=12))
def test_no_block_at_all_makes_the_reader_raise(pairs: list[tuple[str, str]]) -> None:
    raw = "\r\n".join(f"{name}: {text}" for name, text in pairs).encode("utf-8", "replace")
    event = read(headers_of(raw))
    assert event is None or getattr(event, "uniqueid", "-") != ""
    seen_in_status(headers_of(raw), ASKED)
    device_in_list(headers_of(raw))


def test_doubled_headers_do_not_change_what_an_event_is_or_whom_it_is_about() -> None:
    forged = "Event: UserEvent\nUserEvent: AcWaiting\nUniqueid: 1\nAcQueue: a\nEvent: Hangup\nUniqueid: 2\nAcQueue: b"
    event = read(block(f"{forged}\nTimestamp: {STAMP}"))
    assert event == Told(at=AT, name="AcWaiting", fields={"queue": "a"})


def test_event_text_inside_a_variables_value_is_no_event_of_its_own() -> None:
    """Asterisk tells a value as it is: a line break in it makes headers, never (on our side) another kind of event."""
    value = "x\r\nEvent: Hangup\r\nUniqueid: n1-9.9\r\nCause: 16"
    told = f"Event: UserEvent\r\nUserEvent: AcWaiting\r\nAcInteraction: n1-1.1\r\nAcProblem: {value}\r\n\r\n"
    (only,) = Framer().feed(told.encode())
    event = read(only)
    assert isinstance(event, Told) and event.fields["interaction"] == "n1-1.1" and event.fields["problem"] == "x"


# --- strangers' text


@given(st.text(max_size=300))
def test_a_number_is_digits_and_a_name_is_one_visible_line(text: str) -> None:
    raw = f"Event: Newchannel\r\nUniqueid: 1\r\nCallerIDNum: {text}\r\nCallerIDName: {text}".encode("utf-8", "replace")
    event = read(headers_of(raw))
    assert isinstance(event, ChannelSeen)
    assert set(event.number) <= set("0123456789+*#") and len(event.number) <= 40
    assert len(event.name) <= 120 and len(event.name.splitlines()) <= 1
    assert not any(unicodedata.category(mark).startswith("C") for mark in event.name)


@pytest.mark.parametrize(
    ("sent", "number"),
    [("", ""), ("<unknown>", ""), ("anonymous", ""), ("1" * 256, "1" * 40), ("${SHELL(id)}", ""), ("'; --", ""),
     ("+49 (30) 1234", "+49301234"), ("１２３", "")],
)  # fmt: skip
def test_what_can_be_dialled_of_a_number_is_kept(sent: str, number: str) -> None:
    event = read(block(f"Event: Newchannel\nUniqueid: 1\nCallerIDNum: {sent}"))
    assert isinstance(event, ChannelSeen) and event.number == number


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (r"Pat O\'Brien\?", "Pat O'Brien?"),
        (r"a \"b\" \\ c", 'a "b" \\ c'),
        (r"Li\r\nNa\a\t", "Li Na"),
        (r"C:\\new", r"C:\new"),
        ("x\\", "x\\"),
    ],
)
def test_a_name_in_an_event_is_without_the_escapes_that_asterisk_puts_in(told: str, name: str) -> None:
    event = read(block(f"Event: Newchannel\nUniqueid: 1\nCallerIDName: {told}"))
    assert isinstance(event, ChannelSeen) and event.name == name


def test_the_writing_direction_cannot_be_turned_by_a_name() -> None:
    event = read(block("Event: Newchannel\nUniqueid: 1\nCallerIDName: \u202egnp\u2066.exe\u2029x"))
    assert isinstance(event, ChannelSeen) and event.name == "gnp .exe x"


# --- lists and answers


def test_a_listed_channel_carries_the_variables_asked_for_and_the_moment_of_asking() -> None:
    text = (
        "Event: Status\nUniqueid: n1-1.1\nChannel: PJSIP/trunk-1\nLinkedid: l\nCallerIDNum: 138\nExten: s\nContext: ac-wait\n"
        "ChannelStateDesc: Up\nBridgeID: b\nVariable: AC_IX=n1-1.1\nVariable: AC_PROBLEM=a=b, c\nVariable: AC_QUEUE=(null)"
    )
    assert seen_in_status(block(text), ASKED) == ChannelSeen(
        at=ASKED, uniqueid="n1-1.1", channel="PJSIP/trunk-1", linkedid="l", number="138", dialled="s", context="ac-wait",
        up=True, bridge_id="b", variables={"AC_IX": "n1-1.1", "AC_PROBLEM": "a=b, c", "AC_QUEUE": ""},
    )  # fmt: skip
    ringing = seen_in_status(block("Event: Status\nUniqueid: 1\nChannelStateDesc: Ringing"), ASKED)
    assert ringing is not None and ringing.ringing and not ringing.up and ringing.variables == {}


@pytest.mark.parametrize("text", ["Event: Status", "Event: CoreShowChannel\nUniqueid: 1", "Event: StatusComplete", ""])
def test_what_is_no_listed_channel_is_none(text: str) -> None:
    assert seen_in_status(block(text), ASKED) is None


def test_a_listed_device_is_read_and_others_are_not() -> None:
    listed = device_in_list(block("Event: DeviceStateChange\nDevice: PJSIP/101\nState: UNAVAILABLE"))
    assert listed is not None and (listed.extension, listed.state) == ("101", "UNAVAILABLE")
    assert device_in_list(block("Event: DeviceStateChange\nDevice: Queue:x\nState: INUSE")) is None
    assert device_in_list(block("Event: DeviceStateListComplete")) is None


def test_answers_items_ends_and_refusals_are_told_apart() -> None:
    response = block("Response: Success\nActionID: 7\nEventList: start")
    item = block("Event: Status\nActionID: 7")
    end = block("Event: StatusComplete\nActionID: 7\nEventList: Complete")
    cancelled = block("Event: StatusComplete\nActionID: 7\nEventList: cancelled")
    refused = block("Response: Error\nActionID: 7\nMessage: Permission denied")
    assert [answers(b) for b in (response, item, end, refused, block("Event: X"))] == ["7", "7", "7", "7", ""]
    assert [is_response(b) for b in (response, item, end, refused)] == [True, False, False, True]
    assert [is_item(b) for b in (response, item, end, cancelled)] == [False, True, False, False]
    assert [ends_list(b) for b in (response, item, end, cancelled)] == [False, False, True, True]
    assert refusal(refused) == "Permission denied" and refusal(response) is None
    assert refusal(block("Response: Error")) == "refused"
    assert is_response(block("Event: OriginateResponse\nResponse: Failure")) is False
    assert value_in(block("Response: Success\nValue: 12")) == "12"


@pytest.mark.parametrize("story", STORIES)
def test_everything_that_matters_in_a_real_call_is_read(story: str) -> None:
    matter = {"Newchannel", "Newstate", "Hangup", "BridgeEnter", "BridgeLeave", "Hold", "Unhold", "UserEvent"}
    for told in blocks(story):
        event = read(told)
        assert (event is not None) or told["event"] not in matter, told
        assert event is None or event.at.timestamp() == pytest.approx(float(str(told["timestamp"])), abs=1e-5)
