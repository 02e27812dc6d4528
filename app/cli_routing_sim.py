"""`aftercall routing simulate` and `… replay`: what would happen, or would have happened, under these rules.

Decides how a study is told: as text, as one JSON object (`--json`), as a picture (`--plot`). The same order gives the same
bytes. Reads the home's database for a replay, and writes nothing into it.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli_home import HomeOption, asynchronously, become_owner, home_folder

if TYPE_CHECKING:
    from routing.policy.model import Policy
    from routing.replay import RecordedDay
    from routing.sim.study import Study

PolicyOption = Annotated[Path | None, typer.Option("--policy", help="rules (YAML)")]
AgainstOption = Annotated[Path | None, typer.Option("--against", help="other rules to compare with")]
PlotOption = Annotated[Path | None, typer.Option("--plot", help="write a picture into this .svg or .png")]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON object instead of text")]


def join(commands: typer.Typer) -> None:
    """Adds both commands to the group `routing`."""
    commands.command()(simulate)
    commands.command()(replay)


def simulate(
    scenario: Annotated[Path, typer.Argument(help="a scenario (YAML): agents, arrivals, times, and maybe rules")],
    policy: PolicyOption = None,
    against: AgainstOption = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="so many days, each with random numbers of its own")] = 10,
    first_seed: Annotated[int, typer.Option(min=0, help="the first day's seed")] = 1,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a scenario's day on the product's own matching; two sets of rules see the same callers."""
    from routing.pool import Pool
    from routing.sim.study import simulate as study_of
    from routing.sim.text import read_scenario

    _check(plot)
    found = read_scenario(_text(scenario), _policy_of, scenario.parent, str(scenario))
    policies = {
        "the scenario's rules" if policy is None else policy.name: found.policy if policy is None else _rules(policy)
    }
    if against is not None:
        policies[_name(against, policies)] = _rules(against)
    _tell(study_of(found, policies, Pool, range(first_seed, first_seed + seeds)), plot, as_json=as_json)


def replay(
    day: Annotated[str, typer.Option("--day", help="such as 2026-11-24, in the house's time zone")],
    policy: Annotated[Path | None, typer.Option("--policy", help="rules (YAML); without it those in force")] = None,
    against: AgainstOption = None,
    home: HomeOption = None,
    seed: Annotated[
        int, typer.Option(min=0, help="of what the day does not tell, such as the patience of the answered")
    ] = 1,
    plot: PlotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Live a recorded day again under other rules: the same callers and agents, and who would have taken whom."""
    from routing.pool import Pool
    from routing.sim.study import compare_day

    _check(plot)
    try:
        wanted = date.fromisoformat(day)
    except ValueError as error:
        raise typer.BadParameter(f"'{day}' is no day; write 2026-11-24", param_hint="--day") from error
    given = {} if policy is None else {policy.name: _rules(policy)}
    place = home_folder(home)
    become_owner(place)
    recorded, in_force = asynchronously(_day(place, wanted, seed))
    policies = given or {"the rules in force": in_force}
    if against is not None:
        policies[_name(against, policies)] = _rules(against)
    _tell(compare_day(recorded, policies, Pool), plot, as_json=as_json)


async def _day(home: Path, day: date, seed: int) -> tuple[RecordedDay, Policy]:
    """The recorded day, and the rules in force now."""
    from zoneinfo import ZoneInfo

    from app.cli_data import database_url, existing
    from app.routing_policy import document_of
    from core.clock import SystemClock
    from core.db.engine import Database
    from core.errors import BadInput
    from core.ids import new_id
    from core.settings import load_settings
    from routing.policy.desk import PolicyDesk
    from routing.replay import recorded_day
    from routing.sim.recorded import events_of_day
    from routing.store import skills_of_agents, teams_of_agents

    settings, clock = load_settings(home / "aftercall.toml"), SystemClock()
    database = await Database.open(existing(database_url(home)), clock=clock, ids=new_id, pool=1)
    try:
        in_force = await PolicyDesk(database, clock, document_of(settings)).load()
        async with database.read() as conn:
            events = await events_of_day(conn, day, ZoneInfo(settings.time_zone))
            skills, teams = await skills_of_agents(conn), await teams_of_agents(conn)
    finally:
        await database.close()
    try:
        return recorded_day(events, skills, teams=teams, seed=seed), in_force
    except ValueError as error:
        raise BadInput("routing:nothing-to-replay", f"{day}: {error}.") from error


def _check(plot: Path | None) -> None:
    if plot is not None:
        from routing.sim.plot import check_plot

        check_plot(plot)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file}: {getattr(error, 'strerror', None) or 'is no text'}") from error


def _rules(file: Path) -> Policy:
    return _policy_of(_text(file), str(file))


def _policy_of(text: str, source: str) -> Policy:
    from routing.policy.text import load

    return load(text, source).policy


def _name(file: Path, taken: dict[str, Policy]) -> str:
    return str(file) if file.name in taken else file.name


def _tell(study: Study, plot: Path | None, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(study.record(), ensure_ascii=False, sort_keys=True))
    else:
        print("\n".join(study.lines()))
    if plot is not None:
        from routing.sim.plot import draw

        draw(study, plot)
