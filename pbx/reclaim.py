"""Brings back who was lost while nobody of ours was there: callers in the static queue, phones that ring for nobody.

Does not decide where a caller goes next; the ticket on the caller's channel does. Invariants: whoever talks to an agent
is left alone; a caller who is brought back keeps place and wait (`AC_AT` is never written here); what cannot be done now
is tried again at the next list.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from pbx.ami import ActionRefused
from pbx.ami_events import ChannelSeen
from pbx.control import Control
from pbx.switchboard import Switchboard, is_leg

CANCELLED = 26


class Reclaim:
    """`take(channels)` after each list. `default_queue` is for callers who were lost before they had chosen one."""

    def __init__(self, control: Control, board: Switchboard, *, default_queue: str) -> None:
        self._control = control
        self._board = board
        self._default_queue = default_queue
        self.callers = 0
        self.orphans = 0

    async def take(self, channels: Iterable[ChannelSeen]) -> None:
        """Raises LinkDown."""
        for seen in channels:
            if _in_static_queue(seen):
                await self._bring_back(seen)
            elif is_leg(seen.uniqueid) and not seen.up and not self._control.made(seen.uniqueid):
                await self._stop_ringing(seen)

    async def _bring_back(self, seen: ChannelSeen) -> None:
        try:
            if not seen.variables.get("AC_QUEUE"):
                await self._control.set_variables(seen.channel, {"AC_QUEUE": self._default_queue})
            await self._control.move(seen.channel, "ac-wait")
            self.callers += 1
        except ActionRefused as error:  # the caller hung up, or somebody answered at this very moment
            structlog.get_logger().info("not_reclaimed", interaction_id=seen.uniqueid, reason=error.reason)

    async def _stop_ringing(self, seen: ChannelSeen) -> None:
        """A phone rings for an offer of a process before us: its caller is offered anew, by whoever owns the queues now."""
        try:
            await self._control.hang_up(seen.uniqueid, cause=CANCELLED)
            self._board.note_orphan(seen.uniqueid)
            self.orphans += 1
        except ActionRefused as error:
            structlog.get_logger().info("orphan_gone", leg=seen.uniqueid, reason=error.reason)


def _in_static_queue(seen: ChannelSeen) -> bool:
    said = seen.variables
    return said.get("AC_STAGE") == "fallback" and not seen.bridge_id and not said.get("BRIDGEPEER")
