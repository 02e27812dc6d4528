"""`aftercall reconcile` as an operator meets it: a table, JSON lines, an exit status that scripts can trust."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import typer

from app import cli
from app.cli_reconcile import moment_of
from app.reconcile.nightly import arguments
from app.reconcile.run import places_of
from core.clock import SystemClock
from tests.suites.core.place import Place
from tests.unit.reconcile.desk import SINCE, UNTIL, Desk
from tests.unit.world.test_plan import claims, plan_of

__all__ = ["claims"]
SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", NOW - timedelta(minutes=90)), ("24h", NOW - timedelta(hours=24)), ("7d", NOW - timedelta(days=7)),
        ("2026-11-24T03:30", datetime(2026, 11, 23, 19, 30, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 23, 16, 0, tzinfo=UTC)),
        ("2026-11-24T03:30+00:00", datetime(2026, 11, 24, 3, 30, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_a_moment_is_a_while_ago_or_a_time_of_the_house(text: str, moment: datetime) -> None:
    assert moment_of(text, NOW, SHANGHAI) == moment


@pytest.mark.parametrize("text", ["yesterday", "24", "-3h", "2026-13-01", "h"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        moment_of(text, NOW, SHANGHAI)


class Home:
    """A stopped world: its plan, its database, its book."""

    def __init__(self, tmp_path: Path, claims: object, newest: Path) -> None:
        self.plan = plan_of(tmp_path, claims)  # type: ignore[arg-type]
        for folder in self.plan.folders.all():
            folder.mkdir(parents=True, exist_ok=True)
        self.plan.write()
        shutil.copy(newest, self.plan.folders.db / "aftercall.sqlite")
        self.tmp_path = tmp_path

    def live(self, spoil: bool) -> None:
        async def work() -> None:
            async with Place(self.plan.database) as place:
                desk = await Desk.open(place, self.tmp_path / "unused")
                desk.places = places_of(self.plan)
                calls = await desk.play_all()
                if spoil:
                    await desk.change(calls["agent_hangs_up"].id, end_reason="unseen")
                    await desk.change(calls["not_answered"].id, talk_s=77.0)
                    (await desk.record(calls["caller_hangs_up"].id)).unlink()

        asyncio.run(work())

    def reconcile(self, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
        period = ("--since", SINCE.isoformat(), "--until", UNTIL.isoformat())
        return self.call(monkeypatch, "reconcile", "--home", str(self.plan.home), *period, *options)

    def call(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["aftercall", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0)


@pytest.fixture
def home(tmp_path: Path, claims: object, newest_sqlite: Path) -> Home:
    return Home(tmp_path, claims, newest_sqlite)


def test_a_stopped_home_without_a_difference(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home.live(spoil=False)
    assert home.reconcile(monkeypatch) == 0
    assert capsys.readouterr().out.startswith("no differences; 7 calls and 0 recordings compared, ")


def test_differences_are_told_as_a_table_and_as_json_and_mended_ones_are_marked(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home.live(spoil=True)
    monkeypatch.setenv("COLUMNS", "200")
    assert home.reconcile(monkeypatch) == 1
    table = capsys.readouterr().out
    for word in (
        "reason unseen",
        "talk differs",
        "recording without file",
        "agent_hangup at",
        "77.0 s of talk",
        "a takeover",
    ):
        assert word in table
    assert "3 differences; 7 calls" in table
    assert home.reconcile(monkeypatch, "--json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(line["kind"] for line in lines) == [
        "reason_unseen",
        "recording_without_file",
        "summary",
        "talk_differs",
    ]
    assert all(line["cause"] and line["ours"] and line["theirs"] for line in lines[:-1])
    summary = lines[-1]
    assert (summary["differences"], summary["mended"], summary["kinds"]["talk_differs"]) == (3, 0, 1)
    assert home.reconcile(monkeypatch, "--repair") == 1
    assert "1 difference, 2 mended; 7 calls" in capsys.readouterr().out
    assert home.reconcile(monkeypatch, "--repair", "--json") == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["recording_without_file", "summary"]


def test_what_cannot_be_compared_is_one_line(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert home.reconcile(monkeypatch, "--until", "2020-01-01") == 2
    assert home.reconcile(monkeypatch, "--since", "soon") == 2
    (home.plan.folders.db / "aftercall.sqlite").unlink()
    assert home.reconcile(monkeypatch) == 1
    assert home.reconcile(monkeypatch, "--home", str(tmp_path / "none")) == 1
    error = capsys.readouterr().err.splitlines()
    assert "There is no database at" in error[-2] and "There is no world in" in error[-1]


def test_the_nights_own_command_line_is_understood(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home.live(spoil=True)
    monkeypatch.setattr(SystemClock, "now", lambda _self: UNTIL + timedelta(hours=4))
    assert home.call(monkeypatch, *arguments(home.plan.home, SINCE)) == 1
    *_, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert (summary["calls"], summary["differences"], summary["mended"]) == (7, 1, 2)
    assert datetime.fromisoformat(summary["since"]) == SINCE
    assert [file.name for file in home.plan.folders.book.iterdir()] == [f"Master-{UNTIL:%Y%m%d}T040000Z.csv"]
