"""Plays a scenario against a flow and says what differs from what was wanted. Pure.

Invariant: a scenario ends where the flow ends; one that leaves the caller at a question has failed. The first thing that goes
wrong in the call is told, then it is not played any further; what is expected of the end is then compared all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from core.prompts.catalogue import NAME
from ivr.flow.model import Evaluate, Flow, Passage
from ivr.rehearsal.call import Call, CannotDo, Said, calls
from ivr.rehearsal.model import (
    GAP,
    Act,
    Changes,
    Expected,
    Failure,
    Falls,
    HangsUp,
    Hears,
    Press,
    Scenario,
    Silence,
    Stands,
)

SHOWN = 12  # sounds told in a failure


@dataclass(frozen=True, slots=True)
class Result:
    scenario: Scenario
    failures: tuple[Failure, ...]
    trail: tuple[Passage, ...]


class _Failed(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def play(flow: Flow, scenario: Scenario, evaluate: Evaluate) -> Result:
    """Never raises for what flow or scenario do."""
    call = calls(flow, scenario.world, evaluate)
    playing = _Playing(call)
    try:
        for act in scenario.acts:
            playing.act(act)
        playing.finish(scenario.line)
    except _Failed as failed:
        return Result(scenario, (failed.failure,), playing.call.trail)
    return Result(scenario, tuple(_compare(playing.call, scenario.expected)), playing.call.trail)


class _Playing:
    """`_since`: what was heard before it belongs to acts before; `_sure`: up to where it was asked for."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._since = 0
        self._sure = 0

    def act(self, act: Act) -> None:
        try:
            match act:
                case Press(keys, _, ahead):
                    self._did(self.call.interrupts(keys) if ahead else self._asked().presses(keys))
                case Silence():
                    self._did(self._asked().is_silent())
                case HangsUp():
                    self._did(self.call.hangs_up())
                case Falls():
                    self._did(self.call.falls())
                case Changes():
                    self._change(act)
                case Hears(wanted, line, never):
                    self._hears_none(wanted, line) if never else self._hears(wanted, line)
                case Stands(node, line):
                    self._stands(node, line)
        except CannotDo as error:
            raise _Failed(Failure(act.line, str(error), _shown(act), self._heard())) from error

    def finish(self, line: int) -> None:
        try:
            self.call = self.call.to_question()
        except CannotDo as error:
            raise _Failed(Failure(line, str(error))) from error
        if self.call.over is None:
            message = f"the caller is still asked at node '{self.call.node}', and the scenario has no more keys"
            raise _Failed(Failure(line, message, "the end of the flow, or hang-up", self._heard()))

    def _asked(self) -> Call:
        self.call = self.call.to_question()
        return self.call

    def _did(self, call: Call) -> None:
        """What is heard from now on answers this act."""
        self._since = self._sure = len(self.call.said)
        self.call = call

    def _change(self, changes: Changes) -> None:
        world = self.call.world
        world = replace(
            world,
            at=world.at + timedelta(seconds=changes.later_s),
            shop=changes.shop or world.shop,
            queues={**world.queues, **(changes.queues or {})},
        )
        self.call = replace(self.call, world=world)

    def _hears(self, wanted: Sequence[str], line: int) -> None:
        for item in wanted:
            # Words may be those of the sound that was heard for sure last.
            begin = self._sure if NAME.fullmatch(item) else max(self._since, self._sure - 1)
            while (found := _find(self.call.said[begin:], item)) is None:
                if self.call.asking is not None or self.call.over is not None:
                    raise _Failed(Failure(line, f"not heard: {item}", " · ".join(wanted), self._heard()))
                self.call = self.call.goes_on()
            self._sure = begin + found

    def _hears_none(self, banned: Sequence[str], line: int) -> None:
        self.call = self.call.to_question()
        for item in banned:
            if _find(self.call.said[self._since :], item) is not None:
                raise _Failed(Failure(line, f"heard, and should not be: {item}", "", self._heard()))

    def _stands(self, node: str, line: int) -> None:
        while self.call.node != node:
            if self.call.asking is not None or self.call.over is not None:
                raise _Failed(Failure(line, "the caller stands elsewhere", node, self.call.node))
            self.call = self.call.goes_on()

    def _heard(self) -> str:
        said = [one for one in self.call.said[self._since :] if not one.name.startswith("silence-")]
        shown = " · ".join(one.name for one in said[:SHOWN])
        return shown + (" …" if len(said) > SHOWN else "")


def _find(said: Sequence[Said], item: str) -> int | None:
    """How many sounds it took until `item` (a prompt's name, or words) had been heard; None = it was not."""
    if NAME.fullmatch(item):
        for at, one in enumerate(said):
            if one.name == item:
                return at + 1
    wanted, text = _plain(item), ""
    for at, one in enumerate(said):
        text += " " + _plain(one.text)
        if wanted in " ".join(text.split()) or wanted.replace(" ", "") in text.replace(" ", ""):
            return at + 1
    return None


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _shown(act: Act) -> str:
    match act:
        case Press(keys, _, ahead):
            return f"{'interrupt' if ahead else 'press'} {keys}"
        case Silence():
            return "silence at a question"
        case _:
            return ""


def _compare(call: Call, expected: Expected) -> list[Failure]:
    assert call.over is not None
    line, end = expected.line, call.over
    failures: list[Failure] = []
    if expected.end and expected.end != end.exit:
        failures.append(Failure(line, "it ended otherwise", expected.end, end.exit))
    path = [passage.to for passage in call.trail]
    if expected.path and not _fits(expected.path, path):
        failures.append(Failure(line, "it took another way", " → ".join(expected.path), " → ".join(path)))
    found = outcome(call)
    for name, wanted in expected.facts.items():
        if found[name] != wanted:
            failures.append(Failure(line, name, str(wanted), str(found[name])))
    for name, wanted in expected.variables.items():
        has = call.step.session.variables.get(name)
        if has != wanted:
            failures.append(Failure(line, f"variable {name}", str(wanted), str(has)))
    if len(call.reports) != expected.reports:
        told = "; ".join(f"{one.node}: {one.message}" for one in call.reports)
        failures.append(Failure(line, "faults of the flow's author", str(expected.reports), told or "0"))
    return failures


def outcome(call: Call) -> dict[str, object]:
    """What can be expected of the end of a call, besides its path."""
    end, handed = call.over, call.handed
    return {
        "queue": end.queue if end else "",
        "problem": end.problem if end else "",
        "priority": handed.priority if handed else 0,
        "skills": dict(handed.skills) if handed else {},
        "owner": handed.owner if handed else "",
        "language": call.step.session.language,
        "level": call.step.session.level,
        "box": call.box if call.box is not None else "",
    }


def _fits(wanted: Sequence[str], path: Sequence[str]) -> bool:
    """Whether the path is as wanted; GAP stands for any nodes, none included."""
    reachable = {0}  # how many of `wanted` may be used up
    for node in (*path, None):
        grown = set(reachable)
        for at in reachable:
            step = at
            while step < len(wanted) and wanted[step] == GAP:
                step += 1
                grown.add(step)
        if node is None:
            return len(wanted) in grown
        reachable = {at for at in grown if at and wanted[at - 1] == GAP}
        reachable |= {at + 1 for at in grown if at < len(wanted) and wanted[at] == node}
    return False
