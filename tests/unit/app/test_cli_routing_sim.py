"""`aftercall routing simulate` and `… replay`: what is printed and drawn, twice the same."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import routing.sim
from app.cli_routing_sim import join
from core.clock import SystemClock
from core.db.engine import Database
from core.db.migrate import migrate
from core.db.outbox import write_events
from core.events import to_record
from core.ids import new_id
from routing.pool import Pool
from routing.sim.made_day import made_day
from routing.store import set_skills

SAMPLE = str(Path(routing.sim.__file__).with_name("sample.yaml"))


def said(*words: str) -> Result:
    commands = typer.Typer()
    join(commands)
    return CliRunner().invoke(commands, words, env={"COLUMNS": "200"})


def test_a_scenario_is_told_per_class_with_intervals_and_twice_the_same() -> None:
    one, other = said("simulate", SAMPLE, "--seeds", "4"), said("simulate", SAMPLE, "--seeds", "4")
    assert one.exit_code == 0 and one.stdout == other.stdout
    assert "sl_offered" in one.stdout and "±" in one.stdout and "occupancy_spread" in one.stdout


def test_as_json_it_is_one_object() -> None:
    found = json.loads(said("simulate", SAMPLE, "--seeds", "2", "--json").stdout)
    assert set(found["sides"][0]["classes"]) == {"zh", "zh gold", "en", "all"}
    assert found["sides"][0]["classes"]["zh"]["asa_s"]["days"] == 2


@pytest.mark.parametrize("kind, begins", [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_a_picture_is_drawn_and_twice_the_same(tmp_path: Path, kind: str, begins: bytes) -> None:
    files = [tmp_path / f"{number}.{kind}" for number in (1, 2)]
    for file in files:
        assert said("simulate", SAMPLE, "--seeds", "1", "--plot", str(file)).exit_code == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes().startswith(begins)


def test_what_cannot_be_drawn_is_said_before_the_work(tmp_path: Path) -> None:
    refused = said("simulate", SAMPLE, "--plot", str(tmp_path / "a.pdf"))
    assert refused.exit_code and "pictures are" in str(refused.exception)


def test_a_file_that_is_not_there_is_wrong_usage() -> None:
    assert said("simulate", "nothing.yaml").exit_code == 2


RULES = """
classes:
  standard: {base_points: 0, ageing_points_per_min: 1}
  first: {base_points: 5, ageing_points_per_min: 1}
queues:
  orders_zh: {skills: {orders: 1, zh: 1}}
  orders_en: {skills: {orders: 1, en: 1}}
  returns_zh: {skills: {returns: 1, zh: 1}, default_class: CLASS}
  returns_en: {skills: {returns: 1, en: 1}, default_class: CLASS}
skills: [orders, returns, zh, en]
"""


async def lived_in(home: Path) -> None:
    """A home with one made-up day in its database."""
    (home / "db").mkdir(parents=True)
    url = f"sqlite:///{home / 'db' / 'aftercall.sqlite'}"
    await migrate(url)
    events, scenario = made_day(Pool, calls=900)
    database = await Database.open(url, clock=SystemClock(), ids=new_id, pool=1)
    try:
        async with database.write() as conn:
            await set_skills(conn, {agent.extension: agent.skills for agent in scenario.staff})
            await write_events(conn, "j", [(seq, to_record(event)) for seq, event in enumerate(events, 1)])
    finally:
        await database.close()


def test_a_recorded_day_is_told_as_it_was_and_under_two_sets_of_rules(tmp_path: Path) -> None:
    asyncio.run(lived_in(tmp_path / "home"))
    for name, rank in (("own.yaml", "standard"), ("returns_first.yaml", "first")):
        (tmp_path / name).write_text(RULES.replace("CLASS", rank), encoding="utf-8")
    words = [
        "replay", "--day", "2026-11-24", "--policy", str(tmp_path / "own.yaml"), "--against",
        str(tmp_path / "returns_first.yaml"), "--home", str(tmp_path / "home"), "--json",
    ]  # fmt: skip
    one, other = said(*words), said(*words)
    assert one.exit_code == 0, one.output
    assert one.stdout == other.stdout
    found = json.loads(one.stdout)
    assert [side["name"] for side in found["sides"]] == ["as it was", "own.yaml", "returns_first.yaml"]
    assert found["differences"]["returns_zh"]["asa_s"]["mean"] < 0
    assert '"the rules in force"' in said(*words[:3], *words[7:]).stdout
    empty = said(*words[:2], "2026-11-20", *words[3:])
    assert empty.exit_code and "nobody came" in str(empty.exception)
