"""Gives up root: whoever starts us as root gets a world that runs as an ordinary user.

Decides which user, hands the home over, and steps down for good. Does not start anything. Invariants: after `step_down`
neither we nor any child can become root again; what is kept of root's rights is at most reading (CAP_DAC_READ_SEARCH,
when the program or the home lies below a folder that user cannot enter) and ports below 1024; both are told.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CAP_DAC_READ_SEARCH = 2
CAP_NET_BIND_SERVICE = 10
_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 4, 8, 38, 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True, slots=True)
class Identity:
    uid: int
    gid: int
    name: str


def identity_for(home: Path) -> Identity | None:
    """Who a world in `home` runs as when root starts it: the home's owner, else `aftercall`, else `nobody`.

    None when we are not root: then we stay who we are.
    """
    if os.getuid() != 0:
        return None
    names = ["aftercall", "nobody"]
    if home.exists() and (owner := home.stat().st_uid) != 0:
        try:
            names.insert(0, pwd.getpwuid(owner).pw_name)
        except KeyError:
            return Identity(owner, home.stat().st_gid, str(owner))
    for name in names:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Identity(user.pw_uid, user.pw_gid, name)
    return Identity(65534, 65534, "nobody")


def unreachable(paths: Iterable[Path], identity: Identity) -> list[Path]:
    """The folders among the paths' parents, and the paths, that this user may not enter or read; each once."""
    closed: dict[Path, None] = {}
    for path in paths:
        real = path.resolve()
        for place in (*reversed(real.parents), real):
            try:
                facts = place.stat()
            except OSError:
                break
            wanted = 0o1 if place != real else 0o5 if stat.S_ISDIR(facts.st_mode) else 0o4
            shift = 6 if facts.st_uid == identity.uid else 3 if facts.st_gid == identity.gid else 0
            if (facts.st_mode >> shift) & wanted != wanted:
                closed[place] = None
    return list(closed)


def program_paths() -> list[Path]:
    """What our children need to read to be the same program as we are."""
    here = Path(__file__).resolve()
    return [Path(sys.executable), Path(os.__file__), Path(sys.prefix), here, here.parents[2]]


def hand_over(paths: Iterable[Path], identity: Identity) -> None:
    """Makes the user the owner of these folders and of all that is in them; links are not followed."""
    for path in paths:
        for folder, names, files in os.walk(path):
            for place in (folder, *(os.path.join(folder, name) for name in (*names, *files))):
                facts = os.lstat(place)
                # A file with a second name elsewhere might be somebody else's.
                if stat.S_ISREG(facts.st_mode) and facts.st_nlink > 1:
                    continue
                if (facts.st_uid, facts.st_gid) != (identity.uid, identity.gid):
                    os.chown(place, identity.uid, identity.gid, follow_symlinks=False)


def step_down(identity: Identity, keep: Iterable[int] = ()) -> None:
    """Becomes the user for good, in this process and all its children, keeping only the capabilities in `keep`."""
    kept = tuple(keep)
    libc = ctypes.CDLL(None, use_errno=True)
    if kept:
        _call(libc, "prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)
    if kept:
        bits = sum(1 << capability for capability in kept)
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        data = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
        _call(libc, "capset", header, data)
        for capability in kept:
            _call(libc, "prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)
    _call(libc, "prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # The kernel hides the files of a process that changed its user, also from itself; ours have nothing to hide.
    _call(libc, "prctl", _PR_SET_DUMPABLE, 1, 0, 0, 0)


def _call(libc: ctypes.CDLL, name: str, *arguments: object) -> None:
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def kept_capabilities(pid: int | str = "self") -> int:
    """The effective capabilities of a process as bits; 0 = none."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0
