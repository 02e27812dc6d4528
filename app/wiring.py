"""The life of a controller process: opens the house, stands by, owns what only one may when it is its turn, drains, ends.

Two of a kind may run on one home, each in a slot of its own. Decides only what comes when. Order: everything that can fail
does so before a call is touched; menus may be given to a standby, too. Invariants: what only one may do is done under the
lease's epoch alone; who loses the lease ends at once and is started anew as a standby; who is asked to end gives the
queues away first, and then waits for the callers in its menus. Roles that nobody need own (web, transcriber) are served at
once, unless they share the process with one that somebody must.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from app.house import House
from app.owner import Owner
from app.roles import ALL
from app.world.plan import WorldPlan
from core.journal.foreign import copy_foreign
from core.lease import OWNER, LeaseLost
from core.metrics import watch_loop
from core.settings import Settings

BEGIN_S = 8.0
SETTLE_S = 2.0


class Controller:
    """`run(told)` until it is to end. `told(state)` is called with "standby", "owner", "draining"."""

    def __init__(self, plan: WorldPlan, settings: Settings, slot: int = 1, roles: frozenset[str] = ALL) -> None:
        self.house = House(plan, settings, slot, roles)
        self.owner: Owner | None = None
        self._drain = asyncio.Event()

    def drain(self) -> None:
        """Somebody else is to take over: the queues at once, the menus as they end."""
        self._drain.set()

    async def run(self, told: Callable[[str], None]) -> None:
        """Raises LeaseLost when somebody else owns what was ours."""
        house = self.house

        def tell(state: str) -> None:
            if house.links is not None:
                house.links.state = dict.fromkeys(house.roles, state)
            told(state)

        async with AsyncExitStack() as stack:
            await house.open(stack)
            if house.telephony is not None:
                await stack.enter_async_context(house.telephony.agi)
            async with asyncio.TaskGroup() as group:
                lasting = [group.create_task(part) for part in (*house.parts(), watch_loop(house.metrics))]
                if house.telephony is not None:
                    with contextlib.suppress(TimeoutError):  # without a switch we stand by all the same
                        async with asyncio.timeout(BEGIN_S):
                            await house.telephony.link_up.wait()
                tell("standby")
                await self._own_in_turn(tell)
                tell("draining")
                await self._drained()
                for task in lasting:
                    task.cancel()

    async def _own_in_turn(self, told: Callable[[str], None]) -> None:
        """Claims, owns, and comes back when it is to drain."""
        async with asyncio.TaskGroup() as group:
            owning = group.create_task(self._own(told))
            draining = group.create_task(self._drain.wait())
            await asyncio.wait([owning, draining], return_when=asyncio.FIRST_COMPLETED)
            if not owning.done() and not self.house.leases:
                told("draining")
                await self._work_in_hand_ends()
            draining.cancel()
            owning.cancel()

    async def _own(self, told: Callable[[str], None]) -> None:
        leases, house = self.house.leases, self.house

        async def copy_what_others_left() -> None:
            await copy_foreign(house.journal_file, house.database, house.projectors)

        epochs = {lease.name: await lease.claim(copy_what_others_left) for lease in leases}
        owner = self.owner = Owner(self.house)
        try:
            async with asyncio.TaskGroup() as group:
                keeping = [group.create_task(lease.keep()) for lease in leases]
                await owner.begin(epochs.get(OWNER, 0))
                for part in owner.parts():
                    group.create_task(part)
                await owner.serves()
                structlog.get_logger().info("owner_serves", roles=sorted(house.roles), epochs=epochs)
                told("owner")
                await asyncio.gather(*keeping)
        except BaseExceptionGroup as errors:
            lost, _ = errors.split(LeaseLost)
            if lost is not None:
                raise LeaseLost("another controller owns the queues") from errors
            raise
        finally:
            owner.retire()
            for lease in leases:
                await lease.release()

    async def _work_in_hand_ends(self) -> None:
        """Jobs that are being done are done; none is begun any more."""
        house = self.house
        house.jobs.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(house.settings.supervisor.drain_s):
                await house.jobs.idle()

    async def _drained(self) -> None:
        house = self.house
        if house.telephony is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(house.settings.supervisor.drain_s):
                    await house.telephony.agi.emptied()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await house.flusher.flushed_up_to(house.journal.last_seq)
