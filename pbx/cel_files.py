"""The files of Asterisk's book of calls: read from any moment on, and finished days moved aside.

File work only: call it off the loop. Asterisk opens the file anew for every line it appends, so the file may be moved away
under it. Invariants: a line is given out only when it is whole; whatever is moved while it is read is read once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import IO

from pbx.cel import LONGEST_LINE, moment_of

CURRENT = "Master.csv"
KEEP = timedelta(days=14)
_ASIDE = re.compile(r"Master-(\d{8}T\d{6})Z\.csv")
_STAMP = re.compile(rb'"[A-Z_]+","(\d{1,12}\.\d{6})"')
_NEAR = 32 * 1024


def lines(folder: Path, since: datetime, *, about: Collection[str] = ()) -> Iterator[str]:
    """Whole lines written at `since` or later, and a few before, in the order they were written. `about`: only lines that
    have one of these ids in them. A book that is not there has no lines."""
    wanted = [name.encode() for name in about]
    for file in _opened(folder, since):
        with file:
            _go_to(file, since)
            for raw in file:
                if not raw.endswith(b"\n"):
                    break  # half a line: still being written
                if not wanted or any(name in raw for name in wanted):
                    yield raw.decode("utf-8", "replace")


def there(folder: Path) -> bool:
    """Whether there is any book."""
    return (folder / CURRENT).exists() or bool(_aside(folder))


def _opened(folder: Path, since: datetime) -> Iterator[IO[bytes]]:
    current = None
    with suppress(FileNotFoundError):
        current = (folder / CURRENT).open("rb")  # first, so that nothing is missed when it is moved aside now
    mine = os.fstat(current.fileno()).st_ino if current is not None else None
    for moved_at, file in _aside(folder):
        with suppress(FileNotFoundError):
            if moved_at >= since and file.stat().st_ino != mine:
                yield file.open("rb")
    if current is not None:
        yield current


def _aside(folder: Path) -> list[tuple[datetime, Path]]:
    """The files that were moved aside, oldest first, with the moment they were."""
    found = []
    for file in folder.glob("Master-*.csv"):
        name = _ASIDE.fullmatch(file.name)
        if name is not None:
            with suppress(ValueError):
                found.append((datetime.strptime(name[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC), file))
    return sorted(found)


def _go_to(file: IO[bytes], since: datetime) -> None:
    """To the beginning of a line shortly before the first of `since`: lines stand in the order of time."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while high - low > _NEAR:
        middle = (low + high) // 2
        at = _stamp_behind(file, middle, high)
        if at is not None and at < since:
            low = middle
        else:
            high = middle
    file.seek(low)
    if low:
        file.readline()


def _stamp_behind(file: IO[bytes], place: int, end: int) -> datetime | None:
    """The moment of the first line that begins behind `place` and can be read; None when there is none before `end`."""
    file.seek(place)
    file.readline()
    while file.tell() < end:
        found = _STAMP.match(file.readline(LONGEST_LINE))
        if found is not None:
            with suppress(ValueError, OverflowError, OSError):
                return moment_of(found[1].decode())
    return None


def rotate(folder: Path, now: datetime, zone: tzinfo) -> Path | None:
    """Moves the file aside when it holds a finished day of `zone`, and deletes what was moved aside more than 14 days ago.
    Returns where it is now, None when nothing was moved."""
    for moved_at, file in _aside(folder):
        if moved_at < now - KEEP:
            file.unlink(missing_ok=True)
    current = folder / CURRENT
    try:
        with current.open("rb") as book:
            begun = _begins_at(book)
    except FileNotFoundError:
        return None
    if begun is None or begun.astimezone(zone).date() >= now.astimezone(zone).date():
        return None
    place = folder / f"Master-{now.astimezone(UTC):%Y%m%dT%H%M%S}Z.csv"
    if place.exists():
        return None
    current.rename(place)
    return place


def _begins_at(file: IO[bytes]) -> datetime | None:
    """The moment of the first line that can be read."""
    for raw in file:
        found = _STAMP.match(raw)
        if found is not None:
            with suppress(ValueError, OverflowError, OSError):
                return moment_of(found[1].decode())
    return None
