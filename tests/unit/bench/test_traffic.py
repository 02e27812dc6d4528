"""The benches' own material: recorded traffic is whole calls, a recorded call is known events, sounds are read from commands."""

from __future__ import annotations

from bench.ami_traffic import traffic
from bench.b5_menu_call_cost import plain_menu, sounds
from bench.b10_persist_calls import one_call
from core.clock import ManualClock
from core.events import to_record
from pbx.ami_events import read
from pbx.ami_wire import Framer
from pbx.switchboard import Switchboard
from tests.unit.pbx.told import STORIES, Heard


def test_recorded_traffic_is_as_many_calls_as_asked_for_each_with_its_end() -> None:
    calls = 3 * len(STORIES)
    heard = Heard()
    board = Switchboard(
        node="n1", trunk="trunk", entries={}, extensions=["101", "102"], events=heard, clock=ManualClock()
    )
    for block in Framer().feed("".join(traffic(calls)).encode()):
        event = read(block)
        if event is not None:
            board.on_event(event)
    assert len({event.interaction_id for event in heard.of("CallArrived")}) == calls
    assert len(heard.of("CallEnded")) == calls
    assert board.calls() == []


def test_the_recorded_call_is_a_whole_timeline_under_the_ids_asked_for() -> None:
    call = one_call(7)
    kinds = [event.kind for event in call]
    assert kinds[0] == "CallArrived"
    assert {
        "FlowWaited",
        "OrderLookedUp",
        "OfferMade",
        "CardPushed",
        "CallConnected",
        "CallEnded",
        "WrapUpEnded",
    } <= set(kinds)
    assert {event.interaction_id for event in call} == {"n1-1.7", ""}
    assert not {str(to_record(event)) for event in one_call(8)} & {
        str(to_record(event)) for event in call if event.interaction_id
    }


def test_the_plain_menu_plays_what_the_recorded_commands_played() -> None:
    commands = [
        "GET VARIABLE AC_NODE",
        'STREAM FILE /s/welcome "0123456789*#" 0',
        'EXEC Background "/s/menu&/s/other,,,ac-none"',
        'STREAM FILE /s/order "0123" 0',
        "WAIT FOR DIGIT 4000",
        'STREAM FILE /s/factor "0123" 0',
        'EXEC Playback "/s/your-order&/s/digit-1"',
    ]
    assert [sounds(command) for command in commands if sounds(command)] == [
        ["/s/welcome"], ["/s/menu", "/s/other"], ["/s/order"], ["/s/factor"], ["/s/your-order", "/s/digit-1"],
    ]  # fmt: skip
    menu = plain_menu(commands)
    assert "Playback(/s/welcome)" in menu
    assert "Read(KEY,/s/menu&/s/other,1,,1,5)" in menu
    assert "Playback(/s/your-order&/s/digit-1)" in menu
