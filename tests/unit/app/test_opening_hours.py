"""The operator's calendars reach menus and queues, and what is not there keeps nobody out."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.opening_hours import OpeningHours
from app.routing_policy import known_to
from app.world.music import classes_of_music, music_folder
from core.clock import ManualClock
from core.db.engine import Database
from core.ids import CountingIds
from core.settings import Settings, SettingsError, load_settings
from routing.policy.text import read_policy
from tests.unit.core.conftest import newest_sqlite

__all__ = ["newest_sqlite"]
SHOP = {"every_day": ["09:00-18:00"], "sunday": []}
TEXT = """queues:
  service:
    hours: shup
    overflow: {closed: closing}
    waits: {music: jazz}
"""


def test_a_shop_is_open_by_the_clock_on_its_wall_and_an_unknown_one_turns_nobody_away() -> None:
    berlin = {"zone": "Europe/Berlin", **SHOP}
    hours = OpeningHours(Settings(calendars={"shop": SHOP, "berlin": berlin}), ManualClock())
    early = datetime(2026, 11, 24, 0, 59, tzinfo=UTC)  # a Tuesday; 08:59 in Shanghai, 01:59 in Berlin
    for after_min, shop, there in ((0, False, False), (1, True, False), (421, True, True), (541, False, True)):
        at = early + timedelta(minutes=after_min)
        assert (hours.is_open("shop", at), hours.is_open("berlin", at)) == (shop, there), at
    assert hours.is_open("nowhere", early)


def test_public_holidays_of_the_country_are_days_off() -> None:
    holiday = datetime(2026, 10, 1, 4, 0, tzinfo=UTC)
    assert OpeningHours(Settings(calendars={"shop": SHOP}), ManualClock()).is_open("shop", holiday)
    in_china = {"country": "CN", **SHOP}
    assert not OpeningHours(Settings(calendars={"shop": in_china}), ManualClock()).is_open("shop", holiday)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[calendars.shop]\nevery_day = ["9-18"]', "shop: every_day: '9' is not a time of day like 09:00"),
        ('[calendars.shop]\nzone = "Mars/Base"', "'Mars/Base' is not a time zone"),
        ('[calendars.shop]\ncountry = "Atlantis"', "no holidays known for 'Atlantis'"),
        ('[calendars."a b"]\n', "'a b' is not a name for a calendar"),
    ],
)
def test_opening_hours_that_cannot_be_read_are_told_before_anything_starts(
    tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "aftercall.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {})
    assert words in caught.value.lines[0] and "calendars" in caught.value.lines[0]


async def test_a_rule_that_names_a_calendar_or_music_that_is_not_there_is_told_with_its_line(
    tmp_path: Path, newest_sqlite: Path
) -> None:
    for name in ("piano", "Bad Name", "empty"):
        (music_folder(tmp_path) / name).mkdir(parents=True)
    for name in ("piano", "Bad Name"):
        (music_folder(tmp_path) / name / "one.wav").touch()
    assert classes_of_music(tmp_path) == ["default", "piano"]
    shutil.copy(newest_sqlite, tmp_path / "it.sqlite")
    database = await Database.open(f"sqlite:///{tmp_path}/it.sqlite", clock=ManualClock(), ids=CountingIds("i"))
    try:
        async with database.read() as conn:
            known = await known_to(tmp_path, Settings(calendars={"shop": SHOP}))(conn)
    finally:
        await database.close()
    _, problems = read_policy(TEXT, "rules.yaml", known)
    assert [str(problem) for problem in problems] == [
        "rules.yaml:3:12: queues.service.hours: there is no calendar 'shup'; did you mean 'shop'?",
        "rules.yaml:5:20: queues.service.waits.music: there is no music 'jazz'; "
        "a class of music is a folder with sounds: HOME/music/NAME",
    ]
    assert read_policy(TEXT.replace("shup", "shop").replace("jazz", "piano"), "", known)[1] == []
