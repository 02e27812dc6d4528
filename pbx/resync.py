"""Lists what Asterisk has, and makes it our belief: after every new link, and every ten seconds besides.

Also brings callers back who went to the static queue while we were away. Correctness rests on this, never on having
seen every event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from pbx.ami import ActionRefused, AmiLink, LinkDown
from pbx.ami_events import ChannelSeen, device_in_list, seen_in_status
from pbx.control import Control
from pbx.switchboard import KnownCall, Switchboard

TICKET = (
    "AC_IX,AC_STAGE,AC_ENTRY,AC_QUEUE,AC_AT,AC_VISIT,AC_PRIO,AC_LANG,AC_LEVEL,AC_SKILLS,AC_PROBLEM,AC_NODE,AC_OFFER,"
    "BRIDGEPEER"
)
EVERY_S = 10.0


class Resync:
    """`now()` once; `run()` for ever. `known` are open calls that a process before us told of, taken at the first list."""

    def __init__(self, link: AmiLink, control: Control, board: Switchboard, *, default_queue: str) -> None:
        self._link = link
        self._control = control
        self._board = board
        self._default_queue = default_queue
        self.known: Mapping[str, KnownCall] = {}
        self.reclaimed = 0

    async def now(self) -> int:
        """One list, taken whole. Returns the number of repairs. Raises LinkDown."""
        blocks = await self._link.ask_list("Status", {"Variables": TICKET, "AllVariables": "false"})
        channels = [seen for seen in map(seen_in_status, blocks) if seen is not None]
        devices = [d for d in map(device_in_list, await self._link.ask_list("DeviceStateList")) if d is not None]
        known, self.known = self.known, {}
        repairs = self._board.take_list(channels, devices, known=known)
        await self._reclaim(channels)
        return repairs

    async def run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            if not self._link.up:
                continue
            try:
                repairs = await self.now()
                if repairs:
                    structlog.get_logger().warning("resync_repaired", repairs=repairs)
            except (LinkDown, ActionRefused) as error:
                structlog.get_logger().warning("resync_failed", reason=str(error))

    async def _reclaim(self, channels: list[ChannelSeen]) -> None:
        """Callers in the static queue whom nobody has answered come back: to their queue with their place, or to one."""
        for seen in channels:
            said = seen.variables
            if said.get("AC_STAGE") != "fallback" or seen.bridge_id or said.get("BRIDGEPEER"):
                continue
            try:
                if not said.get("AC_QUEUE"):
                    await self._control.set_variables(seen.channel, {"AC_QUEUE": self._default_queue})
                await self._control.move(seen.channel, "ac-wait")
                self.reclaimed += 1
            except ActionRefused as error:  # the caller hung up, or somebody answered at this very moment
                structlog.get_logger().info("not_reclaimed", interaction_id=seen.uniqueid, reason=error.reason)
