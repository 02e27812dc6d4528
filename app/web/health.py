"""Decides what is said about the state of the house: which part does not work, and what that means for callers.

Does not look at the parts itself: each room gives a check. Invariants: a check that hangs or fails is told as such
within its deadline and never delays the others; the words are for people, the names are stable; however many ask (every
open console does), the parts are looked at once a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from core.http.routes import Request, Route, Strict

State = Literal["ok", "degraded", "down"]
CHECK_DEADLINE_S = 1.0
FRESH_S = 1.0
_ORDER: tuple[State, ...] = ("ok", "degraded", "down")


class Part(Strict):
    """One part of the house. `words`: what is wrong; `means`: what it means for callers ("" while all is well)."""

    name: str
    state: State
    words: str = ""
    means: str = ""


class HealthReport(Strict):
    """`state` is the worst of the parts'."""

    state: State
    parts: list[Part]


@dataclass(frozen=True)
class Finding:
    """What a check found. `words` say what is wrong."""

    state: State = "ok"
    words: str = ""


Check = Callable[[], Awaitable[Finding]]


@dataclass(frozen=True)
class _Watched:
    name: str
    check: Check
    means: str
    worst: State


class Health:
    """The checks of this process. `means` says what callers notice when the part does not work; `worst` is how bad the
    house is off then ("down" only for what calls cannot do without). A report serves whoever asks within `fresh_s`."""

    def __init__(
        self,
        *,
        deadline_s: float = CHECK_DEADLINE_S,
        fresh_s: float = FRESH_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._watched: tuple[_Watched, ...] = ()
        self._deadline_s = deadline_s
        self._fresh_s = fresh_s
        self._now = now
        self._looking = asyncio.Lock()
        self._last: tuple[float, HealthReport] | None = None

    def watch(self, name: str, check: Check, *, means: str, worst: State = "degraded") -> None:
        self._watched = (*self._watched, _Watched(name, check, means, worst))

    async def report(self) -> HealthReport:
        async with self._looking:
            if self._last is None or self._now() - self._last[0] > self._fresh_s:
                report = await self._look_at_all()
                self._last = self._now(), report  # a look can take as long as it stays fresh
            return self._last[1]

    async def _look_at_all(self) -> HealthReport:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._look(watched)) for watched in self._watched]
        parts = [task.result() for task in tasks]
        return HealthReport(state=max((part.state for part in parts), key=_ORDER.index, default="ok"), parts=parts)

    async def _look(self, watched: _Watched) -> Part:
        try:
            async with asyncio.timeout(self._deadline_s):
                found = await watched.check()
        except TimeoutError:
            found = Finding("down", "It does not answer.")
        except Exception as error:  # a check that fails is a finding, whatever it is
            found = Finding("down", f"It cannot be asked ({type(error).__name__}).")
        state = min(found.state, watched.worst, key=_ORDER.index)
        return Part(
            name=watched.name, state=state, words=found.words, means=watched.means if state != "ok" else ""
        )  # fmt: skip


def routes(health: Health) -> list[Route]:
    """`GET /api/health`: the whole report, for whoever is logged in."""

    async def report(request: Request) -> HealthReport:
        return await health.report()

    return [Route("GET", "/api/health", report, "What works and what does not", HealthReport, tag="house")]
