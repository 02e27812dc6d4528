"""Stops recording before the disk is full: calls go on, recording does not, and an alarm says so.

Decides by how full the disk is, with a margin between off and on again. Invariant: one AlertRaised for each time it gets
full, one AlertCleared when there is room again; the dialplan is told each change.
"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from core.clock import Clock
from core.events.orders import AlertCleared, AlertRaised
from core.events.stream import EventSink

FULL = 0.90
ROOM_AGAIN = 0.88
ALARM = "recording-disk"
Allow = Callable[[bool], Awaitable[None]]
Used = Callable[[Path], float]


def used(folder: Path) -> float:
    """The part of the disk under `folder` that is used, 0–1, of what there is for us (as `df` says it)."""
    usage = shutil.disk_usage(folder)
    return usage.used / max(1, usage.used + usage.free)


class DiskGuard:
    """`look()` now and then; `reason` is "" while there is room."""

    def __init__(
        self, folder: Path, events: EventSink, clock: Clock, allow: Allow | None, measure: Used = used
    ) -> None:
        self.reason = ""
        self._folder = folder
        self._events = events
        self._clock = clock
        self._allow = allow
        self._measure = measure

    async def look(self) -> None:
        part = self._measure(self._folder)
        if not self.reason and part >= FULL:
            self.reason = f"the disk is {part:.0%} full, recording is stopped"
            self._events.emit(
                AlertRaised(
                    at=self._clock.now(),
                    what=ALARM,
                    message=f"Calls go on but are not recorded: the disk is {part:.0%} full.",
                )
            )
            await self.tell()
        elif self.reason and part < ROOM_AGAIN:
            self.reason = ""
            self._events.emit(AlertCleared(at=self._clock.now(), what=ALARM))
            await self.tell()

    async def tell(self) -> None:
        """Says to the dialplan what holds now; again after each reconnection, since it may have forgotten."""
        if self._allow is not None:
            await self._allow(not self.reason)
