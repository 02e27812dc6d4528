"""systemd units for a real installation: one for the whole on one box, or one for each role.

Decides paths, the user and which rights are kept; what the units say besides stands in `app/systemd`. Invariants: a unit
never runs as root, may write to the home and the cache alone, and never kills a call to restart a launcher.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from app.world import cache
from app.world.planner import SOCKET_PATH_MAX
from app.world.privilege import identity_for
from core.errors import AftercallError
from core.settings import Settings, load_settings

TEMPLATES = Path(__file__).resolve().parents[1] / "systemd"
CODE = Path(__file__).resolve().parents[2]
NAMES = ("aftercall.service", "aftercall@.service", "aftercall.target")
PLACE = re.compile(r"@([A-Z_]+)@")
IN_HOMES = ("/home", "/root", "/run/user")


class UnitsError(AftercallError):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("world:units", message, hint=hint)


def render_units(home: Path, *, user: str = "", settings: Settings | None = None) -> dict[str, str]:
    """The units by file name. Raises UnitsError for a home that cannot be named in a unit."""
    settings = settings or load_settings(home / "aftercall.toml")
    program = Path(sys.executable).with_name("aftercall")
    paths = (home, program, CODE)
    for path in paths:
        if re.search(r"[\s%\"'\\]", str(path)):
            raise UnitsError(
                f"'{path}' cannot stand in a unit.", "Use a path without spaces, quotes and percent signs."
            )
    ports = [settings.http.port, settings.sip.port]
    socket = home / "asterisk" / "run" / "asterisk.ctl"
    values = {
        "HOME": str(home),
        "CACHE": str(cache.MACHINE),
        "CACHE_NAME": cache.MACHINE.name,  # systemd makes it, for this user, under /var/cache
        "CODE": str(CODE),
        "PROGRAM": str(program),
        "USER": user or _owner(home),
        "PROTECT_HOME": "read-only" if any(str(path).startswith(IN_HOMES) for path in paths) else "yes",
        # A socket whose path would be too long lies in /tmp, where the next launcher must find it.
        "PRIVATE_TMP": "no" if len(str(socket).encode()) > SOCKET_PATH_MAX else "yes",
        "CAPABILITIES": "CAP_NET_BIND_SERVICE" if any(0 < port < 1024 for port in ports) else "",
    }
    if values["USER"] in ("root", "0"):
        raise UnitsError("Aftercall does not run as root.", "Name a user: --user aftercall.")
    values["HARDENING"] = _fill((TEMPLATES / "hardening.conf").read_text(encoding="utf-8"), values)
    return {name: _fill((TEMPLATES / name).read_text(encoding="utf-8"), values) for name in NAMES}


def install(units: dict[str, str], folder: Path) -> list[Path]:
    """Writes the units into `folder`. Raises UnitsError when it cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for name, text in units.items():
            (folder / name).write_text(text, encoding="utf-8")
            files.append(folder / name)
        return files
    except OSError as error:
        raise UnitsError(f"{folder} cannot be written to: {(error.strerror or 'unusable').lower()}.") from error


def _owner(home: Path) -> str:
    """The home's owner; without a home, or when that is root, `aftercall`."""
    identity = identity_for(home) if home.exists() else None
    if identity is not None:
        return identity.name
    if home.exists() and home.stat().st_uid != 0:
        return home.owner()
    return "aftercall"


def _fill(template: str, values: dict[str, str]) -> str:
    # Upper-case names between two @; systemd's own (@system-service) are left alone.
    return PLACE.sub(lambda found: values[found[1]], template)
