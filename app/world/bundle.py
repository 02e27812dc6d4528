"""Programs that are not ours: what is installed and new enough, else our own copy in the cache.

Decides which program is good enough and how it is started; `debian.py` fetches. Does not start anything.
Invariants: a bundle in the cache is whole (unpacked beside, then renamed) and never changed afterwards; two fetchers
never write the same one; nothing is installed on the host. `python -m app.world.bundle asterisk redis` fetches.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from app.world import cache as caches
from app.world.debian import TRIPLETS, FetchError, Progress, architecture, download, unpack

LIBC = frozenset({"libc6", "libc-bin", "libgcc-s1", "libc-l10n", "locales"})
FORMAT = 2  # raised when a bundle of the same packages has to be made anew


@dataclass(frozen=True, slots=True)
class Floor:
    """A program of the host that can stand in for the bundle: where, how it tells its version, and the least."""

    program: str
    paths: tuple[str, ...]
    least: tuple[int, ...]
    option: str = "--version"


@dataclass(frozen=True, slots=True)
class Recipe:
    """A set of packages. `own_loader`: from another suite than the host's, so it brings its C library and loader."""

    packages: tuple[str, ...]
    programs: Mapping[str, str]
    suite: str = ""
    own_loader: bool = False
    floors: tuple[Floor, ...] = ()
    without: frozenset[str] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)
    """What the packages' own scripts would have linked."""

    @property
    def key(self) -> str:
        return f"{self.suite or 'host'}-{FORMAT}"


RECIPES: Mapping[str, Recipe] = {
    "asterisk": Recipe(
        packages=("asterisk", "asterisk-core-sounds-en-wav"),
        programs={"asterisk": "usr/sbin/asterisk"},
        suite="sid",
        own_loader=True,
        # Older ones of the 22 branch lose all SIP to a single NOTIFY of a stranger.
        floors=(Floor("asterisk", ("/usr/sbin/asterisk", "/usr/local/sbin/asterisk"), (22, 10, 1), "-V"),),
        links={"usr/share/asterisk/sounds/en": "en_US_f_Allison"},
    ),
    "redis": Recipe(
        packages=("redis-server",),
        programs={"redis-server": "usr/bin/redis-server", "redis-cli": "usr/bin/redis-cli"},
        floors=(Floor("redis-server", ("/usr/bin/redis-server", "/usr/local/bin/redis-server"), (7, 0)),),
        without=LIBC,
    ),
    "chromium": Recipe(
        packages=("chromium", "fonts-wqy-microhei", "fonts-dejavu-core"),
        programs={"chromium": "usr/lib/chromium/chromium"},
        floors=(Floor("chromium", ("/usr/lib/chromium/chromium",), (120,)),),
        without=LIBC,
    ),
    "postgres": Recipe(
        packages=("postgresql-15",),
        programs={
            "postgres": "usr/lib/postgresql/15/bin/postgres",
            "initdb": "usr/lib/postgresql/15/bin/initdb",
            "pg_ctl": "usr/lib/postgresql/15/bin/pg_ctl",
        },
        floors=tuple(
            Floor(program, (f"/usr/lib/postgresql/15/bin/{program}",), (15,))
            for program in ("postgres", "initdb", "pg_ctl")
        ),
        without=LIBC,
    ),
    "clock": Recipe(  # for drills: moves the wall clock of what is started under it
        packages=("libfaketime",),
        programs={"libfaketime": f"usr/lib/{TRIPLETS[architecture()]}/faketime/libfaketimeMT.so.1"},
        without=LIBC,
    ),
    "voices": Recipe(
        packages=("flite", "espeak-ng"),
        programs={"flite": "usr/bin/flite", "espeak-ng": "usr/bin/espeak-ng"},
        floors=(
            Floor("flite", ("/usr/bin/flite",), ()),
            Floor("espeak-ng", ("/usr/bin/espeak-ng",), (1, 50)),
        ),
        without=LIBC,
    ),
}


@dataclass(frozen=True, slots=True)
class Bundle:
    """Programs ready to be started: `[*bundle.command("asterisk"), "-f"]` with `bundle.environment` added."""

    name: str
    root: Path
    installed: bool
    versions: Mapping[str, str]
    programs: Mapping[str, Path]
    loader: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, program: str) -> list[str]:
        """The beginning of the argument list. Raises KeyError for a program that is not in the bundle."""
        return [*self.loader, str(self.programs[program])]

    def path(self, inside: str) -> Path:
        """A file or folder of the bundle (`usr/share/asterisk`); of the host when the program is installed there."""
        return self.root / inside


def ensure(name: str, cache: Path | None = None, progress: Progress | None = None, *, installed: bool = True) -> Bundle:
    """The programs of `name`: the host's when new enough (unless `installed` is off), else the cache's, else fetched.

    Blocks while fetching (about 15 s, 95 MB for Asterisk). Raises FetchError; KeyError for an unknown name.
    """
    recipe = RECIPES[name]
    if installed and (found := installed_bundle(name)) is not None:
        return found
    own = caches.folder() if cache is None else cache
    for place in caches.readable(own) if cache is None else (own,):
        if (bundle := _open(name, place)) is not None:
            return bundle
    tell = progress or (lambda _words, _share: None)
    programs = own / "programs"
    try:
        programs.mkdir(parents=True, exist_ok=True)
        _open_to_all(own, programs)
        with _alone(programs / f"{name}.lock", tell):
            if (bundle := _open(name, own)) is None:
                _fetch(name, recipe, programs, tell)
                bundle = _open(name, own)
    except OSError as error:
        raise FetchError(f"{name} cannot be kept in {own}: {error.strerror}; set AFTERCALL_CACHE") from error
    if bundle is None:
        raise FetchError(f"what the mirror gave for {name} lacks {', '.join(recipe.programs)}")
    return bundle


