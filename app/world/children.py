"""One supervised child: started, watched, started again when it dies, stopped when we stop.

Does not decide what is run. Invariants: a child has a session of its own, so that Ctrl-C reaches only us, and dies with
us (the kernel sees to it); after `stop` it is gone; restarts are spaced out, so that a child which cannot live costs
nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Protocol

from app.world.process import ProcessId

BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
CALM_S = 30.0  # one that lived so long starts from the first backoff again
LOG_MOST = 20_000_000

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """`stop_s`: how long it may take to end by itself after `stop_signal`. `outlives_us`: it is left alone when we are killed,
    to be adopted by the next launcher. `inherits`: descriptors it holds for us."""

    role: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    stop_s: float = 3.0
    outlives_us: bool = False
    inherits: tuple[int, ...] = ()
    stop_signal: int = signal.SIGTERM


class Running(Protocol):
    """What we need of a living process; asyncio's own have it."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, signal: int) -> None: ...
    async def wait(self) -> int: ...


class Adopted:
    """A process somebody else started, with the same handles; how it ended is not known (-1)."""

    def __init__(self, process: ProcessId) -> None:
        self.process = process
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    def send_signal(self, signal: int) -> None:
        self.process.signal(signal)

    async def wait(self) -> int:
        await self.process.ended()
        self.returncode = -1
        return -1


class Child:
    """`run()` keeps it alive until it is stopped; `started` is told of each life, before the first too.

    `adopted`: it runs already. `before_start` prepares each new life.
    """

    def __init__(
        self, spec: ChildSpec, report: Report, started: Callable[[str, int], None], *,
        before_start: Callable[[], None] = lambda: None, adopted: ProcessId | None = None,
    ) -> None:  # fmt: skip
        self.spec = spec
        self.lives = 0
        self.process: Running | None = None
        self.stopping = False
        self._report = report
        self._started = started
        self._before_start = before_start
        self._adopted = adopted
        self._wake = asyncio.Event()
        self._born = asyncio.Event()

    @property
    def pid(self) -> int:
        """0 while it does not run."""
        return self.process.pid if self.process is not None and self.process.returncode is None else 0

    async def run(self) -> None:
        tries = 0
        loop = asyncio.get_running_loop()
        while not self.stopping:
            begun = loop.time()
            if self._adopted is not None:
                self.process, self._adopted = Adopted(self._adopted), None
            else:
                self._before_start()
                self.process = await self._start()
            self.lives += 1
            self._born.set()
            if self.stopping:  # while it was being started
                self.kill()
            self._started(self.spec.role, self.process.pid)
            status = await self.process.wait()
            if self.stopping:
                return
            tries = 0 if loop.time() - begun > CALM_S else tries
            pause = BACKOFF_S[min(tries, len(BACKOFF_S) - 1)]
            tries += 1
            self._report(f"{self.spec.role} ended ({_how(status)}); starting it again in {pause:g} s")
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def lived(self, times: int) -> None:
        """Returns when it has been started so often."""
        while self.lives < times:
            self._born.clear()
            await self._born.wait()

    async def _start(self) -> Running:
        command = self.spec.command if self.spec.outlives_us else dies_with_us(self.spec.command)
        with open_log(self.spec.log) as log:
            return await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env={**_inherited(), **self.spec.environment}, cwd=self.spec.folder, start_new_session=True,
                pass_fds=self.spec.inherits,
            )  # fmt: skip

    def kill(self) -> None:
        """SIGKILL: it is frozen, or late. `run` starts it again."""
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """To the living process; nothing happens when there is none."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def stop(self) -> None:
        """Ends it for good: asked first, killed when it does not listen."""
        self.stopping = True
        self._wake.set()
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(self.spec.stop_signal)
        try:
            async with asyncio.timeout(self.spec.stop_s):
                await process.wait()
        except TimeoutError:
            self._report(f"{self.spec.role} did not end by itself; killed")
            self.kill()
            await process.wait()

    def last_words(self, lines: int = 6) -> str:
        """The end of its log."""
        try:
            with self.spec.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 4000))
                return "\n".join(log.read().decode("utf-8", "replace").rstrip().splitlines()[-lines:])
        except OSError:
            return ""


def _inherited() -> dict[str, str]:
    """Our environment, but for what is said to us alone: systemd listens to the launcher and to nobody under it."""
    return {
        key: value for key, value in os.environ.items() if key not in ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")
    }


def dies_with_us(command: Sequence[str]) -> list[str]:
    """The command, killed by the kernel when this process ends in whatever way."""
    setpriv = which("setpriv") or "/usr/bin/setpriv"
    return [setpriv, "--pdeathsig", "KILL", "--", *command]


@contextlib.contextmanager
def open_log(file: Path) -> Iterator[int]:
    """The child's log, appended to, for the owner only; a big one is put aside first."""
    with contextlib.suppress(FileNotFoundError):
        if file.stat().st_size > LOG_MOST:
            file.replace(file.with_name(file.name + ".1"))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sweep(processes: Mapping[str, ProcessId], report: Report) -> None:
    """Kills what a launcher before us left behind (stopped processes outlive their parent's end)."""
    for role, process in processes.items():
        if process.signal(signal.SIGKILL):
            report(f"{role} (pid {process.pid}) was left over; killed")


def _how(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"exit status {status}"
