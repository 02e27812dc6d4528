"""Where downloaded programs are kept, shared by every world of this machine.

Does not decide what is in them. Own folder first; what root has fetched for the machine is used by everybody else
when their own folder is empty, so that a second user needs no download. `$AFTERCALL_CACHE` stands alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

MACHINE = Path("/var/cache/aftercall")


def folder(environ: Mapping[str, str] | None = None, *, uid: int | None = None) -> Path:
    """The cache this user writes to; it need not exist yet."""
    environ = os.environ if environ is None else environ
    if environ.get("AFTERCALL_CACHE"):
        return Path(environ["AFTERCALL_CACHE"]).absolute()
    if (os.getuid() if uid is None else uid) == 0:
        return MACHINE
    base = environ.get("XDG_CACHE_HOME") or (Path(environ["HOME"]) / ".cache" if environ.get("HOME") else "")
    return Path(base) / "aftercall" if base else Path("/tmp") / f"aftercall-cache-{os.getuid()}"  # noqa: S108


def readable(own: Path, environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Where to look before fetching: `own`, then the machine's, unless the environment named one cache only."""
    environ = os.environ if environ is None else environ
    if environ.get("AFTERCALL_CACHE") or own == MACHINE:
        return (own,)
    return own, MACHINE
