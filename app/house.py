"""What every process of a controller has from its first second, whatever its roles: journal, database, users, jobs, bus.

Joins floors 0 to 2; holds no rule of any of them. What a role needs besides is in `app/roles`; what only one may do at a
time begins in `owner.py`. A menu may be given to any telephony process that beats, so that half of the role begins here.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any
from zoneinfo import ZoneInfo

from app import people
from app.opening_hours import OpeningHours
from app.roles import ACD, ALL, TELEPHONY, WEB, WORKER, process_name
from app.roles.links import Links
from app.roles.telephony import Telephony
from app.routing_policy import document_of, known_to
from app.world.plan import WorldPlan
from app.world.process import ProcessId, holder_name
from core.breaker import Breaker
from core.bus.redis_bus import RedisBus
from core.bus.streams import factory
from core.clock import SystemClock
from core.db import migrate
from core.db.engine import Database
from core.descriptors import Descriptors
from core.events.stream import EventStream
from core.ids import new_id
from core.jobs.worker import JobQueue
from core.journal.flusher import Flusher
from core.journal.journal import Journal
from core.journal.projector import Projector
from core.lease import OWNER, Lease
from core.metrics import Metrics
from core.settings import Settings
from core.users.service import Users
from orders_bridge.http_adapter import HttpShopAdapter
from orders_bridge.service import OrderDesk
from pbx.store import InteractionProjector
from recordings.store import RecordingProjector
from routing.crew.desk import CrewDesk
from routing.policy.desk import PolicyDesk
from routing.store import RoutingProjector

REPORTS_POOL = 4


def projectors(routing: RoutingProjector) -> list[Projector]:
    """Every room's rows that follow from events."""
    return [InteractionProjector(), routing, RecordingProjector()]


class House:
    """`await open(stack)` once; then `parts()` are its tasks. `links` is None when all roles are joined here."""

    def __init__(self, plan: WorldPlan, settings: Settings, slot: int = 1, roles: frozenset[str] = ALL) -> None:
        self.plan, self.settings, self.slot, self.roles = plan, settings, slot, roles
        self.name = f"{process_name(roles)}-{slot}"
        self.clock = SystemClock()
        self.metrics = Metrics()
        self.descriptors = Descriptors()
        self.metrics.gauge("descriptors_share", "File descriptors in use, of those there may be").set_function(
            self.descriptors.share
        )
        self.journal_file = plan.folders.journal / f"{self.name}.sqlite"
        self.journal = Journal(self.journal_file, f"{process_name(roles)}-{new_id()}")
        self.stream = EventStream(self.journal)
        self.zone = ZoneInfo(settings.time_zone)
        self.hours = OpeningHours(settings, self.clock)
        self.telephony: Telephony | None = None
        self.links: Links | None = None

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
        # Reports use up connections of their own: whoever reads many calls delays nobody who logs in or copies facts.
        self.reports = await Database.open(plan.database, clock=self.clock, ids=new_id, pool=REPORTS_POOL)
        stack.push_async_callback(self.reports.close)
        self.flusher = Flusher(self.journal, self.database, self.projectors)
        while await self.flusher.flush_once():
            continue  # what a life of this slot before us wrote down and could not copy comes first
        self.users = Users(self.database, self.clock, new_id)
        await people.settle(plan, self.users, self.database)
        self.jobs = JobQueue(self.database, self.clock, new_id)
        self.bus = RedisBus(plan.redis.url)
        self.crew = CrewDesk(self.database, self.clock, self.agents, bus=self.bus)
        self.policies = PolicyDesk(
            self.database,
            self.clock,
            document_of(self.settings),
            bus=self.bus,
            known=known_to(plan.home, self.settings),
        )
        self.leases = [self._lease(name) for name in self._owned()]
        if self.roles != ALL:
            self.links = Links(
                factory(plan.redis.url), name=self.name, roles=self.roles, life=new_id()[-12:], stream=self.stream,
                clock=self.clock, metrics=self.metrics,
            )  # fmt: skip
        if self.roles & {TELEPHONY, WEB}:
            self._make_orders(stack)
        if TELEPHONY in self.roles:
            self.telephony = Telephony(self)

    def _owned(self) -> list[str]:
        """The leases under which this process works: what only one may do at a time."""
        if self.roles == ALL:
            return [OWNER]
        by_role = {ACD: OWNER, TELEPHONY: f"telephony:{self.plan.node}", WORKER: "worker"}
        return [name for role, name in by_role.items() if role in self.roles]

    def _lease(self, name: str) -> Lease:
        return Lease(self.database, name, holder_name(), is_dead=ProcessId.holder_is_dead)

    def holds(self) -> bool:
        """Whether what only one may do is ours now."""
        return all(lease.holds() for lease in self.leases)

    def _make_orders(self, stack: AsyncExitStack) -> None:
        shop = HttpShopAdapter(
            self.plan.shop.url, self.plan.shop.token, breaker=Breaker(self.clock), clock=self.clock,
            country=self.settings.country,
        )  # fmt: skip
        stack.push_async_callback(shop.close)
        self.desk = OrderDesk(
            shop, self.stream, self.clock, zone=self.zone, country=self.settings.country, storage=self.database
        )

    async def agents(self) -> dict[str, str]:
        """Names of the people who have a phone, by extension."""
        return {user.extension: user.name for user in await self.users.all() if user.extension and user.active}

    def parts(self) -> list[Any]:
        """What runs until the process ends, also while it drains."""
        parts: list[Any] = [self.flusher.run()]
        if self.telephony is not None:
            parts += self.telephony.lasting()
        if self.links is not None:
            parts.append(self.links.run())
        return parts
