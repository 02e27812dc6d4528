"""The text of a cases file becomes scenarios, or a list of everything that is wrong with it. Pure.

Decides what such a file may look like: one document, a `world` that holds for all, and `scenarios`, each of which may say
its own world over it. Every fault is told with line and key and what may have been meant; nothing is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.hours.parse import no_holidays
from core.yaml_text.words import did_you_mean
from ivr.rehearsal.acts import read_acts
from ivr.rehearsal.model import ENDS, Expected, Scenario, World
from ivr.rehearsal.worlds import WORLD_KEYS, Holidays, read_world
from ivr.tree import Issue, Listing, Refused, Scalar, Table, Tree, read_tree

TOP = ("world", "scenarios")
SCENARIO = ("name", "call", "expect", "note", *WORLD_KEYS)
FACTS: Mapping[str, type] = {
    "queue": str, "problem": str, "priority": int, "skills": dict, "owner": str, "language": str, "level": str, "box": str,
}  # fmt: skip
EXPECT = ("end", "path", "vars", "faults", *FACTS)
MOST = 500


@dataclass(frozen=True, slots=True)
class Cases:
    """A cases file as far as it could be read. `world` is what all scenarios start from."""

    world: World = World()
    scenarios: tuple[Scenario, ...] = ()
    issues: tuple[Issue, ...] = ()


def read_cases(text: str | bytes, source: str, holidays_of: Holidays = no_holidays) -> Cases:
    """Never raises; `source` is what issues call the file."""
    try:
        top, doubled = read_tree(text)
    except Refused as refused:
        return Cases(issues=(Issue(source, refused.line, refused.message),))
    reading = _Reading(source, holidays_of)
    reading.issues += [Issue(source, line, message) for line, message in doubled]
    world, scenarios = reading.scenarios(top)
    return Cases(world, tuple(scenarios), tuple(sorted(reading.issues, key=lambda issue: issue.line)))


def plain(tree: Tree) -> Any:
    """A tree as plain values."""
    if isinstance(tree, Scalar):
        return tree.value
    if isinstance(tree, Listing):
        return [plain(item) for item in tree.items]
    return {key: plain(value) for key, value in tree.rows.items()}


class _Reading:
    def __init__(self, source: str, holidays_of: Holidays) -> None:
        self._source = source
        self._holidays_of = holidays_of
        self.issues: list[Issue] = []

    def tell(self, line: int, message: str, field: str = "") -> None:
        self.issues.append(Issue(self._source, line, message, field=field))

    def scenarios(self, top: Table) -> tuple[World, list[Scenario]]:
        self._known(top, TOP, "a cases file")
        rows = top.rows.get("scenarios")
        world = top.rows.get("world", Table(top.line))
        if not isinstance(world, Table):
            self.tell(world.line, "a table is wanted", "world")
            world = Table(top.line)
        self._known(world, WORLD_KEYS, "a world")
        common = read_world(world, World(), self.tell, self._holidays_of)
        if not isinstance(rows, Listing) or not 1 <= len(rows.items) <= MOST:
            self.tell(rows.line if rows else top.line, f"a list of one to {MOST} scenarios is wanted", "scenarios")
            return common, []
        found = [self._scenario(item, common) for item in rows.items]
        names: set[str] = set()
        for one in found:
            if one.name in names:
                self.tell(one.line, f"there is a scenario '{one.name}' already", "name")
            names.add(one.name)
        return common, found

    def _scenario(self, item: Tree, common: World) -> Scenario:
        if not isinstance(item, Table):
            self.tell(item.line, "a scenario is a table with name, call and expect")
            return Scenario("", common, (), Expected(line=item.line), item.line)
        self._known(item, SCENARIO, "a scenario")
        name = item.rows.get("name")
        if not isinstance(name, Scalar) or not name.text.strip():
            self.tell(item.line, "a scenario needs a name: the promise it keeps", "name")
        world = read_world(item, common, self.tell, self._holidays_of)
        acts = read_acts(item.rows.get("call"), item.line, self.tell)
        expected = self._expected(item.rows.get("expect"), item.line)
        return Scenario(name.text if isinstance(name, Scalar) else "", world, acts, expected, item.line)

    def _expected(self, tree: Tree | None, line: int) -> Expected:
        if not isinstance(tree, Table) or not isinstance(tree.rows.get("end"), Scalar):
            self.tell(tree.line if tree else line, f"a scenario expects an end: {', '.join(ENDS)}", "expect")
            return Expected(line=line)
        self._known(tree, EXPECT, "what is expected")
        end = plain(tree.rows["end"])
        if end not in ENDS:
            self.tell(tree.lines["end"], f"'{end}' is not an end; {did_you_mean(str(end), ENDS)}", "end")
        expected = Expected(str(end), line=tree.line)
        for key, value in tree.rows.items():
            expected = self._expect(expected, key, value, tree.lines[key])
        return expected

    def _expect(self, expected: Expected, key: str, value: Tree, line: int) -> Expected:
        found = plain(value)
        if key == "path":
            if isinstance(found, list) and found and all(isinstance(node, str) for node in found):
                return replace(expected, path=tuple(found))
            self.tell(line, "a list of nodes is wanted; ... stands for any", key)
        elif key == "vars":
            if isinstance(found, dict):
                return replace(expected, variables=found)
            self.tell(line, "a table of variables is wanted", key)
        elif key == "faults":
            if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
                return replace(expected, reports=found)
            self.tell(line, "a whole number is wanted: how often the flow's author was at fault", key)
        elif key in FACTS:
            if isinstance(found, FACTS[key]) and not isinstance(found, bool):
                return replace(expected, facts={**expected.facts, key: found})
            self.tell(line, f"'{found}' cannot be the {key}", key)
        return expected

    def _known(self, table: Table, keys: tuple[str, ...], what: str) -> None:
        for key, line in table.lines.items():
            if key not in keys:
                self.tell(line, f"'{key[:60]}' is not a key of {what}; {did_you_mean(key, keys)}")
