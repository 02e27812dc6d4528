"""Looks from outside whether Asterisk serves: a phone's question, and its console; kills what is stopped or deaf.

Decides when its silence is enough; `children.py` starts it again. A switch that answers neither way is stopped or hung
and carries nobody's voice: it is killed soon. One that is only deaf to SIP may still carry talks: it is given longer, and is
killed because nobody can call, answer or hang up any more. Invariants: a new life has its own time to come up; the
finding is written down for `GET /health` (`run/switch.json`) at each look.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from app.probe import SipProbe
from app.world.children import Child, Report
from app.world.plan import write_private
from core.settings import SupervisorSettings

LOOK_S = 1.0
ALARM_S = 4.0  # of silence; four questions in a row
STALE_S = 15.0


@dataclass(frozen=True)
class Seen:
    """What a look found. `silent_s`: how long SIP has been silent; `console`: whether the console answered (None = not asked)."""

    silent_s: float
    booted: bool
    console: bool | None = None


def verdict(seen: Seen, limits: SupervisorSettings) -> str:
    """Why it is to be killed; "" = it may live."""
    if not seen.booted:
        return "it does not come up" if seen.silent_s > limits.start_s else ""
    if seen.console is False and seen.silent_s > limits.switch_s:
        return f"it is silent for {seen.silent_s:.0f} s, by SIP and on its console"
    if seen.silent_s > limits.deaf_s:
        return f"it is deaf to SIP for {seen.silent_s:.0f} s"
    return ""


class SwitchWatch:
    """`run()` for ever. `console` says whether Asterisk's console answers."""

    def __init__(
        self, child: Child, probe: SipProbe, console: Callable[[], Awaitable[bool]], limits: SupervisorSettings,
        file: Path, say: Report,
    ) -> None:  # fmt: skip
        self._child, self._probe, self._console = child, probe, console
        self._limits, self._file, self._say = limits, file, say

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._probe.run())
            group.create_task(self._look())

    async def _look(self) -> None:
        life = self._child.lives
        while True:
            await asyncio.sleep(LOOK_S)
            if self._child.lives != life:
                life = self._child.lives
                self._probe.forget()
            seen = Seen(self._probe.silent_s, booted=self._probe.answers > 0)
            if seen.booted and seen.silent_s > self._limits.switch_s:
                seen = Seen(seen.silent_s, seen.booted, await self._console())
            if self._child.pid and (why := verdict(seen, self._limits)):
                self._say(f"Asterisk (pid {self._child.pid}) is killed: {why}")
                self._child.kill()
                self._probe.forget()
            with contextlib.suppress(OSError):  # the disk is full: whoever reads it finds it old
                write_private(self._file, json.dumps({"silent_s": round(seen.silent_s, 1)}))


class LastSeen:
    """What a launcher wrote down, read by whoever tells the state of the house."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._mark = 0
        self._since = 0.0

    def look(self, now: float) -> tuple[float, bool] | None:
        """Seconds of silence, and whether anybody still looks; None when nobody ever did. `now` is monotonic: how old a
        file is by the wall clock says nothing when that jumps."""
        try:
            mark = self._file.stat().st_mtime_ns
            silent_s = float(json.loads(self._file.read_text(encoding="utf-8"))["silent_s"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if mark != self._mark:
            self._mark, self._since = mark, now
        return silent_s, now - self._since < STALE_S
