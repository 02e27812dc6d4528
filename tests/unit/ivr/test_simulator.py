"""A flow tried by hand: what is typed and what is heard, and any step taken back."""

from __future__ import annotations

from dataclasses import replace

from ivr.catalogue import SAMPLE
from ivr.cel import Expressions
from ivr.check import CASES
from ivr.rehearsal.read import read_cases
from ivr.rehearsal.simulator import Simulator
from ivr.rehearsal.suite import run
from tests.unit.ivr.build import sample

BESIDE = SAMPLE.with_name(SAMPLE.stem + CASES)
WORLD = read_cases(BESIDE.read_bytes(), BESIDE.name).world
EVALUATE = Expressions().evaluate


def simulator() -> tuple[Simulator, list[str]]:
    made = Simulator(sample(), WORLD, EVALUATE)
    return made, made.begin()


def test_a_caller_hears_the_welcome_and_a_key_stops_it() -> None:
    sim, heard = simulator()
    assert heard == [
        "  [welcome] Welcome, and thank you for calling.",
        "… welcome: a key stops this, Enter hears it to the end",
    ]
    assert sim.say("9")[-1] == "? main: one key"
    assert any("查询订单" in row for row in sim.say(""))


def test_a_step_is_taken_back_and_another_way_is_gone() -> None:
    sim, _ = simulator()
    assert sim.say("0")[-1] == "= the end: handoff (queue service, language en)"
    assert sim.say("back") == ["… welcome: a key stops this, Enter hears it to the end"]
    assert sim.say("back") == ["! this is the beginning"]
    assert sim.say("2")[-1] == "? returns-menu: one key"
    assert sim.say("where")[0] == "  welcome → main → returns → returns-menu"


def test_the_world_can_be_made_worse_in_the_middle_of_a_call() -> None:
    sim, _ = simulator()
    for line in ("1", "20261234#", "shop 2"):
        sim.say(line)
    rows = sim.say("5678#")
    assert any("One moment" in row for row in rows) and any("delayed" in row for row in rows)
    sim.say("back")
    sim.say("shop error")
    assert any("not available" in row for row in sim.say("5678#"))
    assert sim.say("queue service full") == ["  the queue service: full"]
    assert sim.say("0")[-1].startswith("= the end: voicemail (queue service")


def test_orders_clock_and_caller_are_chosen() -> None:
    sim, _ = simulator()
    assert sim.say("order 777777 1111 delivered") == ["  there is an order 777777"]
    for line in ("1", "777777#"):
        sim.say(line)
    assert any("has been delivered" in row for row in sim.say("1111#"))
    assert sim.say("at 2026-11-24 22:00") == ["  it is 2026-11-24 22:00:00"]
    assert sim.call.world.at.isoformat() == "2026-11-24T22:00:00+08:00"
    sim.say("caller 139")
    sim.say("again")
    assert sim.call.step.session.ani == "139" and sim.say("back") == ["! this is the beginning"]


def test_what_cannot_be_done_is_told_and_changes_nothing() -> None:
    sim, _ = simulator()
    before = sim.call
    for line in ("xyz", "at noon", "shop perhaps", "order 1", "queue"):
        (row,) = sim.say(line)
        assert row.startswith("! ")
    assert sim.call == before
    assert any("back" in row for row in sim.say("help"))


def test_a_crash_asks_again_who_the_caller_is() -> None:
    sim, _ = simulator()
    for line in ("1", "20261234#", "5678#"):
        sim.say(line)
    assert sim.say("crash")[-1].startswith("? order-number")
    assert sim.say("hangup")[-1].startswith("= the end: caller_gone")


def test_what_was_done_is_a_scenario_that_passes() -> None:
    sim, _ = simulator()
    for line in ("", "1", "20265555#", "5678#", "", "7", "0"):
        sim.say(line)
    cases = read_cases("scenarios:\n" + "\n".join(sim.say("cases")), "c")
    assert cases.issues == ()
    (one,) = cases.scenarios
    suite = run(sample(), [replace(one, world=WORLD)], EVALUATE)
    assert suite.failed == ()
