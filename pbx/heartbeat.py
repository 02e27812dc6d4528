"""Tells the dialplan that the loop which serves calls is alive, and looks whether the dialplan's watchdog is.

A counter is raised twice a second from that very loop: a blocked loop sends none, which is the point. The epoch of the
owner of routing goes along when it changes. Invariant: no thread and no timer of its own.
"""

from __future__ import annotations

import asyncio

import structlog

from pbx import ami_actions
from pbx.ami import ActionRefused, AmiLink, LinkDown
from pbx.control import Control

BEAT_S = 0.5
LOOK_EVERY = 10


class Heartbeat:
    """`run()` for ever; `epoch` is written to Asterisk at every new link and when it changes."""

    def __init__(self, link: AmiLink, control: Control, *, epoch: int = 1, start: int = 1) -> None:
        self._link = link
        self._control = control
        self._count = start
        self._watchdog_seen = ""
        self.epoch = epoch
        self._epoch_told: int | None = None
        self.watchdog_restarts = 0

    async def greet(self) -> None:
        """At a new link, before anything else: the epoch, and a first beat.

        It is not left to the watchdog's next tick to see it: callers who are brought back until then would be sent away
        again at once, because the dialplan still counts us as gone.
        """
        await self._control.set_global("ACD_EPOCH", str(self.epoch))
        self._epoch_told = self.epoch
        await self._beat()
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
                if self._epoch_told != self.epoch:
                    await self.greet()
                if turn % LOOK_EVERY == 0:
                    await self._look_after_watchdog()
            except (LinkDown, ActionRefused) as error:
                structlog.get_logger().warning("heartbeat_not_sent", reason=str(error))

    async def _beat(self) -> None:
        self._count += 1
        await self._control.set_global("AC_HB", str(self._count))

    async def _look_after_watchdog(self) -> None:
        seen = await self._control.get_global("AC_WD")
        if seen == self._watchdog_seen:
            structlog.get_logger().error("watchdog_restarted", counter=seen)
            self.watchdog_restarts += 1
            await self._link.send(*ami_actions.start_watchdog())
        self._watchdog_seen = seen
