"""Takes a model's files out of an archive or a folder, and nothing else.

Decides what is refused: links, devices, names that leave the folder, archives that swell beyond reason. Does not know
what a model looks like. Invariant: nothing is written outside `target`; files are 0644, folders 0755.
"""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from core.errors import BadInput

MOST_BYTES = 8 * 1024**3
MOST_FILES = 5000


class BadArchive(BadInput):
    """The archive cannot be used; one sentence says why."""

    def __init__(self, message: str) -> None:
        super().__init__("recordings:bad-archive", message)


@dataclass(frozen=True)
class _Entry:
    name: str
    size: int
    kind: str  # file, folder, other
    token: object


def unpack(source: Path, target: Path, *, inside: str = "") -> None:
    """Writes the files under `inside` (or, without it, under the archive's single top folder) to the new folder
    `target`. Raises BadArchive; `target` may then hold a part and is for the caller to remove."""
    with _opened(source) as (entries, read):
        kept = _chosen(entries, inside, source.name)
        target.mkdir(parents=True)
        target.chmod(0o755)
        for relative, entry in kept:
            place = target / relative
            for folder in reversed(place.relative_to(target).parents[:-1]):
                (target / folder).mkdir(exist_ok=True)
                (target / folder).chmod(0o755)
            with read(entry) as data, open(place, "xb") as out:
                _copy(data, out, entry)
            place.chmod(0o644)


def _chosen(entries: list[_Entry], inside: str, archive: str) -> list[tuple[PurePosixPath, _Entry]]:
    if len(entries) > MOST_FILES:
        raise BadArchive(f"{archive} holds {len(entries)} entries; a model has some dozens.")
    if not inside:
        for entry in entries:
            _proper(entry, archive)
        tops = {PurePosixPath(e.name).parts[0] for e in entries if e.kind == "file" and e.name}
        wrapped = len(tops) == 1 and all(len(PurePosixPath(e.name).parts) > 1 for e in entries if e.kind == "file")
        inside = tops.pop() if wrapped else ""
    kept: list[tuple[PurePosixPath, _Entry]] = []
    prefix = PurePosixPath(inside)
    for entry in entries:
        path = PurePosixPath(entry.name)
        if inside and prefix not in path.parents:
            continue
        _proper(entry, archive)
        if entry.kind == "file":
            kept.append((path.relative_to(prefix) if inside else path, entry))
    if not kept:
        raise BadArchive(f"{archive} holds no files{f' under {inside}' if inside else ''}.")
    if sum(entry.size for _, entry in kept) > MOST_BYTES:
        raise BadArchive(f"{archive} would unpack to more than {MOST_BYTES // 1024**3} GiB.")
    return kept


def _proper(entry: _Entry, archive: str) -> None:
    parts = PurePosixPath(entry.name).parts
    if entry.name.startswith("/") or "\\" in entry.name or "\0" in entry.name or ".." in parts:
        raise BadArchive(f"{archive} holds a name that leaves its folder: {entry.name[:80]!r}.")
    if entry.kind == "other":
        raise BadArchive(f"{archive} holds a link or a device: {entry.name[:80]!r}.")


def _copy(data: IO[bytes], out: IO[bytes], entry: _Entry) -> None:
    """Never writes more than the entry's own header promised: a lying header is an archive bomb."""
    left = entry.size
    while block := data.read(1024 * 1024):
        left -= len(block)
        if left < 0:
            raise BadArchive(f"{entry.name[:80]!r} is larger than it says.")
        out.write(block)
    if left:
        raise BadArchive(f"{entry.name[:80]!r} is shorter than it says.")


class _Read:
    """Opens one entry of whatever was opened."""

    def __init__(self, opener: object) -> None:
        self._opener = opener

    def __call__(self, entry: _Entry) -> IO[bytes]:
        opener = self._opener
        if isinstance(opener, zipfile.ZipFile):
            assert isinstance(entry.token, zipfile.ZipInfo)
            return opener.open(entry.token)
        if isinstance(opener, tarfile.TarFile):
            assert isinstance(entry.token, tarfile.TarInfo)
            data = opener.extractfile(entry.token)
            assert data is not None
            return data
        assert isinstance(opener, Path)
        return os.fdopen(os.open(opener / entry.name, os.O_RDONLY | os.O_NOFOLLOW), "rb")


@contextmanager
def _opened(source: Path) -> Iterator[tuple[list[_Entry], _Read]]:
    if source.is_dir():
        yield _folder_entries(source), _Read(source)
    elif zipfile.is_zipfile(source):
        try:
            with zipfile.ZipFile(source) as archive:
                yield [_zip_entry(info) for info in archive.infolist()], _Read(archive)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise BadArchive(f"{source.name} is a damaged zip: {error}.") from error
    else:
        try:
            with tarfile.open(source) as tar:
                yield [_tar_entry(info) for info in tar], _Read(tar)
        except (tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError) as error:
            raise BadArchive(f"{source.name} is neither a zip nor a tar archive, or it is damaged.") from error


def _folder_entries(source: Path) -> list[_Entry]:
    entries = []
    for path in sorted(source.rglob("*")):
        facts = path.lstat()
        kind = "folder" if stat.S_ISDIR(facts.st_mode) else "file" if stat.S_ISREG(facts.st_mode) else "other"
        entries.append(_Entry(path.relative_to(source).as_posix(), facts.st_size, kind, path))
    return entries


def _zip_entry(info: zipfile.ZipInfo) -> _Entry:
    mode = info.external_attr >> 16
    odd = bool(stat.S_IFMT(mode)) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
    return _Entry(info.filename, info.file_size, "other" if odd else "folder" if info.is_dir() else "file", info)


def _tar_entry(info: tarfile.TarInfo) -> _Entry:
    return _Entry(info.name, info.size, "file" if info.isreg() else "folder" if info.isdir() else "other", info)
