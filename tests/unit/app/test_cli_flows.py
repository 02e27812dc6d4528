"""`aftercall flows …`: what is printed, and with which exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli_flows import flows
from ivr.catalogue import SAMPLE


def said(*words: object, typed: str = "") -> Result:
    return CliRunner().invoke(flows, [str(word) for word in words], input=typed, env={"COLUMNS": "200"})


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The sample menu and its scenarios, to be spoiled."""
    for file in (SAMPLE, SAMPLE.with_name("sample.cases.yaml")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path / "sample.yaml"


def spoil(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_shipped_flows_are_good_and_keep_their_promises() -> None:
    checked, tested = said("check"), said("test")
    assert checked.exit_code == 0 and all(line.endswith(": good") for line in checked.stdout.splitlines())
    assert tested.exit_code == 0, tested.stdout


def test_a_broken_promise_fails_with_what_was_wanted_and_what_was_heard(copied: Path) -> None:
    spoil(copied, "exits: {1: order-number, 2: returns", "exits: {1: returns, 2: order-number")
    ended = said("test", copied)
    assert ended.exit_code == 1
    rows = ended.stdout.splitlines()
    assert "FAILED: returns are explained, and the person knows why" in rows
    assert any(row.startswith("  sample.cases.yaml:") and "not heard: returns-how" in row for row in rows)
    assert "    - wanted: returns-how · menu-person-or-main" in rows and "    + found:  ask-order-number" in rows


def test_what_nobody_tests_fails_unless_it_is_not_minded(copied: Path) -> None:
    spoil(copied, "exits: {1: order-number,", "exits: {5: person, 1: order-number,")
    ended = said("test", copied)
    assert ended.exit_code == 1 and "  no scenario leaves 'main' by '5'" in ended.stdout.splitlines()
    assert said("test", "--partly", copied).exit_code == 0


def test_a_flow_without_scenarios_is_not_tested(copied: Path) -> None:
    copied.with_name("sample.cases.yaml").unlink()
    ended = said("test", copied)
    assert ended.exit_code == 1 and "no scenarios beside it" in ended.stdout


def test_small_mistakes_that_nobody_notices_are_named(copied: Path) -> None:
    assert said("test", "--mutants", copied).exit_code == 0
    spoil(copied.with_name("sample.cases.yaml"), "      priority: 1\n", "")
    ended = said("test", "--mutants", copied)
    assert ended.exit_code == 1 and "  nobody notices at node 'late-person': priority +1" in ended.stdout.splitlines()


def test_faults_of_flow_and_cases_are_told_with_file_and_line(copied: Path) -> None:
    spoil(copied.with_name("sample.cases.yaml"), "  caller:", "  coller:")
    for command in ("check", "test"):
        ended = said(command, copied)
        assert ended.exit_code == 1 and "did you mean 'caller'?" in ended.stdout
    spoil(copied, "to: other", "to: latin")
    assert f"{copied}:22: node 'other-language'" in said("test", copied).stdout
    assert said("test", copied.with_name("nothing.yaml")).exit_code == 2


def test_queues_are_checked_against_a_homes_settings(copied: Path) -> None:
    (copied.parent / "aftercall.toml").write_text("[queues.sales]\nwrap_up_s = 5\n", encoding="utf-8")
    assert said("check", copied).exit_code == 0
    ended = said("check", copied, "--home", copied.parent)
    assert ended.exit_code == 1 and "queue: there is no queue 'service'; there are sales" in ended.stdout


def test_two_versions_are_compared_node_by_node(copied: Path) -> None:
    spoil(copied, "tries: 2", "tries: 3")
    spoil(copied, '    exits: {0: person, "*": main}\n', '    exits: {0: late-person, "*": main}\n')
    ended = said("diff", SAMPLE, copied)
    assert ended.exit_code == 1
    assert ended.stdout.splitlines() == [
        "~ node main: tries: 2 → 3",
        "~ node offer-person: exit 0: person → late-person",
    ]
    assert said("diff", SAMPLE, SAMPLE).exit_code == 0


def test_one_value_is_changed_and_every_comment_stays(copied: Path) -> None:
    before = copied.read_text(encoding="utf-8")
    assert said("set", copied, "nodes.main.tries", "3").exit_code == 0
    assert copied.read_text(encoding="utf-8") == before.replace("tries: 2", "tries: 3", 1)
    for place, value, told in (
        ("nodes.main.tries", "9", "9 is not between 1 and 5"),
        ("nodes.main.exits.1", "order-numbr", "did you mean 'order-number'?"),
    ):
        ended = said("set", copied, place, value)
        assert ended.exit_code == 1 and told in ended.stdout
    assert said("set", copied, "nodes.mian.tries", "3").exit_code == 2
    assert copied.read_text(encoding="utf-8") == before.replace("tries: 2", "tries: 3", 1)


def test_a_flow_is_drawn_with_every_node_and_exit() -> None:
    mermaid, dot = said("graph", SAMPLE).stdout, said("graph", SAMPLE, "--format", "dot").stdout
    assert mermaid.startswith("flowchart TD\n") and dot.startswith("digraph flow {\n") and dot.endswith("}\n")
    assert '  "main" -> "order-number" [label="1"];' in dot
    assert '  "main" -> "person" [label="no-input, no-match", style=dashed];' in dot
    assert mermaid.count("<small>") == 18
    assert said("graph", SAMPLE, "--format", "svg").exit_code == 2


def test_a_call_from_the_terminal() -> None:
    ended = said("simulate", SAMPLE, "--at", "2026-11-24 22:00", "--language", "zh", typed="2\nback\n0\nquit\n")
    assert ended.exit_code == 0
    assert "returns-menu" in ended.stdout and "= the end: handoff (queue service, language zh)" in ended.stdout


def test_the_schema_is_printed() -> None:
    assert json.loads(said("schema").stdout)["$id"] == "urn:aftercall:flow"
