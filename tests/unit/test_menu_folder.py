"""An operator's menu files: a good one is the current version at the next look, a bad one changes nothing and is named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from app.menus import MenuFolder
from core.events import DomainEvent
from ivr.catalogue import SAMPLE, FlowCatalogue


class Clock:
    def now(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


class Told(list[DomainEvent]):
    def emit(self, event: DomainEvent) -> None:
        self.append(event)


def test_a_file_with_a_fault_is_refused_whole_with_its_line_and_the_version_before_stays(tmp_path: Path) -> None:
    catalogue = FlowCatalogue({"4008001000": "sample"}, Told(), Clock(), default="sample")
    menus, file = MenuFolder(tmp_path, catalogue), tmp_path / "main.yaml"
    good = SAMPLE.read_text(encoding="utf-8")
    file.write_text(good, encoding="utf-8")
    menus.look()
    before = catalogue.current("sample")
    assert before is not None and menus.refused == {}
    file.write_text(good.replace("next: main", "next: nowhere", 1), encoding="utf-8")
    menus.look()
    assert catalogue.current("sample") is before
    line = good.splitlines().index("  welcome:") + 1
    assert menus.refused["main.yaml"].startswith("main.yaml:") and "nowhere" in menus.refused["main.yaml"]
    assert abs(int(menus.refused["main.yaml"].split(":")[1]) - line) <= 3
    file.write_text(good.replace("say: [welcome]", "say: [closed]"), encoding="utf-8")
    menus.look()
    after = catalogue.current("sample")
    assert menus.refused == {} and after is not None and after.version != before.version
    file.write_text("[", encoding="utf-8")
    menus.look()
    assert "main.yaml" in menus.refused
    file.unlink()
    menus.look()
    assert menus.refused == {} and catalogue.current("sample") is after


def test_scenarios_beside_a_menu_are_no_menu(tmp_path: Path) -> None:
    catalogue = FlowCatalogue({}, Told(), Clock())
    menus = MenuFolder(tmp_path, catalogue)
    for file in (SAMPLE, SAMPLE.with_name("sample.cases.yaml")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    menus.look()
    assert menus.refused == {} and catalogue.current("sample") is not None


PART = """\
name: zoo
start: ask
person: help
nodes:
  ask: {type: menu, say: [menu-person-or-main], exits: {"*": back}}
  back: {type: return}
  help: {type: handoff, queue: service}
"""
OUTER = """\
name: aviary
start: zoo
person: person
nodes:
  zoo: {type: flow, flow: zoo, exits: {done: person}}
  person: {type: handoff, queue: service}
"""


def test_menus_may_go_through_each_other_and_follow_each_others_changes(tmp_path: Path) -> None:
    catalogue = FlowCatalogue({}, Told(), Clock())
    menus = MenuFolder(tmp_path, catalogue)
    (tmp_path / "a.yaml").write_text(OUTER, encoding="utf-8")
    menus.look()
    assert "there is no flow 'zoo'" in menus.refused["a.yaml"]
    (tmp_path / "z.yaml").write_text(PART, encoding="utf-8")
    menus.look()
    before = catalogue.current("aviary")
    assert menus.refused == {} and before is not None
    (tmp_path / "z.yaml").write_text(PART.replace('"*": back', '"#": back'), encoding="utf-8")
    menus.look()
    after = catalogue.current("aviary")
    assert after is not None and after.version != before.version and "#" in after.places["zoo.ask"].exits
