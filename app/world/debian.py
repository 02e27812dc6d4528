"""Fetches Debian packages from the mirror this host already uses, without root and without touching the host.

Decides which of the host's sources is the Debian mirror and lets a private apt (own state, own cache, empty status)
download a closed set of packages, signed by the host's Debian keyring. Does not decide what is fetched nor where it
is kept. Invariant: no host name stands here; everything about the mirror comes from the host's own apt.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from shutil import which

Progress = Callable[[str, float], None]
"""What is being done, and how far it is (0 to 1)."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_TARGET = "$(REPO_URI)|$(RELEASE)|$(ORIGIN)"
_RELEASE_URI = re.compile(r"^'(?P<uri>[^']+)/dists/(?P<suite>[^']+)/InRelease'")


class FetchError(Exception):
    """A program could not be fetched; the text says why and what the operator can do."""


@dataclass(frozen=True, slots=True)
class Source:
    """One of the host's apt sources: where it is, which suite, and whose it says it is ('' when not known yet)."""

    uri: str
    suite: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    sha256: str


def mirrors(sources: Sequence[Source], codename: str) -> list[str]:
    """The mirrors that may be Debian's main archive, likeliest first: the archive's own suite before strangers'."""

    def rank(source: Source) -> tuple[bool, bool]:
        return source.origin != "Debian", source.suite != codename

    fitting = [s for s in sources if not s.suite.endswith("-security") and s.origin in ("Debian", "")]
    return list(dict.fromkeys(source.uri.rstrip("/") for source in sorted(fitting, key=rank)))


def security(sources: Sequence[Source], codename: str) -> str | None:
    """The mirror of the host's security suite, if it has one."""
    return next((s.uri.rstrip("/") for s in sources if s.suite == f"{codename}-security"), None)


def host_sources(work: Path) -> list[Source]:
    """What the host's apt is configured with; also in a fresh container whose lists are empty."""
    known = []
    for line in _run(["apt-get", "indextargets", "--format", _TARGET, "Created-By: Packages"]).splitlines():
        uri, suite, origin = (part if not part.startswith("$(") else "" for part in line.split("|"))
        known.append(Source(uri, suite, origin))
    if known:
        return known
    # Nothing was ever updated here: apt still tells what an update would ask for.
    lists = work / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    asked = _run(["apt-get", "update", "--print-uris", "-o", f"Dir::State::lists={lists}/"])
    found = [_RELEASE_URI.match(line) for line in asked.splitlines()]
    return [Source(match["uri"], match["suite"]) for match in found if match]


def host_codename() -> str:
    """`bookworm` and the like; '' when the host does not say."""
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return value.strip('"')
    return ""


def architecture() -> str:
    """Debian's name of this machine's architecture. Raises FetchError when it is none we can serve."""
    name = _run(["dpkg", "--print-architecture"]).strip()
    if name not in TRIPLETS:
        raise FetchError(f"there are no programs for {name} here; install Asterisk and Redis and name them in settings")
    return name


def download(packages: Sequence[str], suite: str, work: Path, progress: Progress) -> list[Path]:
    """The .deb files of `packages` and all they need, in `work`. What a broken attempt had fetched is not asked again.

    `suite` '' = the host's own. Raises FetchError.
    """
    for program in ("apt-get", "dpkg-deb", "dpkg", "setpriv"):
        if which(program) is None:
            raise FetchError(f"{program} is needed to fetch programs; install Asterisk and Redis yourself instead")
    if not KEYRING.exists():
        raise FetchError(f"{KEYRING} is needed to check what is fetched: apt-get install debian-archive-keyring")
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    codename = host_codename()
    sources = host_sources(work)
    candidates = mirrors(sources, codename)
    if not candidates:
        raise FetchError("this host's apt has no Debian mirror to fetch from; install Asterisk and Redis yourself")
    faults = []
    for mirror in candidates:
        lines = [_source(mirror, suite or codename)]
        if not suite:
            lines.append(_source(mirror, f"{codename}-updates"))
            if (guarded := security(sources, codename)) is not None:
                lines.append(_source(guarded, f"{codename}-security"))
        environment = _configure(work, lines)
        try:
            progress("asking the mirror what there is", 0.0)
            _apt(["update"], environment, progress, 0.0, 0.2)
            progress("downloading", 0.2)
            _apt(["install", "--download-only", *packages], environment, progress, 0.2, 0.8)
        except FetchError as fault:
            faults.append(str(fault))
            continue
        return sorted((work / "cache" / "archives").glob("*.deb"))
    raise FetchError(faults[0])


