"""A study: a scenario or a recorded day under one set of rules, or under two on the same random numbers.

Decides how days are made of seeds and what is told of them; the same order gives the same bytes. A study is what the command
line prints and what plots are drawn from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from routing import replay
from routing.policy.model import Policy
from routing.sim import report
from routing.sim.engine import Matching, run
from routing.sim.report import Estimate
from routing.sim.scenario import Scenario, able, draw, group_names, limits

PoolOf = Callable[[Policy], Matching]
Rows = dict[str, dict[str, Estimate]]


@dataclass(frozen=True)
class Side:
    """One set of rules: its figures per class, and per group of equal agents."""

    name: str
    classes: Rows
    agents: Rows


@dataclass(frozen=True)
class Study:
    """`differences`: the last side − the one before it, per class, paired by day; empty when there is one side."""

    title: str
    sides: tuple[Side, ...]
    differences: Rows = field(default_factory=dict)

    def record(self) -> dict[str, object]:
        """For JSON."""
        return {
            "title": self.title,
            "sides": [
                {"name": side.name, "classes": report.record(side.classes), "agents": report.record(side.agents)}
                for side in self.sides
            ],
            "differences": report.record(self.differences),
        }

    def lines(self) -> list[str]:
        """For reading."""
        lines = [self.title]
        for side in self.sides:
            lines += ["", side.name, *report.table(side.classes, report.SHOWN)]
            if side.agents:
                lines += ["", *report.table(side.agents, report.SHOWN_AGENTS, "equal agents")]
        if self.differences:
            told = f"{self.sides[-1].name} − {self.sides[-2].name}, on the same calls"
            lines += ["", told, *report.table(self.differences, report.SHOWN)]
        return [line.rstrip() for line in lines]


def simulate(scenario: Scenario, policies: Mapping[str, Policy], pool_of: PoolOf, seeds: Sequence[int]) -> Study:
    """The scenario's day, once for each seed, under each of these rules."""
    classes = report.Classes([it.name for it in scenario.types], [it.goal for it in scenario.types])
    names = group_names(scenario.staff)
    alike = [it.like for it in scenario.types]
    days: dict[str, list[report.Day]] = {name: [] for name in policies}
    agents: dict[str, list[report.Day]] = {name: [] for name in policies}
    for seed in seeds:
        work = draw(scenario.types, seed)
        for name, policy in policies.items():
            outcome = run(
                work, scenario.staff, pool_of(policy), scenario.items(work), able(scenario.staff, alike, policy),
                limits(alike, policy),
            )  # fmt: skip
            days[name].append(report.of_classes(work, outcome, classes, warm_up_s=scenario.warm_up_s))
            agents[name].append(report.of_agents(outcome, scenario.staff, names))
    title = f"{scenario.name}: {len(seeds)} day{'' if len(seeds) == 1 else 's'}, seeds {seeds[0]} to {seeds[-1]}"
    return _study(title, days, agents)


def compare_day(day: replay.RecordedDay, policies: Mapping[str, Policy], pool_of: PoolOf) -> Study:
    """A recorded day as it was, and under each of these rules."""
    days, agents = {"as it was": [replay.figures(day, day.was)[0]]}, {"as it was": [report.Day()]}
    for name, policy in policies.items():
        classes, groups = replay.figures(day, replay.replay(day, pool_of(policy), policy))
        days[name], agents[name] = [classes], [groups]
    title = f"{day.began:%Y-%m-%d}: {len(day.work)} calls, {len(day.staff)} agents"
    return _study(title, days, agents)


def _study(title: str, days: Mapping[str, list[report.Day]], agents: Mapping[str, list[report.Day]]) -> Study:
    sides = tuple(Side(name, report.over_days(days[name]), report.over_days(agents[name])) for name in days)
    last = list(days.values())[-2:]
    return Study(title, sides, report.differences(last[1], last[0]) if len(last) == 2 else {})
