"""What a controller has from its first second, whether it owns the queues or stands by: database, orders, menus, the link.

Joins floors 0 to 2; holds no rule of any of them. A menu may be given to any controller that beats, so everything a menu
needs is here; what only one may do at a time is in `owner.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any
from zoneinfo import ZoneInfo

from app import people
from app.lookup import DeskLookup
from app.menus import MenuFolder
from app.world.plan import WorldPlan
from app.world.process import ProcessId, holder_name
from core.breaker import Breaker
from core.bus.redis_bus import RedisBus
from core.clock import SystemClock
from core.db import migrate
from core.db.engine import Database
from core.db.outbox import EventLog
from core.descriptors import Descriptors
from core.events.stream import EventStream
from core.ids import new_id
from core.jobs.worker import JobQueue
from core.journal.flusher import Flusher, Projector
from core.journal.journal import Journal
from core.lease import OWNER, Lease
from core.metrics import Metrics
from core.prompts.library import PromptLibrary
from core.settings import Settings
from core.users.service import Users
from ivr import ports
from ivr.agi_line import MenuCalls
from ivr.catalogue import SAMPLE, FlowCatalogue
from ivr.runner import Runner
from orders_bridge.http_adapter import HttpShopAdapter
from orders_bridge.service import OrderDesk
from pbx.agi_server import AgiServer
from pbx.ami import AmiAddress, AmiLink
from pbx.ami_events import AmiEvent
from pbx.control import Control
from pbx.heartbeat import Heartbeat
from pbx.store import InteractionProjector
from recordings.store import RecordingProjector
from routing.store import RoutingProjector


class JournalledSessions:
    """Satisfies `ivr.ports.Sessions`: the last place of a caller in a menu, from the event table."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def last(self, interaction_id: str) -> Mapping[str, Any] | None:
        waits = [e.record for e in await self._log.for_interaction(interaction_id) if e.record["kind"] == "FlowWaited"]
        return waits[-1]["session"] if waits else None


def projectors(routing: RoutingProjector) -> list[Projector]:
    """Every room's rows that follow from events."""
    return [InteractionProjector(), routing, RecordingProjector()]


class House:
    """`await open(stack)` once; then `parts()` are its tasks. The link's events go to `on_event` of whoever owns."""

    def __init__(self, plan: WorldPlan, settings: Settings, slot: int) -> None:
        self.plan, self.settings, self.slot = plan, settings, slot
        self.clock = SystemClock()
        self.metrics = Metrics()
        self.descriptors = Descriptors()
        self.metrics.gauge("descriptors_share", "File descriptors in use, of those there may be").set_function(
            self.descriptors.share
        )
        self.journal = Journal(plan.folders.journal / f"controller-{slot}.sqlite", f"controller-{new_id()}")
        self.stream = EventStream(self.journal)
        self.zone = ZoneInfo(settings.time_zone)
        self.link_up = asyncio.Event()
        self.on_event: Callable[[AmiEvent], None] = lambda _event: None
        self.on_up: Callable[[], Awaitable[None]] | None = None
        self.on_down: Callable[[str], None] = lambda _reason: None

    async def open(self, stack: AsyncExitStack) -> None:
        plan = self.plan
        stack.callback(self.journal.close)
        await migrate.migrate(plan.database)
        self.database = await Database.open(plan.database, clock=self.clock, ids=new_id, stream=self.stream)
        stack.push_async_callback(self.database.close)
        routing = RoutingProjector()
        stale = self.metrics.gauge("stale_writes_refused", "Rows that an owner of an older epoch wanted to change")
        stale.set_function(lambda: routing.refused)
        self.projectors = projectors(routing)
        self.flusher = Flusher(self.journal, self.database, self.projectors)
        while await self.flusher.flush_once():
            continue  # what a life of this slot before us wrote down and could not copy comes first
        self.users = Users(self.database, self.clock, new_id)
        await people.settle(plan, self.users, self.database)
        self.jobs = JobQueue(self.database, self.clock, new_id)
        self.bus = RedisBus(plan.redis.url)
        self.lease = Lease(self.database, OWNER, holder_name(), is_dead=ProcessId.holder_is_dead)
        self._make_orders(stack)
        self._make_link()
        self._make_menus()

    def _make_orders(self, stack: AsyncExitStack) -> None:
        shop = HttpShopAdapter(
            self.plan.shop.url, self.plan.shop.token, breaker=Breaker(self.clock), clock=self.clock,
            country=self.settings.country,
        )  # fmt: skip
        stack.push_async_callback(shop.close)
        self.desk = OrderDesk(
            shop, self.stream, self.clock, zone=self.zone, country=self.settings.country, storage=self.database
        )

    def _make_link(self) -> None:
        ami = self.plan.ami
        address = AmiAddress(ami.host, ami.port, ami.controller.user, ami.controller.password)
        self.link = AmiLink(
            address, on_event=lambda event: self.on_event(event), on_up=self._on_link_up, on_down=self._on_link_down
        )
        self.control = Control(self.link)
        self.heartbeat = Heartbeat(
            self.link, self.control, slot=self.slot, life=new_id()[-12:], superseded=lambda: self.lease.superseded()
        )

    def _make_menus(self) -> None:
        catalogue = FlowCatalogue({self.plan.dids.menu: "sample"}, self.stream, self.clock, default="sample")
        catalogue.publish_file(SAMPLE, actor="system")
        self.menus = MenuFolder(self.plan.home / "flows", catalogue)
        self.menus.look()
        runner = Runner(
            catalogue, DeskLookup(self.desk), ports.KnownQueues(frozenset(self.settings.queues)), self.stream, self.clock,
            prompts=PromptLibrary(),
        )  # fmt: skip
        address = self.plan.agi if self.slot == 1 else self.plan.standby_agi
        menus = MenuCalls(runner, JournalledSessions(EventLog(self.database)))
        self.agi = AgiServer(menus, host=address.host, port=address.port, crowded=self.descriptors.crowded)

    async def _on_link_up(self) -> None:
        """A new link: the heartbeat first (callers are waiting for it), then whatever the owner does."""
        await self.heartbeat.greet()
        if self.on_up is not None:
            await self.on_up()
        self.link_up.set()

    def _on_link_down(self, reason: str) -> None:
        self.link_up.clear()
        self.on_down(reason)

    def parts(self) -> list[Any]:
        """What runs until the process ends, also while it drains."""
        return [self.flusher.run(), self.link.run(), self.heartbeat.run(), self.menus.run()]
