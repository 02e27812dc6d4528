"""Processes that may not be our children: who they are, whether they still live, how to wait for their end.

A pid alone names nobody: it is used again. A process is its pid, its start time and the boot it started in.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.world.plan import write_private


@dataclass(frozen=True, slots=True)
class ProcessId:
    """`started` in clock ticks since boot, as the kernel tells it."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """The living process with this pid; None when there is none (or only its remains)."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        fields = text.rpartition(")")[2].split()
        if fields[0] in "ZX":
            return None
        return cls(pid, int(fields[19]), boot_id())

    def alive(self) -> bool:
        return ProcessId.of(self.pid) == self

    @staticmethod
    def holder_is_dead(name: str) -> bool:
        """Whether the kernel proves that the holder of this name (`holder_name`) lives no more; False when it cannot."""
        try:
            machine, boot, pid, started = name.split("/")
            process = ProcessId(int(pid), int(started), boot)
        except ValueError:
            return False
        return machine == machine_name() and not process.alive()

    def signal(self, number: int) -> bool:
        """Sends the signal to this very process; False when it is no more."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive():
                return False
            signal.pidfd_send_signal(descriptor, number)
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)

    async def ended(self, timeout_s: float | None = None) -> bool:
        """Waits for its end; False when it still lives after `timeout_s`."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        try:
            if not self.alive():
                return True
            loop.add_reader(descriptor, news.set)
            async with asyncio.timeout(timeout_s):
                await news.wait()
            return True
        except TimeoutError:
            return not self.alive()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)


def machine_name() -> str:
    """What two processes share that can see each other's pids: the machine and its space of process numbers."""
    return f"{os.uname().nodename}:{os.stat('/proc/self/ns/pid').st_ino}"


def holder_name() -> str:
    """This process's name wherever it holds something: others of this machine can see by it whether it lives."""
    me = ProcessId.of(os.getpid())
    assert me is not None
    return f"{machine_name()}/{me.boot}/{me.pid}/{me.started}"


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def remember(file: Path, processes: dict[str, ProcessId]) -> None:
    """Writes down who runs, for whoever comes after us."""
    write_private(file, json.dumps({role: asdict(process) for role, process in processes.items()}))


def remembered(file: Path) -> dict[str, ProcessId]:
    """Who was written down and still lives."""
    try:
        known: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        processes = {role: ProcessId(**facts) for role, facts in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {role: process for role, process in processes.items() if process.alive()}
