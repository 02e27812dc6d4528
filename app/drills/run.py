"""`aftercall drill`: holds the drills on worlds of their own (or on a home marked as a rehearsal) and prints the table.

Decides order, repetition and sharing of worlds; what is done and judged is the drills' and the oracles'. Exit status 0 when
every promise was kept and every oracle held each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import platform
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from app.drills import clock, oracles
from app.drills.catalogue import chosen
from app.drills.field import Field, field_in
from app.drills.model import Drill, Missed, Oracle, Outcome
from app.world.outside import OutsideWorld
from core.errors import AftercallError
from core.settings import load_settings

LONGEST_S = 240.0
OFTEN = 30  # times, at random instants
DISK = "DRILL__DISK"  # no setting of the product: the size of the disk the world stands on
COMMON = {"SPEECH__ENABLED": "false", "SAMPLE__ORDERS": "200"}


class NoRehearsal(AftercallError):
    def __init__(self, home: Path) -> None:
        super().__init__(
            "drill:no-rehearsal", f"{home} is not marked as a rehearsal: drills kill and freeze what serves callers.",
            hint="Set `rehearsal = true` in its aftercall.toml, or leave --home out for a world made for the drill.",
        )  # fmt: skip


def run(
    faults: frozenset[int], *, times: int | None, short: bool, home: Path | None, table: Path | None, seed: int
) -> int:
    """Raises NoRehearsal; KeyError for an unknown fault."""
    drills = chosen(faults, short=short)
    if home is not None and not load_settings(home / "aftercall.toml").rehearsal:
        raise NoRehearsal(home)
    console = Console(highlight=False, soft_wrap=True)
    outcomes = asyncio.run(_hold(drills, times, seed, home, console))
    _print(console, outcomes)
    if table is not None:
        table.write_text(json.dumps(_document(outcomes, seed), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    missed = sum(not outcome.ok for outcome in outcomes)
    console.print(f"{len(outcomes) - missed} passed, {missed} failed")
    return 1 if missed or not outcomes else 0


async def _hold(
    drills: Sequence[Drill], times: int | None, seed: int, home: Path | None, console: Console
) -> list[Outcome]:
    """World after world; those that only wait for the right instant, again and again, in two worlds at a time."""
    outcomes: list[Outcome] = []
    ordered = sorted(drills, key=lambda drill: (*_kind_of_world(drill), drill.fault))
    for (alone, _, settings, often), group in groupby(ordered, key=_kind_of_world):
        turns = [drill for drill in group for _ in range(times or drill.times)]
        worlds = [[turn] for turn in turns] if alone else [turns]
        if often and home is None and len(turns) > 2:
            halves = [turns[::2], turns[1::2]]
            async with asyncio.TaskGroup() as both:
                running = [
                    both.create_task(_in_one_world(half, dict(settings), seed + 1000 * n, home, console))
                    for n, half in enumerate(halves)
                ]
            outcomes += [outcome for half in running for outcome in half.result()]
            continue
        for number, together in enumerate(worlds):
            outcomes += await _in_one_world(together, dict(settings), seed + number, home, console)
    return sorted(outcomes, key=lambda outcome: outcome.fault)


def _kind_of_world(drill: Drill) -> tuple[bool, bool, list[tuple[str, str]], bool]:
    return drill.alone, drill.moved_clock, sorted(drill.settings.items()), drill.times >= OFTEN and not drill.alone


async def _in_one_world(
    drills: Sequence[Drill], settings: dict[str, str], seed: int, home: Path | None, console: Console
) -> list[Outcome]:
    """A world that a missed promise has left in disorder is given up for a fresh one."""
    left, outcomes = list(drills), []
    while left:
        with (
            tempfile.TemporaryDirectory(prefix="aftercall-drill-", ignore_cleanup_errors=True) as folder,
            disk(Path(folder), settings.get(DISK, "")) as ground,
        ):
            place = home or ground / "home"
            environment = clock.environment(place.parent) if left[0].moved_clock else {}
            asked = {key: value for key, value in settings.items() if key != DISK}
            chosen_settings = {**COMMON, "REHEARSAL": "true", **asked}
            async with OutsideWorld(place, settings=chosen_settings, environment=environment) as world:
                field = await field_in(world, seed + len(left))
                while left:
                    drill = left.pop(0)
                    outcome = await _one(drill, field)
                    outcomes.append(outcome)
                    _say(console, outcome)
                    if not outcome.ok:
                        break
                with contextlib.suppress(Exception):  # of a world that is given up
                    await field.close()
    return outcomes


async def _one(drill: Drill, field: Field) -> Outcome:
    begun = field.now()
    measured, wrong = "", ""
    found: tuple[Oracle, ...] = ()
    try:
        async with asyncio.timeout(LONGEST_S):
            field.forget_calls()
            await field.both_controllers()
            before = oracles.baseline(field)
            try:
                measured = await drill.run(field)
            except Missed as error:
                wrong = str(error)
            except Exception as error:  # whatever went wrong, the promise was not seen to be kept
                wrong = f"the drill itself failed: {error!r}"
            await field.clear()
            found = await oracles.judge(field, before, begun)
    except Missed as error:
        wrong = f"{wrong}; afterwards: {error}" if wrong else str(error)
    except TimeoutError:
        wrong = wrong or f"not over within {LONGEST_S:g} s"
    except Exception as error:  # the world itself has gone, or what judges it: the others are drilled all the same
        wrong = f"{wrong}; afterwards: {error!r}" if wrong else f"the world could not be judged: {error!r}"
    return Outcome(drill.fault, drill.name, drill.promise, measured, wrong, found, round(field.now() - begun, 1))


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of this size for the world to fill; the folder itself without a size. Needs root."""
    if not size:
        yield folder
        return
    place = folder / "disk"
    place.mkdir()
    mount, umount = shutil.which("mount") or "/bin/mount", shutil.which("umount") or "/bin/umount"
    subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run([umount, "-l", str(place)], check=True)


# --- telling it


def _say(console: Console, outcome: Outcome) -> None:
    mark = "[green]kept[/green]" if outcome.ok else "[red]MISSED[/red]"
    console.print(f"{outcome.fault:>3} {mark} ", end="")
    words = outcome.measured if outcome.ok else outcome.wrong or oracles.words(outcome.oracles)
    console.print(f"{outcome.name}: {words} ({outcome.seconds:.0f} s)", markup=False)


def _print(console: Console, outcomes: Sequence[Outcome]) -> None:
    shown = Table("fault", "what", "promise", "kept", "measured (last)", "oracles")
    for row in _rows(outcomes):
        shown.add_row(str(row["fault"]), row["name"], row["promise"], row["kept"], row["measured"], row["oracles"])
    console.print(shown)


def _rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """One row for each fault: how often it was kept, and the last words about it."""
    rows = []
    for _, group in groupby(sorted(outcomes, key=lambda it: (it.fault, it.name)), key=lambda it: (it.fault, it.name)):
        each = list(group)
        worst = next((it for it in each if not it.ok), each[-1])
        rows.append({
            "fault": worst.fault, "name": worst.name, "promise": worst.promise,
            "kept": f"{sum(it.ok for it in each)}/{len(each)}", "measured": worst.wrong or worst.measured,
            "oracles": oracles.words(worst.oracles),
        })  # fmt: skip
    return rows


def _document(outcomes: Sequence[Outcome], seed: int) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"), "seed": seed, "machine": platform.machine(),
        "rows": _rows(outcomes),
    }  # fmt: skip


def new_seed() -> int:
    return random.SystemRandom().randrange(1, 1_000_000)
