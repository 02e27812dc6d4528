"""Reads the sound files Asterisk leaves behind, however they ended, and joins two legs into one stereo recording.

Decides what is sound and what is refused; knows nothing of calls, rows or the clock. Invariants: a file is opened once
and without following links; a header is believed only as far as the file's length bears it out; a joined recording
appears in one move, whole and synced, readable by us alone, or not at all; memory does not grow with the length.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from core.errors import BadInput

LONGEST_S = 8 * 3600.0
CHUNK_FRAMES = 64 * 1024
_HEADER_ROOM = 64 * 1024  # chunks before the sound may not be larger than this together
_RATES = range(4000, 192_001)
Samples = npt.NDArray[np.int16]


class BadAudio(BadInput):
    """The file is not sound we can use; one sentence says why. The file is left as it is."""

    def __init__(self, message: str) -> None:
        super().__init__("recordings:bad-audio", message)


@dataclass(frozen=True)
class Sound:
    """What a WAV file holds. `repairs` names what its header had wrong, in words; `complete` when there was nothing."""

    path: Path
    sample_rate: int
    channels: int
    frames: int
    offset: int
    repairs: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate

    @property
    def complete(self) -> bool:
        return not self.repairs


@dataclass(frozen=True)
class Joined:
    """A stored recording: `sha256` over the whole file, `repairs` of its legs."""

    path: Path
    sha256: str
    seconds: float
    sample_rate: int
    channels: int
    size: int
    repairs: tuple[str, ...] = ()


def inspect(path: Path, *, channels: int = 1, longest_s: float = LONGEST_S) -> Sound:
    """What the file holds, its header mended from its length. Raises BadAudio, or FileNotFoundError."""
    with _opened(path) as file:
        return _inspect(file, path, channels, longest_s)


@contextmanager
def opened(sound: Sound) -> Iterator[IO[bytes]]:
    """The file of an inspected sound, at its first frame."""
    with _opened(sound.path) as file:
        file.seek(sound.offset)
        yield file


def blocks(file: IO[bytes], sound: Sound, frames: int = CHUNK_FRAMES) -> Iterator[Samples]:
    """The samples in arrays of shape (n, channels), n ≤ `frames`; ends with the inspected length or with the file."""
    left = sound.frames
    width = 2 * sound.channels
    while left > 0:
        data = file.read(min(frames, left) * width)
        got = len(data) // width
        if got == 0:
            return
        left -= got
        yield np.frombuffer(data[: got * width], dtype="<i2").reshape(got, sound.channels)


def join(left: Sound | None, right: Sound | None, target: Path) -> Joined:
    """Caller on the left, agent on the right; the shorter one is filled with silence, a missing one is silence.

    Raises BadAudio when there is nothing to join or the rates differ, OSError when the disk does not take it."""
    legs = [leg for leg in (left, right) if leg is not None]
    if not legs or max(leg.frames for leg in legs) == 0:
        raise BadAudio("Neither leg holds any sound.")
    if len({leg.sample_rate for leg in legs}) > 1:
        raise BadAudio(f"The legs have different rates: {legs[0].sample_rate} and {legs[1].sample_rate} Hz.")
    rate = legs[0].sample_rate
    frames = max(leg.frames for leg in legs)
    if frames * 4 > 0xFFFF_0000:
        raise BadAudio("Together the legs are longer than a WAV file can be.")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    checksum = hashlib.sha256()
    try:
        with _new_file(temporary) as out:
            for data in _stereo(left, right, rate, frames):
                checksum.update(data)
                out.write(data)
            out.flush()
            os.fsync(out.fileno())
            size = out.tell()
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    repairs = tuple(f"{name}: {r}" for name, leg in (("caller", left), ("agent", right)) if leg for r in leg.repairs)
    return Joined(target, checksum.hexdigest(), frames / rate, rate, 2, size, repairs)


def header(frames: int, sample_rate: int, channels: int) -> bytes:
    """The 44 bytes before `frames` frames of 16-bit PCM."""
    size = frames * channels * 2
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, channels, sample_rate,
        sample_rate * channels * 2, channels * 2, 16, b"data", size,
    )  # fmt: skip


def _stereo(left: Sound | None, right: Sound | None, rate: int, frames: int) -> Iterator[bytes]:
    yield header(frames, rate, 2)
    with _leg(left) as caller, _leg(right) as agent:
        at = 0
        while at < frames:
            count = min(CHUNK_FRAMES, frames - at)
            block = np.zeros((count, 2), dtype="<i2")
            for column, leg in enumerate((caller, agent)):
                got = leg.take(count)
                block[: len(got), column] = got
            yield block.tobytes()
            at += count


class _Leg:
    """One leg's samples in order, nothing after its end."""

    def __init__(self, file: IO[bytes] | None, sound: Sound | None) -> None:
        self._file = file
        self._left = sound.frames if sound is not None else 0

    def take(self, count: int) -> Samples:
        if self._file is None or self._left <= 0:
            return np.zeros(0, dtype="<i2")
        data = self._file.read(min(count, self._left) * 2)
        self._left -= len(data) // 2 if data else self._left
        return np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2")


