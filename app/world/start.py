"""`aftercall run`: from a home folder and nothing else to a world that stands, and back.

Decides the order of preparation: settings, home, lock, programs, rights; then the launcher takes over. Invariants: two
launchers never run on one home; nothing of ours runs as root longer than it takes to prepare.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import resource
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from app.roles import TELEPHONY, process_name
from app.world import cache, privilege
from app.world.accounts import lets_in
from app.world.bundle import RECIPES, Bundle, ensure, version_of
from app.world.debian import FetchError
from app.world.debian import Progress as Tell
from app.world.guest import Guest
from app.world.launcher import Launcher, Programs, StartFailed
from app.world.plan import WorldPlan, read_plan
from app.world.planner import Options
from core.settings import Settings, SettingsError, load_settings

FILES = 65536


def run(home: Path, options: Options, *, programs: Programs | None = None) -> int:
    """Runs the world in `home` until it is told to stop. Raises AftercallError with one clear line when it cannot."""
    console = Console(highlight=False, soft_wrap=True)
    home = home.expanduser().absolute()
    settings = load_settings(home / "aftercall.toml")
    if options.roles is not None and TELEPHONY not in options.roles:
        return _run_guest(home, settings, options.roles, console)
    _make_home(home)
    with _alone(home):
        (home / "run" / "world.json").unlink(missing_ok=True)  # whoever waits for it waits for this start
        if programs is None:
            programs = find_programs(settings, console)
        _allow_files()
        _give_up_root(home, settings, options, programs, console)
        launcher = Launcher(home, settings, options, programs, lambda line: console.print(line, markup=False))
        return asyncio.run(launcher.run(lambda plan: _tell(console, plan)))


def _run_guest(home: Path, settings: Settings, roles: frozenset[str], console: Console) -> int:
    """Some roles alone, on the home of a world that another launcher brings about (the one with telephony)."""
    read_plan(home)  # raises NoPlan before anything is done
    with _alone(home, f"launcher-{process_name(roles)}.lock"):
        _allow_files()
        identity = privilege.identity_for(home)
        if identity is not None:
            privilege.step_down(identity, [privilege.CAP_DAC_READ_SEARCH])
        guest = Guest(home, settings, roles, lambda line: console.print(line, markup=False))
        return asyncio.run(guest.run())


def ask_to_roll(home: Path) -> int:
    """Asks the launcher of `home` to restart its controllers in turn. Raises StartFailed when none runs."""
    return _ask(home, signal.SIGUSR1)


def ask_to_rotate(home: Path, *, within_s: float = 15.0) -> None:
    """Has the launcher of `home` make new AMI passwords; returns when the switch takes the new ones and no old one. Raises
    StartFailed when none runs, or when it has not come about in time."""
    old = read_plan(home).ami
    _ask(home, signal.SIGUSR2)

    async def come_about() -> None:
        async with asyncio.timeout(within_s):
            while True:
                plan = read_plan(home)
                new = plan.ami.controller != old.controller and await lets_in(plan, plan.ami.doctor)
                if new and not await lets_in(plan, old.doctor):
                    return
                await asyncio.sleep(0.1)

    try:
        asyncio.run(come_about())
    except TimeoutError:
        raise StartFailed(
            f"the new passwords were not in force after {within_s:g} s; what it says stands in its output"
        ) from None


def _ask(home: Path, number: signal.Signals) -> int:
    try:
        with (home / "run" / "launcher.lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.kill(int(lock.read()), number)
                return 0
    except (OSError, ValueError) as error:
        raise StartFailed(f"the launcher of {home} cannot be asked: {error}") from error
    raise StartFailed(f"nothing runs in {home}; `aftercall run` starts it")


def find_programs(settings: Settings, console: Console) -> Programs:
    """What is configured, else installed and new enough, else from the cache, else fetched. Raises StartFailed."""
    names = ["asterisk"] if settings.redis.url else ["asterisk", "redis"]
    if settings.asterisk.binary:
        names.remove("asterisk")
    found: dict[str, Bundle] = {}
    with _Fetching(console) as fetching, ThreadPoolExecutor(max(1, len(names))) as pool:
        waiting = {name: pool.submit(ensure, name, None, fetching.tell(name)) for name in names}
        for name, future in waiting.items():
            try:
                found[name] = future.result()
            except FetchError as error:
                raise StartFailed(f"{name}: {error}") from error
    if settings.asterisk.binary:
        found["asterisk"] = _configured(settings.asterisk.binary)
    return Programs(found["asterisk"], found.get("redis"))


def _configured(binary: str) -> Bundle:
    floor = RECIPES["asterisk"].floors[0]
    version = version_of([binary], "-V")
    if version is None or version < floor.least:
        least = ".".join(map(str, floor.least))
        raise SettingsError([f"asterisk.binary: {binary} is not an Asterisk of {least} or newer"])
    return Bundle(
        "asterisk", Path("/"), True, {"asterisk": ".".join(map(str, version))}, {"asterisk": Path(binary)}
    )  # fmt: skip


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (home / "run").mkdir(exist_ok=True, mode=0o700)
        if home.stat().st_mode & 0o077:
            home.chmod(0o700)
    except OSError as error:
        raise StartFailed(f"{home} cannot be used: {error.strerror}") from error


@contextmanager
def _alone(home: Path, name: str = "launcher.lock") -> Iterator[None]:
    with os.fdopen(os.open(home / "run" / name, os.O_RDWR | os.O_CREAT, 0o600), "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise StartFailed(f"{home} is in use by another launcher (pid {lock.read().strip()})") from error
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _allow_files() -> None:
    """As many open files as we may have: every call needs several, and children inherit what we have."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for soft, most in ((FILES, max(FILES, hard)), (FILES if hard < 0 else min(FILES, hard), hard)):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
            return


