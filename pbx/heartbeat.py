"""Tells the dialplan that the loop which serves calls is alive, and looks whether the dialplan's watchdog is.

Counters are raised twice a second from that very loop: a blocked loop sends none, which is the point. Every controller
beats for its own slot (may a menu be given to it?); the owner of the queues beats for those who wait, too, and writes its
epoch, by which the switch refuses the offers of whoever was replaced. Invariants: no thread and no timer of its own; an
owner that finds a newer epoch in the switch says so at once and beats for nobody any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from pbx import ami_actions
from pbx.ami import ActionRefused, AmiLink, LinkDown
from pbx.control import Control

BEAT_S = 0.5
LOOK_EVERY = 10
EPOCH = "ACD_EPOCH"


class Heartbeat:
    """`run()` for ever; `await own(epoch)` when the queues are ours; `greet()` at every new link."""

    def __init__(
        self,
        link: AmiLink,
        control: Control,
        *,
        slot: int = 1,
        life: str = "0",
        superseded: Callable[[], None] = lambda: None,
        routed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._link = link
        self._control = control
        self._slot = slot
        self._life = life  # no two lives of a slot send the same beat
        self._superseded = superseded
        self._routed = (
            routed  # whether somebody decides about those who wait: the owner of the queues may live elsewhere
        )
        self._count = 0
        self._watchdog_seen = ""
        self.epoch = 0
        self.watchdog_restarts = 0

    async def own(self, epoch: int) -> int:
        """The queues are ours from now on. Returns the epoch that the switch holds for us, `epoch` or a greater one:
        a database that was made anew counts from one again, while the switch remembers more."""
        known = await self._known_epoch()
        self.epoch = max(epoch, known + 1)
        await self._tell_epoch()
        await self._beat()
        await self._control.set_global("AC_QUIET", "0")
        return self.epoch

    async def follow(self, epoch: int) -> bool:
        """The queues are owned under this epoch, and the switch was told so before our time. False when it knows a newer one."""
        if await self._known_epoch() > epoch:
            return False
        self.epoch = epoch
        await self._tell_epoch()
        return True

    def disown(self) -> None:
        """The queues are somebody else's: from now on we beat for our own menus alone."""
        self.epoch = 0

    async def greet(self) -> None:
        """At a new link, before anything else. A switch that has just started knows no epoch: it is told ours.

        It is not left to the watchdog's next tick to see our beat: callers who are brought back until then would be sent
        away again at once, because the dialplan still counts us as gone.
        """
        if self.epoch:
            await self._tell_epoch()
        await self._beat()
        await self._control.set_global(f"AC_QUIET_{self._slot}", "0")
        if self.epoch:
            await self._control.set_global("AC_QUIET", "0")

    async def run(self) -> None:
        turn = 0
        while True:
            await asyncio.sleep(BEAT_S)
            if not self._link.up:
                continue
            turn += 1
            try:
                await self._beat()
                if self.epoch and turn % 2 == 0:
                    await self._look_for_newer()
                if self.epoch and turn % LOOK_EVERY == 0:
                    await self._look_after_watchdog()
            except (LinkDown, ActionRefused) as error:
                structlog.get_logger().warning("heartbeat_not_sent", reason=str(error))

    async def _beat(self) -> None:
        self._count += 1
        await self._control.set_global(f"AC_HB_{self._slot}", f"{self._life}.{self._count}")
        if self.epoch and self._routed():
            await self._control.set_global("AC_HB", f"{self._life}.{self._count}")

    async def _known_epoch(self) -> int:
        told = await self._control.get_global(EPOCH)
        return int(told) if told.isdecimal() else 0

    async def _tell_epoch(self) -> None:
        if await self._known_epoch() > self.epoch:
            return self._step_down()
        await self._control.set_global(EPOCH, str(self.epoch))
        await self._control.set_global("AC_FIRST", str(self._slot))
        await self._control.set_global("AC_OPEN", "1")

    async def _look_for_newer(self) -> None:
        if await self._known_epoch() > self.epoch:
            self._step_down()

    def _step_down(self) -> None:
        structlog.get_logger().error("superseded", epoch=self.epoch)
        self.disown()
        self._superseded()

    async def _look_after_watchdog(self) -> None:
        seen = await self._control.get_global("AC_WD")
        if seen == self._watchdog_seen:
            structlog.get_logger().error("watchdog_restarted", counter=seen)
            self.watchdog_restarts += 1
            await self._link.send(*ami_actions.start_watchdog())
        self._watchdog_seen = seen
