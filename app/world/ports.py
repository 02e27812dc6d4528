"""Which ports a world gets: the given ones, those of last time, the usual ones when free, else any free ones.

Does not open what listens there. Invariants: two worlds of this machine never get the same port or overlapping RTP
ranges, also when they start at the same moment (a claim is a name in the kernel that goes away with its holder).
Asterisk inherits the claim on its RTP range, so it outlives a killed launcher as Asterisk does.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterable, Iterator

from core.settings import SettingsError

CELL = 1000  # RTP ranges start at multiples of this; a range may take several cells
RTP_CELLS = (*range(10, 32), *range(34, 64))  # around 32768 and above, other programs get their ports from the kernel
QUIET = range(7400, 10000)
PATIENCE_S = 2.0


class Claims:
    """Names held by this process (and by children that inherit them) until closed or dead."""

    def __init__(self) -> None:
        self._held: dict[str, socket.socket] = {}

    def take(self, name: str) -> bool:
        """True when the name is ours now; False when somebody else on this machine holds it."""
        if name in self._held:
            return True
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0aftercall/{name}")
        except OSError:
            claim.close()
            return False
        self._held[name] = claim
        return True

    def holds(self, name: str) -> bool:
        return name in self._held

    def descriptors(self, prefix: str) -> tuple[int, ...]:
        """The claims whose name begins so, for a child to inherit."""
        return tuple(claim.fileno() for name, claim in self._held.items() if name.startswith(prefix))

    def drop(self, name: str) -> None:
        if (claim := self._held.pop(name, None)) is not None:
            claim.close()

    def close(self) -> None:
        for name in list(self._held):
            self.drop(name)


Probe = Callable[[str, int], bool]


def tcp_free(host: str, port: int) -> bool:
    return _binds(socket.SOCK_STREAM, host, port)


def tcp_and_udp_free(host: str, port: int) -> bool:
    return _binds(socket.SOCK_DGRAM, host, port) and _binds(socket.SOCK_STREAM, host, port)


def _binds(kind: socket.SocketKind, host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            # Ends of old connections do not matter to a listener; another listener still does.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def choose(
    what: str, host: str, given: int, claims: Claims, *,
    kept: int = 0, usual: int = 0, ours: bool = False, free: Probe = tcp_free,
    spare: Callable[[str], Iterator[int]] | None = None, patience_s: float = PATIENCE_S,
) -> int:  # fmt: skip
    """The port for `what`. `given` (by the operator) or nothing; `ours`: `kept` is in use by our own running Asterisk.

    Raises SettingsError when a given port is in use, or one our running Asterisk relies on has been taken away.
    """
    if ours and kept:
        if given and given != kept:
            raise SettingsError([f"{what}: calls are up on port {kept}; stop them before moving to {given}"])
        claims.take(f"port-{kept}")
        return kept
    if given:
        if not _usable(host, given, claims, free, patience_s if given == kept else 0.0):
            raise SettingsError(
                [f"{what}: port {given} is in use on {host}; choose another one, or 0 for any free one"]
            )
        return given
    if kept and _usable(host, kept, claims, free, patience_s):
        return kept
    if usual and usual != kept and _usable(host, usual, claims, free, 0.0):
        return usual
    for port in (spare or _spare_ports)(host):
        if _usable(host, port, claims, free, 0.0):
            return port
    raise SettingsError([f"{what}: there is no free port on {host}"])


def _usable(host: str, port: int, claims: Claims, free: Probe, patience_s: float) -> bool:
    """Whether it is free and now claimed; a port of last time gets a moment for its old holder to die."""
    deadline = time.monotonic() + patience_s
    while True:
        if claims.take(f"port-{port}"):
            if free(host, port):
                return True
            claims.drop(f"port-{port}")
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)


def _spare_ports(host: str) -> Iterator[int]:
    """Ports below those the kernel gives to outgoing connections (one of these would keep us from coming back), from a
    random one on, so that worlds that start together seldom try the same; then whatever the kernel has."""
    first = random.randrange(len(QUIET))  # noqa: S311 (no secret)
    yield from (*QUIET[first:], *QUIET[:first])
    for _ in range(100):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
            port = int(probe.getsockname()[1])
        yield port


def choose_rtp(
    given: int, count: int, claims: Claims, *, kept: int = 0, ours: bool = False, cells: Iterable[int] = RTP_CELLS
) -> tuple[int, int]:
    """The first and last UDP port for sound: `count` ports no other world has. Raises SettingsError."""
    start = kept if ours and kept else given
    if start:
        names = _cells(start, count)
        if not _take_all(names, claims) and not ours:
            raise SettingsError([f"sip.rtp_start: ports from {start} on belong to another world on this machine"])
        return start, start + count - 1
    for start in ([kept] if kept else []) + [cell * CELL for cell in cells]:
        if start + count - 1 <= 65535 and _take_all(_cells(start, count), claims):
            return start, start + count - 1
    raise SettingsError([f"sip.rtp_ports: there is no room for {count} more ports; ask for fewer or stop a world"])


def _cells(start: int, count: int) -> list[str]:
    return [f"rtp-{cell}" for cell in range(start // CELL, (start + count - 1) // CELL + 1)]


def _take_all(names: list[str], claims: Claims) -> bool:
    taken: list[str] = []
    for name in names:
        if claims.holds(name):
            continue
        if not claims.take(name):
            for back in taken:
                claims.drop(back)
            return False
        taken.append(name)
    return True
