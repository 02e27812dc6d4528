"""Lists what Asterisk has, and makes it our belief: after every new link, and every ten seconds besides.

Does not decide what a list means (`switchboard.py`) or what is done for callers who were lost (`reclaim.py`). Invariants:
correctness rests on this, never on having seen every event; a process that finds that it slept lists before anything
else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import structlog

from pbx import ami_actions
from pbx.ami import ActionRefused, AmiLink, LinkDown
from pbx.ami_events import ChannelSeen, device_in_list, seen_in_status
from pbx.ami_wire import Block
from pbx.control import Control
from pbx.reclaim import Reclaim
from pbx.switchboard import KnownCall, Switchboard

TICKET = (
    "AC_IX", "AC_STAGE", "AC_ENTRY", "AC_DNIS", "AC_QUEUE", "AC_AT", "AC_VISIT", "AC_PRIO", "AC_LANG", "AC_LEVEL",
    "AC_SKILLS", "AC_PROBLEM", "AC_NOTE", "AC_TIER", "AC_FACTS", "AC_SAID", "AC_NODE", "AC_OFFER", "AC_ANI", "BRIDGEPEER",
)  # fmt: skip
EVERY_S = 10.0
LOOK_S = 0.5
SLEPT_S = 2.0
AGAIN_S = 0.3


class Resync:
    """`now()` once; `run()` for ever. `known` are open calls that a process before us told of, taken at the first list."""

    def __init__(
        self, link: AmiLink, control: Control, board: Switchboard, *, default_queue: str,
        may_act: Callable[[], bool] = lambda: True,
    ) -> None:  # fmt: skip
        self._link = link
        self._board = board
        self._reclaim = Reclaim(control, board, default_queue=default_queue)
        self._may_act = may_act
        self._link_listed = -1
        self.known: Mapping[str, KnownCall] = {}

    @property
    def reclaimed(self) -> int:
        """Callers who were brought back from the static queue."""
        return self._reclaim.callers

    async def now(self) -> int:
        """Asterisk's list is our belief afterwards. Returns the number of repairs. Raises LinkDown."""
        new_link = self._link_listed != self._link.reconnects
        if new_link and self._link.restarted:
            self._board.lost_node()
        await self._link.ask_list(*ami_actions.list_devices(), take=self._take_devices)
        channels, repairs = await self._list(sure=new_link)
        if self._board.missing:
            await asyncio.sleep(AGAIN_S)  # whatever ended just now is being told
            channels, more = await self._list(sure=False)
            repairs += more
        self._link_listed = self._link.reconnects
        if self._may_act():  # who slept past its time moves nobody: another may own the queues by now
            await self._reclaim.take(channels)
        return repairs

    async def _list(self, *, sure: bool) -> tuple[list[ChannelSeen], int]:
        asked_at = datetime.now(UTC)

        def take(blocks: list[Block]) -> tuple[list[ChannelSeen], int]:
            channels = [seen for block in blocks if (seen := seen_in_status(block, asked_at)) is not None]
            known, self.known = self.known, {}
            return channels, self._board.take_list(channels, known=known, sure=sure)

        return await self._link.ask_list(*ami_actions.list_channels(TICKET), take=take)

    def _take_devices(self, blocks: list[Block]) -> None:
        self._board.take_devices([device for device in map(device_in_list, blocks) if device is not None])

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        listed_at = loop.time()
        while True:
            before = loop.time()
            await asyncio.sleep(LOOK_S)
            slept = loop.time() - before > SLEPT_S  # we were stopped, or the loop was blocked
            if not self._link.up or not (slept or loop.time() - listed_at >= EVERY_S):
                continue
            listed_at = loop.time()
            try:
                repairs = await self.now()
                if repairs:
                    structlog.get_logger().warning("resync_repaired", repairs=repairs)
            except (LinkDown, ActionRefused) as error:
                structlog.get_logger().warning("resync_failed", reason=str(error))
