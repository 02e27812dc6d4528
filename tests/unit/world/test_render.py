"""The configuration rendered for one world: complete, private, and told apart when it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.world.checks_home import configuration
from app.world.plan import WorldPlan
from app.world.ports import Claims
from app.world.render import RenderError, render, templates_folder
from core.settings import Settings
from tests.unit.world.test_plan import claims, plan_of

__all__ = ["claims"]


@pytest.fixture
def plan(tmp_path: Path, claims: Claims) -> WorldPlan:
    return plan_of(tmp_path, claims)


def test_every_template_of_the_product_renders_and_stays_private(plan: WorldPlan) -> None:
    render(plan, Settings())
    files = {file.name: file for file in plan.folders.asterisk_etc.rglob("*") if file.is_file()}
    wanted = {template.name.removesuffix(".j2") for template in templates_folder().glob("*.j2")}
    assert wanted <= set(files)
    assert {"acl.conf", "stasis.conf"} <= set(files)
    assert {oct(file.stat().st_mode & 0o777) for file in files.values()} == {"0o600"}
    assert plan.folders.asterisk_etc.stat().st_mode & 0o777 == 0o700
    assert "{{" not in "".join(file.read_text() for file in files.values())


def test_what_is_rendered_passes_the_doctor(plan: WorldPlan) -> None:
    render(plan, Settings())
    assert [finding for finding in configuration(plan.folders.asterisk_etc) if finding.level != "good"] == []


def test_the_same_plan_gives_the_same_fingerprint_and_another_one_another(plan: WorldPlan) -> None:
    first = render(plan, Settings())
    beside = render(plan, Settings(), to=plan.folders.asterisk / "etc.wanted")
    assert first == beside
    assert render(plan, Settings(asterisk={"grace_s": 60})) != first


def test_an_unknown_variable_in_a_template_is_refused_by_name(plan: WorldPlan, tmp_path: Path) -> None:
    source = tmp_path / "conf"
    source.mkdir()
    (source / "x.conf.j2").write_text("a = {{ nowhere }}\n")
    with pytest.raises(RenderError, match=r"asterisk-conf/x\.conf\.j2: 'nowhere' is undefined"):
        render(plan, Settings(), source=source)
    assert not plan.folders.asterisk_etc.exists()


@pytest.mark.parametrize("name", ["Li\nNa", "Li\r\n[admin]", "Li\x00"])
def test_a_value_cannot_break_out_of_its_line(plan: WorldPlan, tmp_path: Path, name: str) -> None:
    source = tmp_path / "conf"
    source.mkdir()
    (source / "x.conf.j2").write_text("{% for agent in agents %}name = {{ agent.name }}\n{% endfor %}")
    agent = plan.agents[0].model_copy(update={"name": name})
    with pytest.raises(RenderError, match="control character"):
        render(plan.model_copy(update={"agents": (agent,)}), Settings(), source=source)


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("manager.conf", "write = reporting", "write = all", "AMI account doctor"),
        ("manager.conf", "[doctor]", "[guest]\nsecret=x\n[doctor]", "2 AMI accounts"),
        ("asterisk.conf", "live_dangerously = no", "live_dangerously = yes", "live_dangerously"),
        ("modules.conf", "autoload=no", "autoload=yes", "only modules of the list"),
        ("extensions.conf", "[ac-after]", "[x]\nexten => s,1,System(rm)\n[ac-after]", "runs no program"),
        ("extensions.conf", "[ac-after]", "[x]\nexten => _X.,1,Goto(${EXTEN},1)\n[ac-after]", "runs no program"),
        ("extensions.conf", "[ac-after]", "[x]\nexten => s,1,Dial(PJSIP/1@trunk)\n[ac-after]", "no outgoing call"),
    ],
)
def test_the_doctor_sees_what_was_loosened(plan: WorldPlan, file: str, old: str, new: str, words: str) -> None:
    render(plan, Settings())
    place = plan.folders.asterisk_etc / file
    text = place.read_text()
    assert old in text
    place.write_text(text.replace(old, new))
    wrong = [finding for finding in configuration(plan.folders.asterisk_etc) if finding.level == "wrong"]
    assert len(wrong) == 1
    assert words in wrong[0].what
    assert wrong[0].fix
