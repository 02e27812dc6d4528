"""Joins the rooms: who is given to whom. The only place that knows them all; holds no rule of any of them.

`Controller` builds every part of the one-process controller (all roles) and runs them until it is told to stop. Order:
everything that can fail does so before a call is touched; the switch's link comes up last, and says so to routing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from aiohttp import web

from app import health, people
from app.live.hub import Hub
from app.live.model import Board
from app.lookup import DeskLookup
from app.screen_pop import LISTENS, OrderScreenPop
from app.web import auth_http, calls_http
from app.web.call_store import StoredCalls
from app.web.health import Health
from app.web.server import build_app
from app.world.plan import WorldPlan
from core.breaker import Breaker
from core.bus.redis_bus import RedisBus
from core.clock import SystemClock
from core.db import migrate
from core.db.engine import Database
from core.db.outbox import EventLog
from core.errors import AftercallError, Unavailable
from core.events.pbx import SwitchLinkChanged
from core.events.stream import EventStream
from core.http.server import serve
from core.ids import new_id
from core.jobs.worker import JobQueue
from core.journal.flusher import Flusher, Projector
from core.journal.journal import Journal
from core.metrics import Metrics
from core.prompts.library import PromptLibrary
from core.settings import Settings
from core.users.service import Users
from ivr import ports
from ivr.agi_line import MenuCalls
from ivr.catalogue import SAMPLE, FlowCatalogue
from ivr.runner import Runner
from orders_bridge import http as orders_http
from orders_bridge.http_adapter import HttpShopAdapter
from orders_bridge.service import OrderDesk
from pbx.agi_server import AgiServer
from pbx.ami import ActionRefused, AmiAddress, AmiLink, LinkDown
from pbx.control import Control
from pbx.heartbeat import Heartbeat
from pbx.resync import Resync
from pbx.store import InteractionProjector, open_calls
from pbx.switchboard import Switchboard
from recordings import http as recordings_http
from recordings.disk import DiskGuard
from recordings.service import Recordings
from recordings.speech import SpeechChoice, Transcription
from recordings.store import RecordingProjector
from recordings.transcriber import Transcriber
from routing import http as routing_http
from routing import store as routing_store
from routing.acd import Acd
from routing.model import QueuePolicy
from routing.store import RoutingProjector

BEGIN_S = 8.0
CONSOLE = Path(__file__).parent / "console" / "dist"


class JournalledSessions:
    """Satisfies `ivr.ports.Sessions`: the last place of a caller in a menu, from the event table."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    async def last(self, interaction_id: str) -> Mapping[str, Any] | None:
        waits = [e.record for e in await self._log.for_interaction(interaction_id) if e.record["kind"] == "FlowWaited"]
        return waits[-1]["session"] if waits else None


