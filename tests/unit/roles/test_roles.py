"""Which roles a process has, how it is called, and how it is started."""

from __future__ import annotations

import pytest

from app.roles import ALL, MEANS, ROLES, parse, process_name
from core.settings import SettingsError, load_settings


def test_roles_are_named_and_all_of_them_are_the_default() -> None:
    assert parse("") == parse("all") == ALL == frozenset(ROLES)
    assert parse("web, worker") == {"web", "worker"}
    with pytest.raises(ValueError, match="'wob' is no role"):
        parse("wob")


def test_a_process_is_called_by_its_roles_in_one_order_and_controller_when_it_has_all() -> None:
    assert process_name(parse("worker,acd")) == "acd-worker"
    assert process_name(ALL) == "controller"


def test_it_is_said_of_every_role_what_callers_notice_without_it() -> None:
    assert set(MEANS) == ALL


def test_a_split_names_every_role_once() -> None:
    split = '["telephony,acd", "web", "worker,transcriber"]'
    assert load_settings(environ={}).split.processes == []
    assert _with(split) == ["telephony,acd", "web", "worker,transcriber"]
    for wrong in ('["telephony"]', '["telephony,acd,web,worker,transcriber", "web"]', '["one,two"]'):
        with pytest.raises(SettingsError, match="exactly one process"):
            _with(wrong)


def _with(processes: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFTERCALL_SPLIT__PROCESSES", processes)
        return load_settings().split.processes
