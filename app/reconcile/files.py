"""What lies on the disk: recordings, and legs that were left lying.

File work only: call it off the loop. Reads only.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from app.reconcile.rules import FoundSound
from recordings import wav
from recordings.model import leg_of

CHUNK = 1024 * 1024


def look_at_sound(file: Path, channels: int) -> FoundSound | None:
    """The file's checksum and length; None when there is no such file. A link is not followed."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        return FoundSound(fault=f"cannot be read: {error.strerror}")
    checksum = hashlib.sha256()
    try:
        with os.fdopen(descriptor, "rb") as opened:
            while data := opened.read(CHUNK):
                checksum.update(data)
            # Nobody will hear it now: what others read of the disk is not to be pushed out by a whole day's sound.
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        sound = wav.inspect(file, channels=channels)
    except OSError as error:
        return FoundSound(fault=f"cannot be read: {error.strerror}")
    except wav.BadAudio as error:
        return FoundSound(checksum.hexdigest(), fault=error.message)
    return FoundSound(checksum.hexdigest(), sound.seconds)


def sounds(folder: Path, since: datetime, until: datetime, longest: timedelta) -> Iterator[tuple[str, str]]:
    """(recording's id, path below `folder`) of every sound file that was finished in this time."""
    day, last = (since - longest).date(), until.date()
    while day <= last:
        yield from _sounds_of(folder, day, since, until)
        day += timedelta(days=1)


def _sounds_of(folder: Path, day: date, since: datetime, until: datetime) -> Iterator[tuple[str, str]]:
    place = f"{day:%Y/%m/%d}"
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder / place) as entries:
        for entry in entries:
            if entry.name.endswith(".wav") and not entry.name.startswith("."):
                with suppress(FileNotFoundError):
                    written = datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC)
                    if since <= written < until:
                        yield entry.name.removesuffix(".wav"), f"{place}/{entry.name}"


def legs(folder: Path, since: datetime, until: datetime) -> dict[str, str]:
    """Interaction → a file of its two legs, of those nobody wrote to since before `until`."""
    found: dict[str, str] = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            leg = leg_of(entry.name)
            if leg is not None:
                with suppress(FileNotFoundError):
                    written = datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC)
                    if since <= written < until:
                        found[leg[0]] = entry.name
    return found
