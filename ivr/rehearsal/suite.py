"""All scenarios of a flow: what failed, what was covered, which small mistakes nobody would notice. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ivr.flow.model import Evaluate, Flow
from ivr.rehearsal.coverage import Coverage, cover
from ivr.rehearsal.model import Scenario
from ivr.rehearsal.mutants import Mutant, mutants
from ivr.rehearsal.play import Result, play


@dataclass(frozen=True, slots=True)
class Suite:
    results: tuple[Result, ...]
    coverage: Coverage

    @property
    def failed(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.failures)


def run(flow: Flow, scenarios: Iterable[Scenario], evaluate: Evaluate) -> Suite:
    """Plays every scenario from its beginning."""
    results = tuple(play(flow, scenario, evaluate) for scenario in scenarios)
    return Suite(results, cover(flow, (result.trail for result in results)))


def survivors(flow: Flow, suite: Suite, evaluate: Evaluate) -> list[Mutant]:
    """The small mistakes that no scenario catches. Only scenarios that pass the place are played: no other can notice."""
    found: list[Mutant] = []
    quickest = sorted(suite.results, key=lambda result: len(result.trail))
    for mutant in mutants(flow):
        through = [result.scenario for result in quickest if _passes(result, mutant)]
        if not _caught(mutant, through, evaluate):
            found.append(mutant)
    return found


def _passes(result: Result, mutant: Mutant) -> bool:
    if mutant.exits:
        return any(passage.exit in mutant.exits and passage.node == mutant.node for passage in result.trail)
    return any(passage.to == mutant.node for passage in result.trail)


def _caught(mutant: Mutant, scenarios: Sequence[Scenario], evaluate: Evaluate) -> bool:
    return any(play(mutant.flow, scenario, evaluate).failures for scenario in scenarios)
