"""Closes the switch's door to new calls while we, or the switch, cannot keep up; opens it again; counts who was refused.

Decides by two figures that callers feel: how late our loop wakes up, and how long the switch takes to answer. Does not refuse
calls itself: the dialplan does (`[ac-arrive]`, global AC_OPEN), as it does by number and by rate. Invariants: one slow moment
closes nothing; the door opens only after a calm while; whoever is in is not touched; an owner that dies does not leave it
closed (the dialplan's watchdog opens it).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass

import structlog

from core.clock import Clock
from core.events.pbx import CallRefused
from core.events.stream import EventStream
from core.metrics import Metrics
from core.settings import AdmissionSettings
from pbx import ami_actions
from pbx.ami import ActionRefused, AmiLink, LinkDown
from pbx.control import Control

LAG_EVERY_S, ASK_EVERY_S = 0.1, 0.5
CLOSE_AFTER_S, OPEN_AFTER_S = 1.0, 3.0
ASK_DEADLINE_S = 3.0
RECENT_S = 30.0
DOOR = "AC_OPEN"


@dataclass
class Gate:
    """Pure. `look` at each measurement; `open` says what the door should be, `why` it is closed."""

    limits: AdmissionSettings
    open: bool = True
    why: str = ""
    _bad_since: float | None = None
    _good_since: float | None = None

    def look(self, lag_s: float, round_trip_s: float, now: float) -> bool:
        """Takes the worst figures since the last look, at `now` (monotonic seconds). Returns whether the door is to be open."""
        why = self._too_much(lag_s, round_trip_s, 1.0)
        if why:
            self._good_since = None
            self._bad_since = now if self._bad_since is None else self._bad_since
            if now - self._bad_since >= CLOSE_AFTER_S:
                self.open, self.why = False, why
        else:
            self._bad_since = None
            if self._too_much(lag_s, round_trip_s, 0.5):  # not bad, but not calm either
                self._good_since = None
            else:
                self._good_since = now if self._good_since is None else self._good_since
                if now - self._good_since >= OPEN_AFTER_S:
                    self.open, self.why = True, ""
        return self.open

    def _too_much(self, lag_s: float, round_trip_s: float, share: float) -> str:
        if lag_s > self.limits.max_lag_s * share:
            return f"our loop is late by {lag_s:.2f} s"
        if round_trip_s > self.limits.max_round_trip_s * share:
            return f"the switch takes {round_trip_s:.2f} s to answer"
        return ""


class Admission:
    """`run()` for ever, by whoever owns the queues."""

    def __init__(
        self,
        link: AmiLink,
        control: Control,
        stream: EventStream,
        clock: Clock,
        metrics: Metrics,
        limits: AdmissionSettings,
    ) -> None:
        self._link, self._control, self._clock = link, control, clock
        self.gate = Gate(limits)
        self._feed = stream.subscribe("admission", asyncio.Event(), bound=10_000, only=[CallRefused.kind])
        self._refused = metrics.counter("calls_refused", "Calls that were refused at the door", ("reason",))
        metrics.gauge("door_open", "1 while new calls are taken").set_function(lambda: float(self.gate.open))
        self._recent: deque[tuple[float, str]] = deque(maxlen=10_000)
        self._lag_s = self._round_trip_s = 0.0

    def refused_lately(self) -> Counter[str]:
        """How many were refused in the last half minute, by reason."""
        now = self._clock.monotonic()
        return Counter(reason for at, reason in self._recent if now - at < RECENT_S)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._measure_lag())
            group.create_task(self._ask())
            group.create_task(self._count())

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._lag_s = max(self._lag_s, loop.time() - due)

    async def _ask(self) -> None:
        told = True
        while True:
            await asyncio.sleep(ASK_EVERY_S)
            if not self._link.up:
                continue
            try:
                begun = self._clock.monotonic()
                await self._link.send(*ami_actions.ping(), deadline_s=ASK_DEADLINE_S)
                self._round_trip_s = self._clock.monotonic() - begun
                lag_s, self._lag_s = self._lag_s, 0.0
                is_open = self.gate.look(lag_s, self._round_trip_s, self._clock.monotonic())
                if is_open != told or not is_open:  # a new link's greeting opens it: a closed one is closed again
                    await self._control.set_global(DOOR, "1" if is_open else "0")
                if is_open != told:
                    structlog.get_logger().warning("door_opened" if is_open else "door_closed", why=self.gate.why)
                told = is_open
            except (LinkDown, ActionRefused) as error:
                structlog.get_logger().info("door_not_told", reason=str(error))

    async def _count(self) -> None:
        async for event in self._feed:
            assert isinstance(event, CallRefused)
            self._refused.labels(event.reason).inc()
            self._recent.append((self._clock.monotonic(), event.reason))
