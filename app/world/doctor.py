"""`aftercall doctor`: everything that can be known about a home and its world, in findings with one-line fixes.

Collects and prints; the looking is done in `checks_home.py` and `checks_running.py`. Exit status 1 when anything is
wrong. A look that fails is itself a finding, so that one broken part never hides the others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from app.cli_home import become_owner
from app.world import checks_home, checks_running
from app.world.findings import Finding, good, note, wrong
from app.world.plan import WorldPlan, read_plan
from app.world.secret_store import SecretStore
from core.errors import AftercallError
from core.settings import Settings, SettingsError, load_settings


def collect(home: Path) -> list[Finding]:
    """All findings about `home`, in an order that reads well."""
    try:
        settings = load_settings(home / "aftercall.toml")
    except SettingsError as error:
        return [wrong(line, "mend this line in the settings") for line in error.lines]
    found = [good("the settings are understood")]
    if not home.is_dir():
        return [*found, *checks_home.versions(None), wrong(f"there is no home in {home}", "aftercall run --home DIR")]
    plan, world = _plan(home), _world(home)
    found += _look("versions", lambda: checks_home.versions(plan))
    found += _look("file modes", lambda: checks_home.file_modes(home, plan))
    found += _look("secrets", lambda: _secrets(home))
    if plan is not None:
        found += _look("bindings", lambda: checks_home.bindings(settings, plan))
        found += _look("Asterisk's configuration", lambda: checks_home.configuration(plan.folders.asterisk_etc))
    found += _look(
        "room", lambda: checks_home.room(home, settings, plan, checks_running.pids(world or {}).get("asterisk", 0))
    )
    found += _look("belongings", lambda: checks_home.belongings(settings))
    if plan is None or world is None:
        return [*found, note("no world runs in this home", f"aftercall run --home {home}")]
    return [*found, *_running(plan, world, settings)]


def _running(plan: WorldPlan, world: dict[str, Any], settings: Settings) -> list[Finding]:
    found = _look("processes", lambda: checks_running.processes(world, plan))
    found += _look("listeners", lambda: checks_running.listeners(world, plan))
    found += _look("Asterisk", lambda: checks_running.up_to_date(plan))
    believed: list[str] | None = None
    try:
        more, believed = checks_running.controller(plan)
        found += more
    except Exception as error:
        found.append(wrong(f"the controller could not be asked: {error}", "see its log"))
    return found + _look("Asterisk by AMI", lambda: checks_running.asterisk(plan, believed))


def _look(what: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except AftercallError as error:
        return [wrong(str(error), error.hint or "see above")]
    except Exception as error:
        return [wrong(f"{what} could not be looked at: {type(error).__name__}: {error}", "see the log")]


def _plan(home: Path) -> WorldPlan | None:
    try:
        return read_plan(home)
    except AftercallError:
        return None


def _world(home: Path) -> dict[str, Any] | None:
    """What runs; None when nothing does (the file of a world that was killed counts only while its launcher lives)."""
    try:
        world: dict[str, Any] = json.loads((home / "run" / "world.json").read_text(encoding="utf-8"))
        os.kill(int(world["pids"]["launcher"]), 0)
    except PermissionError:
        return world
    except (OSError, ValueError, KeyError):
        return None
    return world


def _secrets(home: Path) -> list[Finding]:
    try:
        SecretStore.open(home)
    except SettingsError as error:
        return [wrong(line, "see this line") for line in error.lines]
    return [good("all secrets were generated, none is short")]


def run(home: Path, *, as_json: bool = False) -> int:
    """Prints the findings. Exit status 0 when nothing is wrong."""
    become_owner(home)
    found = collect(home)
    console = Console(highlight=False, soft_wrap=True)
    marks = {"good": "[green]ok[/green]  ", "note": "[yellow]note[/yellow]", "wrong": "[red]BAD[/red] "}
    for finding in found:
        if as_json:
            line = {"level": finding.level, "what": finding.what, "fix": finding.fix}
            console.print(json.dumps(line, ensure_ascii=False), markup=False)
            continue
        console.print(marks[finding.level], end=" ")
        console.print(
            finding.what + (f" → {finding.fix}" if finding.level != "good" and finding.fix else ""), markup=False
        )
    count = sum(finding.level == "wrong" for finding in found)
    if not as_json:
        console.print(f"{count} to mend" if count else "all is well", markup=False)
    return 1 if count else 0