class Controller:
    """Every role in one process. `run(ready)` until cancelled; `ready` is called when calls can be served."""

    def __init__(self, plan: WorldPlan, settings: Settings) -> None:
        self.plan, self.settings = plan, settings
        self.clock = SystemClock()
        self.metrics = Metrics()
        self.journal = Journal(plan.folders.journal / "controller.sqlite", f"controller-{new_id()}")
        self.stream = EventStream(self.journal)
        self.zone = ZoneInfo(settings.time_zone)
        self.link_up = asyncio.Event()
        self._fresh: asyncio.Queue[tuple[str, datetime]] = asyncio.Queue()

    async def run(self, ready: asyncio.Event) -> None:
        async with AsyncExitStack() as stack:
            stack.callback(self.journal.close)
            await self._open_database(stack)
            self._make_orders(stack)
            await self._make_routing()
            self._make_switch()
            self._make_menus()
            self._make_recordings()
            app = self._make_web()
            async with asyncio.TaskGroup() as group:
                for part in self._parts():
                    group.create_task(part)
                await stack.enter_async_context(self._serving(app))
                async with asyncio.timeout(BEGIN_S):
                    await self.link_up.wait()
                ready.set()

    @asynccontextmanager
    async def _serving(self, app: web.Application) -> AsyncIterator[None]:
        agi = AgiServer(self.menu_calls, host=self.plan.agi.host, port=self.plan.agi.port)
        async with agi, serve(app, self.plan.http.host, self.plan.http.port):
            yield

    def _parts(self) -> list[Any]:
        workers = [self.jobs.run(self.transcription.handlers) for _ in range(self.settings.speech.workers)]
        return [
            self.flusher.run(), self.bus.run(), self.desk.run(), self.acd.run(), self.hub.run(self._hub_feed),
            self._note_calls(), self._tick(), self._write_tickets(), self.recordings.run(), *workers,
            self.link.run(), self.heartbeat.run(), self.resync.run(),
        ]  # fmt: skip

    # --- floor 0

    async def _open_database(self, stack: AsyncExitStack) -> None:
        plan = self.plan
        await migrate.migrate(plan.database)
        self.database = await Database.open(plan.database, clock=self.clock, ids=new_id, stream=self.stream)
        stack.push_async_callback(self.database.close)
        projectors: list[Projector] = [InteractionProjector(), RoutingProjector(), RecordingProjector()]
        self.flusher = Flusher(self.journal, self.database, projectors)
        while await self.flusher.flush_once():
            continue  # what a process before us wrote down and could not copy comes first
        self.users = Users(self.database, self.clock, new_id)
        await people.settle(plan, self.users, self.database)
        self.jobs = JobQueue(self.database, self.clock, new_id)
        self.bus = RedisBus(plan.redis.url)

    # --- floor 1 and 2

    def _make_orders(self, stack: AsyncExitStack) -> None:
        shop = HttpShopAdapter(
            self.plan.shop.url,
            self.plan.shop.token,
            breaker=Breaker(self.clock),
            clock=self.clock,
            country=self.settings.country,
        )
        stack.push_async_callback(shop.close)
        self.desk = OrderDesk(
            shop, self.stream, self.clock, zone=self.zone, country=self.settings.country, storage=self.database
        )

    async def _make_routing(self) -> None:
        async with self.database.read() as conn:
            skills = await routing_store.skills_of_agents(conn)
            said = await routing_store.said_by_agents(conn)
            unfinished = await routing_store.unfinished(conn, self.clock.now())
            self.known_calls = await open_calls(conn)
        names = {user.extension: user.name for user in await self.users.all() if user.extension and user.active}
        self.names = names
        board = Board(zone=self.settings.time_zone)
        self.hub = Hub(board, clock=self.clock, ids=new_id, metrics=self.metrics)
        self._hub_feed = self.stream.subscribe("live", asyncio.Event(), bound=50_000)
        self.hub.name_agents(names)
        self.screen_pop = OrderScreenPop(self.desk, self.hub, self.stream, self.clock)
        self._pop_feed = self.stream.subscribe("screen-pop", asyncio.Event(), only=LISTENS)
        queues = {
            name: QueuePolicy(name, {name: 1}, self.settings.asterisk.ring_s, rules.wrap_up_s, rules.max_misses)
            for name, rules in self.settings.queues.items()
        }
        self._make_link()
        self.acd = Acd(
            telephony=self.control, screen_pop=self.screen_pop, stream=self.stream, clock=self.clock,
            ids=lambda: new_id().replace("-", "")[-12:], queues=queues,
            agents=routing_store.records(names, skills),
        )  # fmt: skip
        self.acd.restore(said, unfinished)

    def _make_link(self) -> None:
        ami = self.plan.ami
        address = AmiAddress(ami.host, ami.port, ami.controller.user, ami.controller.password)
        self.link = AmiLink(
            address,
            on_event=lambda event: self.board.on_event(event),
            on_up=self._on_link_up,
            on_down=self._on_link_down,
        )
        self.control = Control(self.link)

    def _make_switch(self) -> None:
        dids = self.plan.dids
        self.board = Switchboard(
            node=self.plan.node, trunk=self.plan.trunk.user, entries={dids.menu: "menu", dids.queue: "queue"},
            extensions=self.names, events=self.stream, clock=self.clock,
        )  # fmt: skip
        self.board.on_fresh.append(lambda _ix, channel, at: self._fresh.put_nowait((channel, at)))
        self.heartbeat = Heartbeat(self.link, self.control, epoch=self.acd.epoch)
        default_queue = next(iter(self.settings.queues), "service")
        self.resync = Resync(self.link, self.control, self.board, default_queue=default_queue)
        self.resync.known = self.known_calls

    async def _on_link_up(self) -> None:
        """A new link: the heartbeat first (callers are waiting for it), then what is there, then routing may act."""
        await self.heartbeat.greet()
        await self.resync.now()
        self.stream.emit(SwitchLinkChanged(at=self.clock.now(), node=self.plan.node, up=True))
        self.link_up.set()

    async def _write_tickets(self) -> None:
        """The exact moment a caller began to wait goes onto their channel: it outlives us there."""
        while True:
            channel, at = await self._fresh.get()
            try:
                await self.control.set_variables(channel, {"AC_AT": str(int(at.timestamp() * 1000))})
            except (LinkDown, ActionRefused) as error:  # the dialplan's own whole second stands
                structlog.get_logger().info("ticket_not_written", reason=str(error))

    def _on_link_down(self, reason: str) -> None:
        self.link_up.clear()
        self.stream.emit(SwitchLinkChanged(at=self.clock.now(), node=self.plan.node, up=False, reason=reason))

    def _make_menus(self) -> None:
        catalogue = FlowCatalogue({self.plan.dids.menu: "sample"}, self.stream, self.clock, default="sample")
        catalogue.publish_file(SAMPLE, actor="system")
        runner = Runner(
            catalogue, DeskLookup(self.desk), ports.KnownQueues(frozenset(self.settings.queues)), self.stream, self.clock,
            prompts=PromptLibrary(),
        )  # fmt: skip
        self.menu_calls = MenuCalls(runner, JournalledSessions(EventLog(self.database)))

    def _make_recordings(self) -> None:
        folder, speech = self.plan.folders.recordings, self.settings.speech
        paths = {"en": speech.model_en, "zh": speech.model_zh}
        choice = SpeechChoice(enabled=speech.enabled, paths={k: v for k, v in paths.items() if v is not None})
        self.transcription = Transcription(
            folder=folder, database=self.database, jobs=self.jobs, events=self.stream, clock=self.clock, ids=new_id,
            transcriber=Transcriber(choice.resolver(), workers=speech.workers), choice=choice,
            language=self.settings.language,
        )  # fmt: skip
        disk = DiskGuard(folder, self.stream, self.clock, None)
        self.recordings = Recordings(
            folder=folder, database=self.database, stream=self.stream, clock=self.clock, ids=new_id,
            transcription=self.transcription, disk=disk, live_calls=self._live_calls,
            keep_days=self.settings.recordings.keep_days,
        )  # fmt: skip

    def _live_calls(self) -> set[str] | None:
        """Whose callers are on the line; None while there is no link to know it by."""
        return {call.id for call in self.board.calls()} if self.link.up else None

    # --- floor 3

    def _make_web(self) -> web.Application:
        watched = Health()
        health.watch(watched, self)
        desk = recordings_http.RecordingDesk(
            self.database, self.plan.folders.recordings, self.clock, self.transcription
        )
        routes = [
            *auth_http.routes(self.users, self.clock),
            *calls_http.routes(StoredCalls(self.database)),
            *routing_http.routes(self.acd),
            *orders_http.routes(self.desk),
            *recordings_http.routes(desk),
        ]
        return build_app(
            routes=routes, gatekeeper=self.users, hub=self.hub, health=watched, metrics=self.metrics, ids=new_id,
            console_dir=CONSOLE, public_url=self.settings.http.public_url, translate=_meaning,
        )  # fmt: skip

    async def _note_calls(self) -> None:
        async for event in self._pop_feed:
            self.screen_pop.note(event)

    async def _tick(self) -> None:
        """Live ticks for other processes, over Redis: which interaction something happened to."""
        feed = self.stream.subscribe("ticks", asyncio.Event(), bound=5000)
        async for event in feed:
            self.bus.publish("live", {"kind": event.kind, "interaction_id": event.interaction_id})


def _meaning(error: Exception) -> AftercallError | None:
    """What an exception of a lower floor means to whoever asked over HTTP."""
    if isinstance(error, LinkDown | ActionRefused):
        structlog.get_logger().warning("switch_refused", reason=str(error))
        return Unavailable("switch", "The telephone switch does not answer now.")
    return None