def unpack(files: Sequence[Path], root: Path, without: frozenset[str], progress: Progress) -> list[Package]:
    """Unpacks the .deb files into `root` and says what they were. Packages named in `without` are left out."""
    root.mkdir(parents=True, exist_ok=True)

    def one(file: Path) -> Package | None:
        name, version = _run(["dpkg-deb", "--show", "--showformat", "${Package}\n${Version}", str(file)]).split("\n")
        if name in without:
            return None
        _run(["dpkg-deb", "--extract", str(file), str(root)])
        with file.open("rb") as stream:
            return Package(name, version, hashlib.file_digest(stream, "sha256").hexdigest())

    done: list[Package] = []
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
        for count, package in enumerate(pool.map(one, files), start=1):
            progress("unpacking", 0.8 + 0.2 * count / len(files))
            if package is not None:
                done.append(package)
    return done


def _source(mirror: str, suite: str) -> str:
    return f"deb [signed-by={KEYRING}] {mirror} {suite} main"


def _configure(work: Path, sources: Sequence[str]) -> dict[str, str]:
    """Writes the private apt's configuration; returns the environment that makes apt use it and nothing else."""
    (work / "status").write_text("", encoding="ascii")
    (work / "sources.list").write_text("\n".join(sources) + "\n", encoding="utf-8")
    # Only how to reach the mirror (proxies, certificates) is taken from the host's settings.
    reach = [
        line
        for line in _run(["apt-config", "dump"]).splitlines()
        if re.match(r"Acquire::(https?|ftp|.*[Pp]roxy)", line)
    ]
    ours = [
        f'Dir::State "{work}/state";',
        f'Dir::State::status "{work}/status";',
        f'Dir::Cache "{work}/cache";',
        f'Dir::Etc::sourcelist "{work}/sources.list";',
        *(f'Dir::Etc::{part} "/dev/null";' for part in ("sourceparts", "main", "Parts", "preferences")),
        'Dir::Etc::preferencesparts "/dev/null";',
        'Acquire::Check-Valid-Until "false";',
        'Acquire::Languages "none";',
        'Acquire::Retries "3";',
        'Acquire::http::Timeout "30";',
        'APT::Install-Recommends "false";',
        'APT::Sandbox::User "";',
        'APT::Keep-Downloaded-Packages "true";',
        f'APT::Architecture "{architecture()}";',
        'APT::Architectures "";',
        f'APT::Architectures:: "{architecture()}";',
    ]
    (work / "apt.conf").write_text("\n".join(reach + ours) + "\n", encoding="utf-8")
    return {
        **os.environ,
        "APT_CONFIG": str(work / "apt.conf"),
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
    }


def _apt(arguments: Sequence[str], environment: dict[str, str], progress: Progress, start: float, end: float) -> None:
    """Runs the private apt-get; its status lines move the progress from `start` to `end`. Raises FetchError."""
    reading, writing = os.pipe()
    # apt ends with us, also when we are killed.
    command = [
        "setpriv",
        "--pdeathsig",
        "TERM",
        "--",
        "apt-get",
        "-q",
        "-y",
        "-o",
        f"APT::Status-Fd={writing}",
        *arguments,
    ]
    with subprocess.Popen(
        command,
        env=environment, pass_fds=(writing,), stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8", errors="replace") as status:
            for line in status:
                parts = line.split(":")
                if parts[0] == "dlstatus" and len(parts) > 2:
                    words = "asking the mirror what there is" if arguments[0] == "update" else "downloading"
                    progress(words, start + (end - start) * min(100.0, float(parts[2])) / 100)
        assert process.stderr is not None
        said = process.stderr.read()
    faults = [line.removeprefix("E: ") for line in said.splitlines() if line.startswith("E: ")]
    if process.returncode != 0:
        raise FetchError("the mirror did not give the packages: " + (faults[0] if faults else said.strip()[-200:]))


def _run(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    except FileNotFoundError as error:
        raise FetchError(f"{command[0]} is needed to fetch programs; install Asterisk and Redis yourself") from error
    except subprocess.CalledProcessError as error:
        raise FetchError(f"{command[0]}: {error.stderr.strip()[-300:]}") from error
