"""Scenario files: what they say becomes a scenario; every fault is told with its key."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import routing.sim
from routing.policy.model import Policy, QueuePolicy
from routing.policy.text import load
from routing.sim.text import ScenarioRefused, read_scenario

SAMPLE = Path(routing.sim.__file__).with_name("sample.yaml")
SMALL = """
name: s
agents: [{name: a, count: 2}]
types: [{name: q, per_hour: 60, handle: {mean_s: 100}}]
"""


def no_rules(text: str, source: str) -> Policy:
    raise AssertionError(f"{source} has rules")


def refused(text: str) -> list[str]:
    with pytest.raises(ScenarioRefused) as refusal:
        read_scenario(text, no_rules)
    assert refusal.value.status == 422
    return refusal.value.lines


def test_the_sample_is_a_scenario() -> None:
    found = read_scenario(SAMPLE.read_text("utf-8"), lambda text, source: load(text, source).policy)
    assert [it.name for it in found.types] == ["zh", "zh gold", "en"] and len(found.staff) == 14
    assert found.policy.class_of(found.policy.queue("zh"), "gold").base == 3
    assert found.staff[-1].shifts == ((0.0, 3 * 3600.0),) and found.staff[0].shifts == ((0.0, math.inf),)
    assert (found.types[0].rates[1].since_s, found.types[2].rates[0].until_s) == (5400.0, 14400.0)
    assert found.able().may[0] == [True, False] and found.able().may[-1] == [True, True]


def test_rules_stand_in_the_file_or_beside_it(tmp_path: Path) -> None:
    read: list[tuple[str, str]] = []

    def reading(text: str, source: str) -> Policy:
        read.append((text, source))
        return Policy({"q": QueuePolicy("q")})

    (tmp_path / "rules.yaml").write_text("queues: {}\n", encoding="utf-8")
    assert "q" in read_scenario(SMALL + "policy: rules.yaml\n", reading, tmp_path).policy.queues
    read_scenario(SMALL + "policy: |\n  queues:\n    q: {}\n", reading, tmp_path)
    assert read == [("queues: {}\n", str(tmp_path / "rules.yaml")), ("queues:\n  q: {}\n", "scenario, policy")]
    with pytest.raises(ScenarioRefused, match="No such file"):
        read_scenario(SMALL + "policy: other.yaml\n", reading, tmp_path)


@pytest.mark.parametrize(
    "text, told",
    [
        (SMALL.replace("count: 2", "count: 0"), "agents.0.count"),
        (SMALL.replace("per_hour: 60, ", ""), "types.0: say either 'per_hour' or 'rates'"),
        (SMALL.replace("mean_s", "mean"), "types.0.handle.mean"),
        (SMALL + "until: '9 o clock'\n", "until: '9 o clock' is no time like 09:00"),
        (SMALL + "until: '01:00'\nwarm_up: '02:00'\n", "the warm-up is not shorter"),
        (SMALL.replace("per_hour: 60", "per_hour: 1000000"), "5000000 are the most"),
        (
            SMALL.replace("types: [", "types: [{name: q, per_hour: 1, handle: {mean_s: 9}}, "),
            "two types have the same name",
        ),
        ("- a list", "name: Field required"),
        ("name: [", "scenario: while parsing"),
    ],
)
def test_a_fault_is_told_with_its_key(text: str, told: str) -> None:
    assert any(told in line for line in refused(text)), refused(text)


def test_all_faults_are_told_at_once() -> None:
    assert len(refused(SMALL.replace("count: 2", "count: 0").replace("mean_s: 100", "mean_s: -1"))) == 2
