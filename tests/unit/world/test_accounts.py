"""New AMI passwords: kept, told to the switch that runs, and nothing else of its files is touched."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from app.world.accounts import AccountsNotTaken, put_in_force, with_new_passwords
from app.world.plan import WorldPlan
from app.world.ports import Claims
from app.world.render import render
from app.world.secret_store import SecretStore
from core.settings import Settings
from tests.unit.world.test_plan import claims, plan_of

__all__ = ["claims"]


@pytest.fixture
def plan(tmp_path: Path, claims: Claims) -> WorldPlan:
    return plan_of(tmp_path, claims)


def files(plan: WorldPlan) -> dict[str, str]:
    return {file.name: file.read_text() for file in plan.folders.asterisk_etc.rglob("*") if file.is_file()}


async def test_new_passwords_are_kept_and_the_running_switch_reads_its_accounts_again(plan: WorldPlan) -> None:
    render(plan, Settings())
    before, asked = files(plan), []

    async def ask(_plan: WorldPlan, question: str) -> str | None:
        asked.append(question)
        return "" if len(asked) > 1 else None  # busy, once

    new = with_new_passwords(plan)
    assert SecretStore.open(plan.home)["ami.controller"] == new.ami.controller.password != plan.ami.controller.password
    assert new.ami.doctor.password != plan.ami.doctor.password
    assert await put_in_force(new, Settings(), ask=ask)
    after = files(plan)
    assert asked == ["manager reload", "manager reload"]
    assert {name for name in after if after[name] != before[name]} == {"manager.conf"}
    assert (
        new.ami.controller.password in after["manager.conf"]
        and plan.ami.controller.password not in after["manager.conf"]
    )
    assert stat.S_IMODE((plan.folders.asterisk_etc / "manager.conf").stat().st_mode) == 0o600
    assert not await put_in_force(new, Settings(), ask=ask), "it has them"


async def test_a_switch_that_does_not_answer_is_told_with_what_follows(plan: WorldPlan) -> None:
    async def silent(_plan: WorldPlan, _question: str) -> str | None:
        return None

    render(plan, Settings())
    with pytest.raises(AccountsNotTaken, match="from its next start on"):
        await put_in_force(with_new_passwords(plan), Settings(), ask=silent)
