"""The controllers of one kind: one owns what only one may, one stands by; whoever's loop is silent is killed and started again.

A kind has all roles, or some when the house is split. Decides who is late and in which order they are started and
restarted; who owns what is decided by their lease. Invariants: the second one starts when the first serves; never are both
restarted at a time.
"""

from __future__ import annotations

import asyncio
import functools
import json
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from app.world.beat import POLL_S, Beat
from app.world.children import Child, ChildSpec, Report
from core.settings import SupervisorSettings

LOOK_S = 0.02
ROLL_S = 60.0  # longer than anybody may drain


class Controllers:
    """`children` by role; `run(role)` for each, `watch()` besides; `changed` is called when another one owns or serves."""

    def __init__(
        self, folder: Path, specs: Sequence[ChildSpec], limits: SupervisorSettings, say: Report,
        started: Callable[[str, int], None], changed: Callable[[], None], *, name: str = "controller",
    ) -> None:  # fmt: skip
        self._folder, self._limits, self._say, self._changed = folder, limits, say, changed
        self.name = name
        self._all = asyncio.Event()
        self.children = {
            spec.role: Child(spec, say, started, before_start=functools.partial(self._forget, spec.role))
            for spec in specs
        }

    # --- their lives

    async def run(self, role: str) -> None:
        """Keeps one alive; those after the first wait until the first serves."""
        child = self.children[role]
        if role != next(iter(self.children)):
            await self._all.wait()
        if not child.stopping:
            await child.run()

    def all_may_start(self) -> None:
        self._all.set()

    def _forget(self, role: str) -> None:
        self._file(role, "ready").unlink(missing_ok=True)

    async def owned(self) -> None:
        """Returns when one of them owns the queues and serves."""
        while True:
            if self.owner() is not None:
                return
            await asyncio.sleep(LOOK_S)

    def owner(self) -> str | None:
        """The role of the one that says it owns."""
        return next((role for role in self.children if self.state(role) == "owner"), None)

    def state(self, role: str) -> str:
        """What a living one says it is: standby, owner, draining; "" while it starts or is dead."""
        child = self.children[role]
        try:
            told = json.loads(self._file(role, "ready").read_text(encoding="utf-8"))
            return str(told["state"]) if child.pid and told["pid"] == child.pid else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def pids(self) -> dict[str, int]:
        """Of this kind is whoever owns (or the first, while nobody does; 0 while dead), the other is its standby."""
        first = self.owner() or next(iter(self.children))
        others = [role for role in self.children if role != first]
        standby = "standby" if self.name == "controller" else f"{self.name}-standby"
        names = {first: self.name, **dict.fromkeys(others, standby)}
        return {
            name: self.children[role].pid for role, name in names.items() if role == first or self.children[role].pid
        }

    # --- looking after them

    async def watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            for role in self.children:
                group.create_task(self._watch_one(role))
            group.create_task(self._tell_changes())

    async def _watch_one(self, role: str) -> None:
        """Kills it when its loop is silent."""
        loop = asyncio.get_running_loop()
        child = self.children[role]
        beat, life = Beat(self._limits, loop.time()), 0
        while True:
            mark = _mark(self._file(role, "beat"))
            if child.lives != life:
                life = child.lives
                beat.new_life(loop.time(), mark)
            elif (
                child.pid and (silence := beat.late(mark, serving=bool(self.state(role)), now=loop.time())) is not None
            ):
                self._say(f"the loop of {role} is silent for {silence:.1f} s; it is killed")
                child.kill()
                beat.new_life(loop.time(), mark)
            await asyncio.sleep(POLL_S)

    async def _tell_changes(self) -> None:
        """Tells outsiders when somebody else owns, or somebody new serves."""
        known = self.pids()
        owner: int | None = None
        while True:
            now, owning = self.pids(), self.owner()
            if now != known:
                known = now
                self._changed()
            pid = self.children[owning].pid if owning else None
            if pid is not None and pid != owner:
                if owner is not None:
                    self._say(f"{owning} (pid {pid}) owns the queues now")
                owner = pid
            await asyncio.sleep(POLL_S)

    async def roll(self) -> None:
        """Restarts each in turn, the one that stands by first, so that somebody always owns and callers in menus end in peace."""
        order = sorted(self.children, key=lambda role: role == self.owner())
        for role in order:
            child = self.children[role]
            life = child.lives
            if not child.pid:
                continue
            self._say(f"{role} is asked to hand over and to end")
            child.signal(signal.SIGTERM)
            async with asyncio.timeout(ROLL_S):
                while True:
                    if child.lives > life and self.state(role) in ("standby", "owner"):
                        break
                    await asyncio.sleep(LOOK_S)

    def clean(self) -> None:
        for role in self.children:
            for kind in ("ready", "beat"):
                self._file(role, kind).unlink(missing_ok=True)

    def _file(self, role: str, kind: str) -> Path:
        return self._folder / f"{role}.{kind}"


def _mark(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return None
