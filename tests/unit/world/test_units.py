"""systemd units: what an installation relies on when a box starts, a launcher dies, or somebody breaks in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from shutil import which

import pytest

from app.world.units import NAMES, UnitsError, install, render_units
from core.settings import HttpSettings, Settings

SERVICES = ("aftercall.service", "aftercall@.service")


@pytest.fixture
def units(tmp_path: Path) -> dict[str, str]:
    return render_units(tmp_path / "home", user="daemon", settings=Settings())


def said(unit: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit, flags=re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_hardened_and_runs_as_nobody_who_matters(units: dict[str, str], name: str, tmp_path: Path) -> None:
    unit = units[name]
    assert said(unit, "User") == ["daemon"]
    assert said(unit, "NoNewPrivileges") == ["yes"]
    assert said(unit, "ProtectSystem") == ["strict"]
    assert str(tmp_path / "home") in said(unit, "ReadWritePaths")[0].split()
    assert said(unit, "CapabilityBoundingSet") == [""] and said(unit, "AmbientCapabilities") == [""]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_comes_back_by_itself_and_takes_no_call_down_with_its_launcher(
    units: dict[str, str], name: str
) -> None:
    unit = units[name]
    assert said(unit, "Restart") == ["always"] and said(unit, "StartLimitIntervalSec") == ["0"]
    assert said(unit, "KillMode") == ["process"] and said(unit, "KillSignal") == ["SIGTERM"]
    assert said(unit, "Type") == ["notify"] and int(said(unit, "WatchdogSec")[0]) >= 5
    assert int(said(unit, "TimeoutStopSec")[0]) > Settings().supervisor.drain_s


def test_nothing_is_left_to_fill_in(units: dict[str, str]) -> None:
    assert set(units) == set(NAMES)
    assert not [line for unit in units.values() for line in unit.splitlines() if re.search(r"@[A-Z_]+@", line)]


def test_each_role_s_unit_runs_the_role_of_its_name(units: dict[str, str]) -> None:
    assert said(units["aftercall@.service"], "ExecStart")[0].endswith("--roles %i")


def test_a_port_below_1024_keeps_the_one_right_it_needs(tmp_path: Path) -> None:
    settings = Settings(http=HttpSettings(port=443))
    unit = render_units(tmp_path, user="daemon", settings=settings)["aftercall.service"]
    assert said(unit, "AmbientCapabilities") == ["CAP_NET_BIND_SERVICE"]


def test_root_and_a_path_that_systemd_would_read_otherwise_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnitsError, match="root"):
        render_units(tmp_path, user="root", settings=Settings())
    with pytest.raises(UnitsError, match="cannot stand in a unit"):
        render_units(tmp_path / "a %i home", user="daemon", settings=Settings())


@pytest.mark.skipif(which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_itself_finds_nothing_wrong(units: dict[str, str], tmp_path: Path) -> None:
    install({**units, "aftercall@web.service": units["aftercall@.service"]}, tmp_path)
    for name in ("aftercall.service", "aftercall@web.service", "aftercall.target"):
        told = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(tmp_path / name)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        about_us = [line for line in (told.stdout + told.stderr).splitlines() if "aftercall" in line]
        assert not [line for line in about_us if "is not executable" not in line], about_us
