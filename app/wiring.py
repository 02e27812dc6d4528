"""The life of a controller: opens the house, stands by, owns the queues when it is its turn, drains, ends.

Two of them may run on one home, each in a slot of its own. Decides only what comes when. Order: everything that can fail
does so before a call is touched; menus may be given to a standby, too. Invariants: what only one may do is done under the
lease's epoch alone; who loses the lease ends at once and is started anew as a standby; who is asked to end gives the
queues away first, and then waits for the callers in its menus.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from app.house import House
from app.owner import Owner
from app.world.plan import WorldPlan
from core.journal.foreign import copy_foreign
from core.lease import LeaseLost
from core.metrics import watch_loop
from core.settings import Settings

BEGIN_S = 8.0
SETTLE_S = 2.0


class Controller:
    """`run(told)` until it is to end. `told(state)` is called with "standby", "owner", "draining"."""

    def __init__(self, plan: WorldPlan, settings: Settings, slot: int = 1) -> None:
        self.house = House(plan, settings, slot)
        self.owner: Owner | None = None
        self._drain = asyncio.Event()

    def drain(self) -> None:
        """Somebody else is to take over: the queues at once, the menus as they end."""
        self._drain.set()

    async def run(self, told: Callable[[str], None]) -> None:
        """Raises LeaseLost when somebody else owns what was ours."""
        house = self.house
        async with AsyncExitStack() as stack:
            await house.open(stack)
            await stack.enter_async_context(house.agi)
            async with asyncio.TaskGroup() as group:
                lasting = [group.create_task(part) for part in (*house.parts(), watch_loop(house.metrics))]
                with contextlib.suppress(TimeoutError):  # without a switch we stand by all the same
                    async with asyncio.timeout(BEGIN_S):
                        await house.link_up.wait()
                told("standby")
                await self._own_in_turn(told)
                told("draining")
                await self._drained()
                for task in lasting:
                    task.cancel()

    async def _own_in_turn(self, told: Callable[[str], None]) -> None:
        """Claims, owns, and comes back when it is to drain."""
        async with asyncio.TaskGroup() as group:
            owning = group.create_task(self._own(told))
            draining = group.create_task(self._drain.wait())
            await asyncio.wait([owning, draining], return_when=asyncio.FIRST_COMPLETED)
            draining.cancel()
            owning.cancel()

    async def _own(self, told: Callable[[str], None]) -> None:
        lease, house = self.house.lease, self.house

        async def copy_what_others_left() -> None:
            await copy_foreign(house.journal_file, house.database, house.projectors)

        epoch = await lease.claim(copy_what_others_left)
        owner = self.owner = Owner(self.house)
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(lease.keep())
                await owner.begin(epoch)
                for part in owner.parts():
                    group.create_task(part)
                await owner.serving.wait()
                structlog.get_logger().info("owner_serves", epoch=owner.acd.epoch)
                told("owner")
                await keeping
        except BaseExceptionGroup as errors:
            lost, _ = errors.split(LeaseLost)
            if lost is not None:
                raise LeaseLost("another controller owns the queues") from errors
            raise
        finally:
            owner.retire()
            await lease.release()

    async def _drained(self) -> None:
        house = self.house
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(house.settings.supervisor.drain_s):
                await house.agi.emptied()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await house.flusher.flushed_up_to(house.journal.last_seq)