def installed_bundle(name: str) -> Bundle | None:
    """The host's own programs, when all are there and none is below its floor."""
    programs, versions = {}, {}
    if not RECIPES[name].floors:
        return None
    for floor in RECIPES[name].floors:
        paths = [shutil.which(floor.program), *floor.paths] if floor.program != "chromium" else list(floor.paths)
        for path in paths:
            if path and (version := version_of([path], floor.option)) and version >= floor.least:
                programs[floor.program] = Path(path)
                versions[floor.program] = ".".join(map(str, version))
                break
        else:
            return None
    return Bundle(name, Path("/"), True, versions, programs)


def version_of(command: list[str], option: str, environment: Mapping[str, str] | None = None) -> tuple[int, ...] | None:
    """The first dotted number a program says about itself; None when it cannot be asked."""
    try:
        said = subprocess.run(
            [*command, option], capture_output=True, text=True, timeout=20, check=False,
            env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"(\d+(?:\.\d+)+)", said.stdout + said.stderr)
    return tuple(int(part) for part in match[1].split(".")) if match else None


def _place(name: str, programs: Path) -> Path:
    return programs / f"{name}-{RECIPES[name].key}"


def _open(name: str, cache: Path) -> Bundle | None:
    """The bundle as it lies in the cache, or None when there is none, or one made by other rules."""
    recipe = RECIPES[name]
    place = _place(name, cache / "programs")
    try:
        record = json.loads((place / "bundle.json").read_text(encoding="utf-8"))
        triplet = TRIPLETS[record["architecture"]]
        versions = {package["name"]: package["version"] for package in record["packages"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    root = place / "root"
    programs = {program: root / path for program, path in recipe.programs.items()}
    if not all(path.exists() for path in programs.values()):
        return None
    own = root / "usr/lib" / triplet
    # Some libraries stand in a folder of their own that is written into whoever needs them, as a path of the host.
    folders = [own, own / "pulseaudio", root / "lib" / triplet, root / "usr/lib", root / "usr/lib/chromium"]
    libraries = ":".join(str(folder) for folder in folders if folder.is_dir())
    if recipe.own_loader:
        loader = next((root / "usr/lib" / triplet).glob("ld-linux-*.so.*"), None)
        if loader is None:
            return None
        prefix = (str(loader), "--inhibit-cache", "--library-path", libraries)
        return Bundle(name, root, False, versions, programs, prefix)
    environment = {"LD_LIBRARY_PATH": libraries}
    if (place / "fonts.conf").exists():
        environment["FONTCONFIG_FILE"] = str(place / "fonts.conf")
    if (root / "usr/lib" / triplet / "espeak-ng-data").is_dir():
        environment["ESPEAK_DATA_PATH"] = str(root / "usr/lib" / triplet)
    return Bundle(name, root, False, versions, programs, (), environment)


def _fetch(name: str, recipe: Recipe, programs: Path, progress: Progress) -> None:
    """Downloads beside, unpacks beside, renames. What was downloaded by a broken attempt is used again."""
    work = programs / f".{name}.work"
    place = _place(name, programs)
    for left in (work / "new", place):
        shutil.rmtree(left, ignore_errors=True)
    files = download(recipe.packages, recipe.suite, work, progress)
    packages = unpack(files, work / "new" / "root", recipe.without, progress)
    for link, target in recipe.links.items():
        (work / "new/root" / link).symlink_to(target)
    record = {
        "name": name,
        "suite": recipe.suite or "host",
        "architecture": architecture(),
        "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "packages": [asdict(package) for package in packages],
    }
    (work / "new" / "bundle.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if (fonts := place / "root/usr/share/fonts") and (work / "new/root/usr/share/fonts").is_dir():
        (work / "new" / "fonts.conf").write_text(_FONTS.format(fonts=fonts), encoding="utf-8")
    _open_to_all(work / "new", *(path for path in (work / "new").rglob("*") if not path.is_symlink()))
    os.rename(work / "new", place)
    shutil.rmtree(work, ignore_errors=True)
    progress("ready", 1.0)


_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><dir>/usr/share/fonts</dir><cachedir prefix="xdg">fontconfig</cachedir></fontconfig>
"""


def _open_to_all(*paths: Path) -> None:
    """Lets every user of the machine read (and run) what was fetched, whatever our umask is."""
    for path in paths:
        mode = path.stat().st_mode & 0o7777
        wanted = mode | 0o444 | (0o111 if path.is_dir() or mode & 0o100 else 0)
        if wanted != mode:
            path.chmod(wanted)


@contextmanager
def _alone(lock: Path, progress: Progress) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that is fetching the same", 0.0)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Fetches what is named; one line each. Exit 1 when something could not be had."""
    names = [name for name in arguments if not name.startswith("--")]
    if unknown := [name for name in names if name not in RECIPES] or not names:
        print(f"name some of: {', '.join(RECIPES)}" + (f" (not {unknown})" if names else ""), file=sys.stderr)  # noqa: T201
        return 2
    for name in names:
        try:
            bundle = ensure(name, installed="--own" not in arguments)
        except FetchError as error:
            print(f"{name}: {error}", file=sys.stderr)  # noqa: T201
            return 1
        versions = {program: bundle.versions.get(program, "") for program in bundle.programs}
        print(f"{name}: {'installed' if bundle.installed else bundle.root} {versions}", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
