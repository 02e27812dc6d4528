"""Processor time of a process, all its threads, from the kernel's own account (nanoseconds, not clock ticks)."""

from __future__ import annotations

from pathlib import Path


def processor_s(pid: int) -> float:
    """Seconds of processor time the process's living threads have used. Raises FileNotFoundError when it is gone."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((thread / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue  # it ended meanwhile
    return total / 1e9
