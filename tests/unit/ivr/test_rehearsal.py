"""The flows we ship keep every promise beside them, and no small mistake in them goes unnoticed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

import pytest

from core.hours.parse import no_holidays
from core.hours.public_days import public_days
from ivr.catalogue import SAMPLE
from ivr.cel import Expressions
from ivr.check import CASES, flows_beside
from ivr.flow.model import Context, Flow, Place, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Collect, Outcome
from ivr.loader import load
from ivr.nodes.registry import NODE_TYPES
from ivr.rehearsal.call import calls
from ivr.rehearsal.model import World
from ivr.rehearsal.mutants import mutants
from ivr.rehearsal.read import Cases, read_cases
from ivr.rehearsal.suite import Suite, run, survivors
from tests.unit.ivr.build import KNOWN

EVALUATE = Expressions().evaluate
HOLIDAYS = lambda country: public_days(country, [2026])  # noqa: E731
FLOWS = [file for file in sorted(SAMPLE.parent.glob("*.yaml")) if not file.name.endswith(CASES)]


@cache
def shipped(name: str) -> tuple[Flow, Cases]:
    file = SAMPLE.parent / name
    beside = file.with_name(file.stem + CASES)
    known = replace(KNOWN, flow=flows_beside(file.parent))
    return load(file.read_bytes(), name, known), read_cases(beside.read_bytes(), beside.name, HOLIDAYS)


@cache
def played(name: str) -> Suite:
    flow, cases = shipped(name)
    return run(flow, cases.scenarios, EVALUATE)


@pytest.mark.parametrize("name", [file.name for file in FLOWS])
def test_a_shipped_flow_keeps_its_promises_and_every_node_and_exit_is_tried(name: str) -> None:
    assert shipped(name)[1].issues == ()
    suite = played(name)
    assert [(one.scenario.name, [f.lines() for f in one.failures]) for one in suite.failed] == []
    assert suite.coverage.missed_nodes == () and suite.coverage.missed_exits == ()


@pytest.mark.parametrize("name", [file.name for file in FLOWS])
def test_every_small_mistake_in_a_shipped_flow_is_noticed(name: str) -> None:
    unnoticed = survivors(shipped(name)[0], played(name), EVALUATE)
    assert [(one.node, one.what) for one in unnoticed] == []


def test_mistakes_are_made_at_every_kind_of_node_with_something_to_mistake() -> None:
    made = {mutant.kind for file in FLOWS for mutant in mutants(shipped(file.name)[0])}
    used = {place.kind for file in FLOWS for place in shipped(file.name)[0].places.values()}
    assert used == set(NODE_TYPES) - {"webhook"}, (
        "the samples show every kind but calls to programs that we do not have"
    )
    assert used - made == {"language", "return"}, "one exit, and nothing to mistake"


def test_all_scenarios_together_take_less_than_two_seconds() -> None:
    all_of_them = [shipped(file.name) for file in FLOWS]
    began = time.process_time()
    for flow, cases in all_of_them:
        run(flow, cases.scenarios, EVALUATE)
    assert time.process_time() - began < 2


@dataclass(frozen=True, slots=True)
class Forgets:
    """Keeps something that does not survive being written down."""

    def enter(self, session: Session, context: Context) -> Turn:
        odd: Any = (1, 2)
        return Turn(replace(session, variables={"x": odd}), Collect((), "en"))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self.enter(session, context)


def test_a_session_that_would_not_survive_a_restart_is_found_by_any_scenario() -> None:
    flow, _ = shipped("sample.yaml")
    forgetful = replace(flow, places=MappingProxyType({**flow.places, "welcome": Place(Forgets(), "say")}))
    with pytest.raises(ValueError, match="changed on its way to disk and back at node 'welcome'"):
        calls(forgetful, World(), EVALUATE).presses("1")


SMALL = """\
name: small
start: ask
person: person
nodes:
  ask: {type: menu, say: [menu-main], tries: 1, exits: {1: found, 2: closed}}
  found: {type: set, variable: seen, value: 1, next: ask}
  closed: {type: hours, calendar: shop, exits: {open: ask, closed: bye}}
  bye: {type: hangup, say: [goodbye]}
  person: {type: handoff, queue: service}
