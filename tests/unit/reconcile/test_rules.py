"""Two sides' words about a call: what differs, and nothing when they say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.reconcile.rules import (
    FoundSound,
    OurCall,
    StoredSound,
    compare_call,
    compare_sound,
)
from core.events.pbx import CallArrived, CallEnded
from pbx.cel import BookCall, Talk, calls_in
from tests.unit.pbx.test_cel import line, new_book

T0 = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
IX = "n1-1.1"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


TALKED = BookCall(IX, at(0), at(60), "agent_hangup", 16, 40.0, (Talk("o1", "101"),))
OURS = OurCall(IX, at(0), at(60.1), "agent_hangup", 40.2, frozenset({"o1"}))
NO_END = replace(TALKED, ended_at=None, reason="")
LOST = replace(NO_END, lost_at=at(90))
STATIC = replace(TALKED, talks=(Talk("", "102"),))

TABLE = {
    "the same": (TALKED, OURS, []),
    "up on both sides": (NO_END, replace(OURS, ended_at=None, reason=""), []),
    "nobody of ours knows it": (TALKED, None, ["call_unknown_to_us"]),
    "nobody of ours knows it and it has no end": (NO_END, None, ["call_unknown_to_us"]),
    "we have no end": (TALKED, replace(OURS, ended_at=None, reason="", segments=frozenset()),
                       ["end_missing", "talk_without_segment"]),
    "the book has no end": (NO_END, OURS, ["end_missing"]),
    "we told that the switch is lost": (NO_END, replace(OURS, reason="node_lost"), []),
    "the switch was lost and we heard the end before": (LOST, OURS, []),
    "the switch was lost and we told so": (LOST, replace(OURS, reason="node_lost"), []),
    "the switch was lost and nobody saw it": (LOST, replace(OURS, reason="unseen"), ["reason_unseen"]),
    "the switch was lost and we have no end": (LOST, replace(OURS, ended_at=None, reason=""), ["end_missing"]),
    "nobody saw the end": (TALKED, replace(OURS, reason="unseen", ended_at=at(64), talk_s=0.0), ["reason_unseen"]),
    "it vanished": (TALKED, replace(OURS, reason="vanished"), ["reason_unseen"]),
    "nobody saw the end and the book does not know": (
        replace(TALKED, reason=""), replace(OURS, reason="unseen", ended_at=at(64)), ["end_differs"]),
    "the end is a second off": (TALKED, replace(OURS, ended_at=at(61)), []),
    "the end is more than a second off": (TALKED, replace(OURS, ended_at=at(61.01)), ["end_differs"]),
    "the end is earlier": (TALKED, replace(OURS, ended_at=at(50)), ["end_differs"]),
    "another hung up": (TALKED, replace(OURS, reason="caller_hangup"), ["reason_differs"]),
    "another talk": (TALKED, replace(OURS, talk_s=38.9), ["talk_differs"]),
    "no segment": (TALKED, replace(OURS, segments=frozenset({"o2"})), ["talk_without_segment"]),
    "out of the static queue": (STATIC, OURS, ["talk_without_segment"]),
    "everything": (TALKED, OurCall(IX, at(0), at(30), "system", 0.0),
                   ["end_differs", "reason_differs", "talk_differs", "talk_without_segment"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_what_differs_between_two_words_about_a_call(name: str) -> None:
    book, ours, kinds = TABLE[name]
    found = compare_call(book, ours)
    assert sorted(difference.kind for difference in found) == kinds
    assert all(it.interaction_id == IX and it.ours and it.theirs and len(it.cause) > 20 for it in found)


def test_only_what_the_book_knows_can_be_mended() -> None:
    mendable = {
        name: {it.kind for it in compare_call(book, ours) if it.mendable} for name, (book, ours, _) in TABLE.items()
    }
    assert mendable["nobody of ours knows it"] == {"call_unknown_to_us"}
    assert mendable["nobody of ours knows it and it has no end"] == set()
    assert mendable["the book has no end"] == set()
    assert mendable["nobody saw the end and the book does not know"] == set()
    assert mendable["no segment"] == mendable["out of the static queue"] == set()
    assert mendable["everything"] == {"end_differs", "reason_differs", "talk_differs"}


ROW = StoredSound("r1", IX, "2026/11/24/r1.wav", "a" * 64, 40.0)


@pytest.mark.parametrize(
    ("found", "kinds"),
    [
        (FoundSound("a" * 64, 40.4), []),
        (None, ["recording_without_file"]),
        (FoundSound("b" * 64, 40.0), ["hash_differs"]),
        (FoundSound("b" * 64, 12.0), ["hash_differs", "length_differs"]),
        (FoundSound("a" * 64, 41.1), ["length_differs"]),
        (FoundSound("b" * 64, fault="r1.wav is empty."), ["hash_differs", "length_differs"]),
    ],
)
def test_what_differs_between_a_recording_and_its_file(found: FoundSound | None, kinds: list[str]) -> None:
    differences = compare_sound(ROW, found)
    assert [it.kind for it in differences] == kinds
    assert all(it.ids["recording_id"] == "r1" for it in differences)


@st.composite
def scripts(draw: st.DrawFn) -> list[str]:
    """The book's lines of one random call: answered or not, offered to some, talking to some of them, ended by anybody."""
    clock = draw(st.floats(0, 1_000_000))
    told: list[str] = []

    def then(kind: str, unique: str, channel: str, extra: str = "", wait_s: float = 30) -> None:
        nonlocal clock
        clock += draw(st.floats(0, wait_s))
        told.append(line(kind, clock, unique, channel, extra=extra, dialled="4008002000"))

    caller = "PJSIP/trunk-00000001"
    then("CHAN_START", IX, caller)
    if draw(st.booleans()):
        then("ANSWER", IX, caller)
    for number in range(draw(st.integers(0, 3))):
        leg, phone, bridge = f"{IX}-o{number}", f"PJSIP/10{number}-00000002", f'{{"bridge_id":"b{number}"}}'
        then("CHAN_START", leg, phone)
        if draw(st.booleans()):
            then("ANSWER", leg, phone)
            both = draw(st.permutations([(leg, phone), (IX, caller)]))
            for kind in ("BRIDGE_ENTER", "BRIDGE_EXIT"):
                for unique, channel in both:
                    then(kind, unique, channel, bridge, 0.01)
        then("HANGUP", leg, phone, f'{{"hangupcause":{draw(st.sampled_from([16, 17, 19, 21]))}}}')
    then("HANGUP", IX, caller, f'{{"hangupcause":{draw(st.sampled_from([0, 16, 34, 127]))}}}')
    return told


@given(scripts())
def test_what_was_told_live_of_a_call_never_differs_from_its_book(script: list[str]) -> None:
    (book,) = calls_in(new_book(), script)
    live = {event.kind: event for event in book.told}  # the very rule that tells it live
    arrived, ended = live["CallArrived"], live["CallEnded"]
    assert isinstance(arrived, CallArrived) and isinstance(ended, CallEnded)
    segments = frozenset(event.offer_id for event in book.told if event.kind == "CallConnected")  # type: ignore[attr-defined]
    ours = OurCall(book.id, arrived.at, ended.at, ended.reason, ended.talk_s, segments)
    assert compare_call(book, ours) == []