@contextmanager
def _leg(sound: Sound | None) -> Iterator[_Leg]:
    if sound is None:
        yield _Leg(None, None)
        return
    with opened(sound) as file:
        yield _Leg(file, sound)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Never follows a link and never waits for the other end of a pipe."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadAudio(f"{path.name} cannot be read as a plain file: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise BadAudio(f"{path.name} is not a plain file.")
    with os.fdopen(number, "rb") as file:
        yield file


def _inspect(file: IO[bytes], path: Path, wanted_channels: int, longest_s: float) -> Sound:
    size = os.fstat(file.fileno()).st_size
    start = file.read(12)
    if not start:
        raise BadAudio(f"{path.name} is empty.")
    if start[:3] == b"ID3" or (len(start) > 1 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0):
        raise BadAudio(f"{path.name} is an MP3 by another name, not WAV.")
    if len(start) < 12 or start[:4] != b"RIFF" or start[8:12] != b"WAVE":
        raise BadAudio(f"{path.name} is not a WAV file.")
    rate, channels, offset, declared = _chunks(file, path.name, size)
    if channels != wanted_channels:
        raise BadAudio(f"{path.name} claims {channels} channels where {wanted_channels} {'is' if wanted_channels == 1 else 'are'} expected.")  # fmt: skip  # noqa: E501
    width = 2 * channels
    there = size - offset
    repairs = []
    usable = declared
    if declared in (0, 0xFFFFFFFF) and there > 0:
        repairs.append("the header gave no length, taken from the file's")
        usable = there
    elif declared > there:
        repairs.append(f"the file ends {declared - there} bytes before the header says")
        usable = there
    elif declared < there and not _is_chunk(file, offset + declared + declared % 2, size):
        repairs.append(f"{there - declared} bytes of sound behind the header's length")
        usable = there
    if usable % width:
        repairs.append("a broken last frame was cut off")
    frames = usable // width
    if frames / rate > longest_s:
        raise BadAudio(f"{path.name} claims {frames / rate / 3600:.1f} hours; the longest recording is {longest_s / 3600:.0f}.")  # fmt: skip  # noqa: E501
    return Sound(path, rate, channels, frames, offset, tuple(repairs))


def _chunks(file: IO[bytes], name: str, size: int) -> tuple[int, int, int, int]:
    """Sample rate, channels, where the sound begins, and the length the header gives it."""
    form: tuple[int, int] | None = None
    at = 12
    while at + 8 <= min(size, _HEADER_ROOM):
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind == b"fmt ":
            form = _format(file.read(min(length, 40)), name)
        elif kind == b"data":
            if form is None:
                raise BadAudio(f"{name} does not say what its sound is.")
            return *form, at + 8, length
        at += 8 + length + length % 2
    raise BadAudio(f"{name} has a header but no sound.")


def _format(data: bytes, name: str) -> tuple[int, int]:
    if len(data) < 16:
        raise BadAudio(f"{name} does not say what its sound is.")
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", data[:16])
    if code == 0xFFFE and len(data) >= 26:
        code = struct.unpack("<H", data[24:26])[0]
    if code != 1 or bits != 16:
        raise BadAudio(f"{name} is not 16-bit PCM (format {code}, {bits} bits).")
    if not 1 <= channels <= 8:
        raise BadAudio(f"{name} claims {channels} channels.")
    if rate not in _RATES:
        raise BadAudio(f"{name} claims {rate} samples a second.")
    return rate, channels


def _is_chunk(file: IO[bytes], at: int, size: int) -> bool:
    """True when another well-formed chunk (a title, a list) follows, so that the header's length is right."""
    file.seek(at)
    data = file.read(8)
    if len(data) < 8:
        return True  # a padding byte
    kind, length = struct.unpack("<4sI", data)
    return bool(kind.isalnum() or kind.strip().isalnum()) and kind.isascii() and at + 8 + length <= size


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        yield file


def _sync_folder(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