def _give_up_root(home: Path, settings: Settings, options: Options, programs: Programs, console: Console) -> None:
    identity = privilege.identity_for(home)
    if identity is None:
        return
    ports = [settings.http.port, settings.sip.port, options.http_port, options.sip_port]
    needed = [*privilege.program_paths(), home.parent, programs.asterisk.programs["asterisk"], cache.folder()]
    if settings.recordings.folder is not None and not settings.recordings.folder.exists():
        settings.recordings.folder.mkdir(parents=True, mode=0o700)
        privilege.hand_over([settings.recordings.folder], identity)
    if home.stat().st_uid == 0:
        privilege.hand_over([home], identity)
    keep = []
    closed = [path for path in privilege.unreachable(needed, identity) if path.exists()]
    if closed:
        keep.append(privilege.CAP_DAC_READ_SEARCH)
        console.print(f"{identity.name} may not enter {closed[0]}: the right to read is kept", markup=False)
    if any(0 < port < 1024 for port in ports):
        keep.append(privilege.CAP_NET_BIND_SERVICE)
    os.environ["AFTERCALL_CACHE"] = str(cache.folder())
    os.environ["HOME"] = str(home)
    privilege.step_down(identity, keep)
    console.print(f"started as root: everything runs as {identity.name}", markup=False)


class _Fetching:
    """Shows how fetching goes: bars on a terminal, a line for each new step elsewhere, nothing when all is there."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._words: dict[str, str] = {}
        self._lock = threading.Lock()

    def tell(self, name: str) -> Tell:
        def told(words: str, share: float) -> None:
            with self._lock:
                self._show(name, words, share)

        return told

    def _show(self, name: str, words: str, share: float) -> None:
        if self._words.get(name) != words:
            self._words[name] = words
            if not self._console.is_terminal:
                self._console.print(f"{name}: {words}", markup=False)
        if not self._console.is_terminal:
            return
        if self._bars is None:
            self._bars = Progress(TextColumn("{task.description}"), BarColumn(), console=self._console, transient=True)
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=1.0)
        self._bars.update(self._tasks[name], description=f"{name}: {words}", completed=share)

    def __enter__(self) -> _Fetching:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()


def _tell(console: Console, plan: WorldPlan) -> None:
    """What a person needs now: the console's address, and how a phone gets in. Passwords only on a terminal."""
    world = plan.folders.run / "world.json"
    seen = console.is_terminal

    def secret(text: str) -> str:
        return f"password {text}" if seen else f"its password is in {world}"

    lines = [f"\nAftercall is up: {plan.http_url}   (user {plan.admin.user}, {secret(plan.admin.password)})"]
    if plan.agents:
        agent, dids = plan.agents[0], plan.dids
        lines += [
            f"  an agent's softphone: account {agent.extension}, {secret(agent.sip_password)}",
            f"  a customer's softphone: account {plan.trunk.user}, {secret(plan.trunk.password)}",
            f"  server {plan.sip}, UDP, from this machine; dial {dids.menu} for the menu, {dids.queue} for a person at "
            f"once, {dids.echo} for an echo",
        ]
    for line in (*lines, "  Ctrl-C (or SIGTERM) stops all of it."):
        console.print(line, markup=False)
