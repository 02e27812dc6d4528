"""The book's files: any moment is found at once, a moved file is read once, finished days are put aside and forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pbx import cel_files
from pbx.cel import read_line

T0 = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")


def text(second: float, mark: str = "") -> str:
    stamp = f"{(T0 + timedelta(seconds=second)).timestamp():.6f}"
    return f'"CHAN_START","{stamp}","n1-{second}{mark}","n1-{second}","PJSIP/trunk-00000000","","",""\n'


def write(folder: Path, *texts: str, name: str = "Master.csv") -> None:
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write("".join(texts))


def seconds(folder: Path, since: float) -> list[float]:
    read = [read_line(one) for one in cel_files.lines(folder, T0 + timedelta(seconds=since))]
    return [(it.at - T0).total_seconds() for it in read if it is not None]


@pytest.mark.parametrize("since", [-100, 0, 1, 2500, 4321, 4999, 5000, 9999])
def test_every_line_from_a_moment_on_is_given_in_order_and_few_before(tmp_path: Path, since: int) -> None:
    write(tmp_path, *(text(second) for second in range(5000)))
    found = seconds(tmp_path, since)
    begin = int(found[0])
    assert found == list(range(begin, 5000))
    assert begin <= max(0, since) and min(since, 5000) - begin < 800


def test_half_a_line_is_not_given_before_it_is_whole(tmp_path: Path) -> None:
    write(tmp_path, text(1), text(2)[:40])
    assert seconds(tmp_path, 0) == [1]
    write(tmp_path, text(2)[40:])
    assert seconds(tmp_path, 0) == [1, 2]


def test_damaged_lines_do_not_hide_those_behind_them(tmp_path: Path) -> None:
    rubbish = "\x00\xff" * 30_000 + "\n"
    write(tmp_path, *(text(n) + (rubbish if n % 100 == 0 else "") for n in range(1000)))
    assert seconds(tmp_path, 500)[-500:] == list(range(500, 1000))


def test_no_book_has_no_lines(tmp_path: Path) -> None:
    assert seconds(tmp_path, 0) == seconds(tmp_path / "nowhere", 0) == []


def test_only_lines_about_these_calls_are_given(tmp_path: Path) -> None:
    write(tmp_path, text(1, "a"), text(2, "b"), text(3, "a"))
    found = list(cel_files.lines(tmp_path, T0, about={"n1-1a", "n1-3a"}))
    assert found == [text(1, "a"), text(3, "a")]


def test_a_finished_day_of_the_house_is_moved_aside_and_still_read(tmp_path: Path) -> None:
    write(tmp_path, text(0), text(3600))
    noon = T0 + timedelta(hours=4)  # 12:00 in Shanghai, the same day as 08:00
    assert cel_files.rotate(tmp_path, noon, SHANGHAI) is None
    moved = cel_files.rotate(tmp_path, T0 + timedelta(hours=19, minutes=30), SHANGHAI)  # 03:30 of the next day
    assert moved is not None and moved.name == "Master-20261124T193000Z.csv"
    assert cel_files.rotate(tmp_path, T0 + timedelta(hours=19, minutes=31), SHANGHAI) is None, "there is nothing new"
    write(tmp_path, text(80_000))
    assert seconds(tmp_path, 0) == [0, 3600, 80_000]
    assert seconds(tmp_path, 79_000) == [80_000], "what was moved aside before is not opened"


def test_after_fourteen_days_what_was_moved_aside_is_gone(tmp_path: Path) -> None:
    for day in range(20):
        write(tmp_path, text(day * 86_400))
        cel_files.rotate(tmp_path, T0 + timedelta(days=day + 1), UTC)
    left = sorted(file.name for file in tmp_path.iterdir())
    assert left == [f"Master-{T0 + timedelta(days=day):%Y%m%d}T000000Z.csv" for day in range(6, 21)]


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    for name in ("Master-notes.csv", "Master-20269999T000000Z.csv", "Simple.csv"):
        write(tmp_path, "x\n", name=name)
    cel_files.rotate(tmp_path, T0, UTC)
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_moved_while_it_is_read_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, *(text(second) for second in range(5000)))
    reading = cel_files.lines(tmp_path, T0)
    first = next(reading)
    assert cel_files.rotate(tmp_path, T0 + timedelta(days=2), UTC) is not None
    write(tmp_path, text(200_000))
    assert first == text(0)
    assert [one for one in reading if one == first] == []
    assert seconds(tmp_path, 0)[-2:] == [4999, 200_000]