"""
OPEN = (
    "world: {zone: Asia/Shanghai, calendars: {shop: {zone: Asia/Shanghai, every_day: ['09:00-18:00']}}}\nscenarios:\n"
)


def failures(scenario: str) -> list[str]:
    cases = read_cases(OPEN + scenario, "small.cases.yaml", no_holidays)
    assert cases.issues == ()
    suite = run(load(SMALL, "small.yaml", KNOWN), cases.scenarios, EVALUATE)
    return [f"{one.line}: {' | '.join(one.lines())}" for result in suite.results for one in result.failures]


def case(call: str, expect: str = "end: handoff", more: str = "") -> str:
    return f"  - name: x\n{more}    call: [{call}]\n    expect: {{{expect}}}\n"


@pytest.mark.parametrize(
    ("scenario", "told"),
    [
        (case('hear: goodbye, press: "0"'), "4: not heard: goodbye |   - wanted: goodbye |   + found:  menu-main"),
        (case("hear: press 7"), "4: not heard: press 7 |   - wanted: press 7 |   + found:  menu-main"),
        (case('never: ["the status of YOUR order"]'), "4: heard, and should not be: the status of YOUR order"),
        (case('press: "1"'), "3: the caller is still asked at node 'ask', and the scenario has no more keys"),
        (case('press: "11"'), "4: the input was complete before the key '1' (number 2 of '11')"),
        (case('silence, press: "1"'), "4: nobody asks any more: the flow ended with 'handoff'"),
        (case("hang-up, hang-up"), "4: the flow is over already (caller_gone)"),
        (case("silence", "end: voicemail"), "5: it ended otherwise |   - wanted: voicemail |   + found:  handoff"),
        (case("silence", "end: handoff, queue: express"), "5: queue |   - wanted: express |   + found:  service"),
        (case('press: "1", silence', "end: handoff, vars: {seen: 2}"), "5: variable seen |   - wanted: 2 |   + found:  1"),
        (case("silence", "end: handoff, path: [ask, bye]"), "5: it took another way |   - wanted: ask → bye |   + found:"),
        (case("at: person, silence"), "4: the caller stands elsewhere |   - wanted: person |   + found:  ask"),
        (case('press: "2"', "end: hangup", '    at: "2026-11-24 18:00"\n    calendars: {}\n'), ""),
        (case('press: "2"', "end: hangup", '    at: "2026-11-24 17:59"\n'), "the caller is still asked at node 'ask'"),
        (case('press: "2", later_s: 60, press: "2"', "end: hangup", '    at: "2026-11-24 17:59"\n'), ""),
    ],
)  # fmt: skip
def test_a_scenario_that_is_not_kept_says_where_what_was_wanted_and_what_was_there(scenario: str, told: str) -> None:
    found = failures(acts(scenario))
    if told:
        assert len(found) == 1 and told in found[0], found
    else:
        assert found == []


def acts(scenario: str) -> str:
    """`a: 1, b` in the list of acts as YAML wants it: {a: 1}, b."""
    head, _, rest = scenario.partition("call: [")
    line, _, tail = rest.partition("]\n    expect")
    if line.startswith("never"):
        return f"{head}call: [{{{line}}}]\n    expect{tail}"
    items = [f"{{{one}}}" if ": " in one else one for one in line.split(", ")]
    return f"{head}call: [{', '.join(items)}]\n    expect{tail}"


def test_faults_of_the_author_fail_a_scenario_that_does_not_expect_them() -> None:
    text = SMALL.replace("value: 1,", "expression: vars.nobody,")
    flow = load(text, "small.yaml", KNOWN)
    cases = read_cases(OPEN + acts(case('press: "1", silence')), "c", no_holidays)
    (result,) = run(flow, cases.scenarios, EVALUATE).results
    assert "faults of the flow's author" in result.failures[0].message and "vars.nobody" in result.failures[0].found


def test_what_no_scenario_passes_is_named() -> None:
    cases = read_cases(OPEN + acts(case('press: "1", silence')), "c", no_holidays)
    coverage = run(load(SMALL, "small.yaml", KNOWN), cases.scenarios, EVALUATE).coverage
    assert coverage.missed_nodes == ("closed", "bye")
    assert coverage.missed_exits == (
        ("ask", "2"), ("ask", "0"), ("ask", "no-match"), ("closed", "open"), ("closed", "closed"),
    )  # fmt: skip
    assert str(coverage) == "3 of 5 nodes, 3 of 8 exits"


def test_a_weak_scenario_lets_mistakes_pass_and_says_which() -> None:
    flow = load(SMALL, "small.yaml", KNOWN)
    cases = read_cases(OPEN + acts(case('press: "1", silence')), "c", no_holidays)
    unnoticed = [(one.node, one.what) for one in survivors(flow, run(flow, cases.scenarios, EVALUATE), EVALUATE)]
    assert ("found", "value changed") not in unnoticed, "a number is no text"
    assert ("person", "queue changed") in unnoticed and ("closed", "exits 'open' and 'closed' swapped") in unnoticed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scenarios: []", "c:1: scenarios: a list of one to 500 scenarios is wanted"),
        ("scenarios:\n  - nam: x\n    call: []\n    expect: {end: hangup}",
         "c:2: 'nam' is not a key of a scenario; did you mean 'name'?"),
        ("scenarios:\n  - name: x\n    call: [{pres: 1}]\n    expect: {end: hangup}",
         "c:3: call: 'pres' is not an act, or not with this; did you mean 'press'?"),
        ("scenarios:\n  - name: x\n    call: [silense]\n    expect: {end: hangup}",
         "c:3: call: 'silense' is not an act; did you mean 'silence'?"),
        ("scenarios:\n  - name: x\n    call: [{press: abc}]\n    expect: {end: hangup}",
         'c:3: press: keys are wanted, such as "1" or "#"'),
        ("scenarios:\n  - name: x\n    call: []\n    expect: {end: hangip}",
         "c:4: end: 'hangip' is not an end; did you mean 'hangup'?"),
        ("scenarios:\n  - name: x\n    call: []", "c:2: expect: a scenario expects an end"),
        ("world: {at: noon}\nscenarios:\n  - {name: x, call: [], expect: {end: hangup}}",
         "c:1: at: a time like 2026-11-24 10:00 is wanted"),
        ("world: {zone: Mars}\nscenarios:\n  - {name: x, call: [], expect: {end: hangup}}",
         "c:1: zone: 'Mars' is not a time zone; write one like Asia/Shanghai"),
        ("world: {calendars: {shop: {every_day: ['9']}}}\nscenarios:\n  - {name: x, call: [], expect: {end: hangup}}",
         "c:1: calendars.shop: "),
        ("world: {shop: {fault: sleepy}}\nscenarios:\n  - {name: x, call: [], expect: {end: hangup}}",
         "c:1: shop: 'sleepy' is not a fault of a shop"),
        ("world: {orders: [{number: 1}]}\nscenarios:\n  - {name: x, call: [], expect: {end: hangup}}",
         "c:1: an order: 'number' is not a key of an order"),
        ("scenarios:\n  - {name: x, call: [], expect: {end: hangup}}\n  - {name: x, call: [], expect: {end: hangup}}",
         "c:3: name: there is a scenario 'x' already"),
        ("scenarios: &a []", "c:1: anchors and aliases"),
    ],
)  # fmt: skip
def test_a_cases_file_with_a_fault_is_refused_with_its_line_and_a_suggestion(text: str, told: str) -> None:
    issues = [str(issue) for issue in read_cases(text, "c").issues]
    assert any(issue.startswith(told) for issue in issues), issues
