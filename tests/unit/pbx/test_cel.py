"""Asterisk's own book tells the same calls as AMI did, however its lines were cut, doubled or lost."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import DomainEvent, from_record
from pbx.cel import Book, BookCall, Talk, calls_in, read_line

BOOKS = Path(__file__).parent / "books"
STORIES = sorted(file.stem for file in BOOKS.glob("*.csv"))
ENTRIES = {"4008001000": "menu", "4008002000": "queue"}
NEAR_S = 0.05  # AMI tells its events a moment after they happen


@cache
def lines(story: str) -> tuple[str, ...]:
    return tuple((BOOKS / f"{story}.csv").read_text(encoding="utf-8").splitlines(keepends=True))


@cache
def told(story: str) -> tuple[DomainEvent, ...]:
    return tuple(map(from_record, json.loads((BOOKS / f"{story}.json").read_text(encoding="utf-8"))))


def new_book() -> Book:
    return Book(trunk="trunk", entries=ENTRIES)


def calls(*texts: str) -> list[BookCall]:
    return calls_in(new_book(), texts)


def line(
    kind: str, at: float, unique: str, channel: str, *, extra: str = "", linked: str = "", dialled: str = ""
) -> str:
    quoted = extra.replace('"', '""')
    return f'"{kind}","{at:.6f}","{unique}","{linked or unique}","{channel}","{quoted}","13800138000","{dialled}"\n'


def test_a_line_is_read_with_its_microseconds_and_what_it_says_besides() -> None:
    text = line(
        "HANGUP", 1795524743.591099, "n1-1.6", "PJSIP/trunk-00000000", extra='{"hangupcause":16,"hangupsource":"x"}'
    )
    read = read_line(text)
    assert read is not None
    assert (read.kind, read.uniqueid, read.linkedid, read.channel) == (
        "HANGUP",
        "n1-1.6",
        "n1-1.6",
        "PJSIP/trunk-00000000",
    )
    assert read.at.isoformat() == "2026-11-24T12:52:23.591099+00:00"
    assert (read.said("hangupcause"), read.said("hangupsource"), read.said("mood")) == (16, "x", None)


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "CHAN_START", '"CHAN_START"', '"CHAN_START","soon","a","a","b","","",""\n', "\x00" * 50,
        '"CHAN_START","999999999999.000000","a","a","b","","",""\n', '"ANSWER","1.000000","","","","","",""\n',
        '"ANSWER","1.000000","a","a","b","","",""' + "x" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_line_is_none(text: str) -> None:
    assert read_line(text) is None


def test_extra_that_is_no_table_says_nothing() -> None:
    for extra in ("[1]", '"x"', "{", "null"):
        read = read_line(line("HANGUP", 1, "a", "b", extra=extra))
        assert read is not None and read.said("hangupcause") is None


@pytest.mark.parametrize("story", STORIES)
def test_the_book_tells_what_we_told_live(story: str) -> None:
    (call,) = calls(*lines(story))
    live = {kind: [event for event in told(story) if event.kind == kind] for kind in {e.kind for e in told(story)}}
    ours = {kind: [event for event in call.told if event.kind == kind] for kind in {e.kind for e in call.told}}
    (ended,) = live["CallEnded"]
    (arrived,) = live["CallArrived"]
    assert (call.id, call.reason, call.cause) == (ended.interaction_id, ended.reason, ended.cause)  # type: ignore[attr-defined]
    assert call.ended_at is not None
    assert abs((call.ended_at - ended.at).total_seconds()) < NEAR_S
    assert abs((call.arrived_at - arrived.at).total_seconds()) < NEAR_S
    assert call.talk_s == pytest.approx(ended.talk_s, abs=NEAR_S)  # type: ignore[attr-defined]
    for name in ("ani", "dnis", "entry", "channel", "linkedid"):
        assert getattr(ours["CallArrived"][0], name) == getattr(arrived, name)
    connected = [Talk(event.offer_id, event.extension) for event in live.get("CallConnected", [])]  # type: ignore[attr-defined]
    assert list(call.talks) == connected
    legs = {(e.leg_id, e.extension, e.cause, e.answered) for e in live.get("LegEnded", []) if e.extension}  # type: ignore[attr-defined]
    assert legs == {(e.leg_id, e.extension, e.cause, e.answered) for e in ours.get("LegEnded", [])}  # type: ignore[attr-defined]


@pytest.mark.parametrize("story", STORIES)
def test_lines_that_stand_twice_or_again_behind_the_end_change_nothing(story: str) -> None:
    once = calls(*lines(story))
    assert calls(*(text for text in lines(story) for _ in range(2))) == once
    assert calls(*lines(story), *lines(story)) == once


@given(st.data())
def test_a_line_that_was_cut_off_costs_no_other_line(data: st.DataObject) -> None:
    texts = list(lines(data.draw(st.sampled_from(STORIES))))
    which = data.draw(st.integers(0, len(texts) - 2))
    cut = data.draw(st.integers(0, len(texts[which]) - 2))
    glued = [*texts[:which], texts[which][:cut] + texts[which + 1], *texts[which + 2 :]]
    assert calls(*glued) == calls(*texts[:which], *texts[which + 1 :])


@given(st.data())
def test_whatever_lines_are_lost_nothing_breaks_and_a_call_is_given_once(data: st.DataObject) -> None:
    texts = [text for story in data.draw(st.permutations(STORIES))[:3] for text in lines(story)]
    kept = [text for text in texts if data.draw(st.booleans())]
    book = new_book()
    given_out = [call.id for text in kept for call in book.take_text(text)]
    assert len(given_out) == len(set(given_out))
    assert {*given_out} | {call.id for call in book.rest()} == book.known
    assert not book.unreadable


def test_what_cannot_be_read_is_counted_and_an_empty_line_is_not() -> None:
    book = new_book()
    for text in ("\n", "rubbish\n", '"ANSWER","1.0\n'):
        assert book.take_text(text) == []
    assert book.unreadable == 2


def test_nobody_is_kept_but_who_is_up() -> None:
    book = new_book()
    for number in range(300):
        for text in lines("agent_hangs_up"):
            old = lines("agent_hangs_up")[0].split(",")[2].strip('"')
            book.take_text(text.replace(old, f"n1-1.{number}"))
    assert book.rest() == [] and len(book.over) == 300


CALLER = "PJSIP/trunk-00000001"


def test_a_call_without_its_hang_up_line_is_over_and_the_book_does_not_know_why() -> None:
    (call,) = calls(line("CHAN_START", 10, "n1-1.1", CALLER), line("CHAN_END", 12, "n1-1.1", CALLER))
    assert call.ended_at is not None and call.ended_at.timestamp() == 12 and call.reason == ""


def test_a_call_whose_beginning_is_not_in_the_book_is_not_told() -> None:
    assert calls(line("ANSWER", 10, "n1-1.1", CALLER), line("HANGUP", 12, "n1-1.1", CALLER)) == []


def test_phones_of_agents_and_the_watchdog_are_no_calls() -> None:
    watchdog = line("CHAN_START", 1, "n1-1.0", "Local/s@ac-watchdog-00000000;1")
    assert calls(watchdog, line("CHAN_START", 2, "n1-1.1", "PJSIP/101-00000001", dialled="41")) == []


def test_calls_that_were_up_when_the_switch_began_anew_are_lost_but_not_those_that_go_on() -> None:
    watchdog = line("CHAN_START", 20, "n1-20.1", "Local/s@ac-watchdog-00000000;1")
    early = line("CHAN_START", 19.9, "n1-19.0", "PJSIP/trunk-00000000")  # called before the watchdog did
    told = calls(
        line("CHAN_START", 10, "n1-1.1", CALLER), early, watchdog, watchdog,
        line("CHAN_START", 21, "n1-20.2", "PJSIP/trunk-00000001"), watchdog,
        line("HANGUP", 30, "n1-19.0", "PJSIP/trunk-00000000"),
    )  # fmt: skip
    by_id = {call.id: call for call in told}
    assert by_id["n1-1.1"].lost_at == by_id["n1-1.1"].over_at is not None
    assert by_id["n1-1.1"].ended_at is None
    assert by_id["n1-19.0"].ended_at is not None
    assert by_id["n1-20.2"].over_at is None


def test_a_talk_out_of_the_static_queue_is_known_by_the_phone_in_the_callers_bridge() -> None:
    bridge = '{"bridge_id":"b1"}'
    phone = "PJSIP/101-00000007"
    (call,) = calls(
        line("CHAN_START", 10, "n1-1.1", CALLER),
        line("CHAN_START", 11, "n1-1.2", phone, linked="n1-1.1"),
        line("BRIDGE_ENTER", 12, "n1-1.2", phone, linked="n1-1.1", extra=bridge),
        line("BRIDGE_ENTER", 12, "n1-1.1", CALLER, extra=bridge),
        line("BRIDGE_EXIT", 15, "n1-1.1", CALLER, extra=bridge),
        line("BRIDGE_EXIT", 15, "n1-1.2", phone, linked="n1-1.1", extra=bridge),
        line("HANGUP", 15, "n1-1.2", phone, linked="n1-1.1"),
        line("HANGUP", 15, "n1-1.1", CALLER),
    )
    assert call.talks == (Talk("", "101"),)
    assert call.talk_s == 0.0, "it is no talk of ours, as live"


def test_a_phone_that_only_rang_in_the_static_queue_has_talked_to_nobody() -> None:
    (call,) = calls(
        line("CHAN_START", 10, "n1-1.1", CALLER),
        line("CHAN_START", 11, "n1-1.2", "PJSIP/101-00000007", linked="n1-1.1"),
        line("HANGUP", 15, "n1-1.2", "PJSIP/101-00000007", linked="n1-1.1"),
        line("HANGUP", 16, "n1-1.1", CALLER),
    )
    assert call.talks == ()
