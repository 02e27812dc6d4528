"""What only one controller does at a time: tells the facts of calls, decides who takes whom, shows the board, closes recordings.

Joins the rooms for it; holds no rule of any of them. Order of `begin`: the database (what other controllers had written
down was copied there before the lease was taken), then Asterisk's own lists (Asterisk wins about who is connected); only
then is anything offered.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from app import health
from app.admission import Admission
from app.house import House
from app.live.hub import Hub
from app.live.model import Board
from app.screen_pop import LISTENS, OrderScreenPop
from app.web import auth_http, calls_http, rehearsal_http
from app.web.call_store import StoredCalls
from app.web.health import Health
from app.web.server import build_app
from core.errors import AftercallError, Unavailable
from core.events.pbx import SwitchLinkChanged
from core.http.server import serve
from core.ids import new_id
from orders_bridge import http as orders_http
from pbx.ami import ActionRefused, LinkDown
from pbx.resync import Resync
from pbx.store import open_calls
from pbx.switchboard import Switchboard
from recordings import http as recordings_http
from recordings.disk import DiskGuard
from recordings.service import Recordings
from recordings.speech import SpeechChoice, Transcription
from recordings.transcriber import Transcriber
from routing import http as routing_http
from routing import store as routing_store
from routing.acd import Acd
from routing.model import QueuePolicy

CONSOLE = Path(__file__).parent / "console" / "dist"


class Owner:
    """`await begin(epoch)`, then `parts()` are its tasks, until the lease is lost or given back."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.plan, self.settings, self.clock, self.stream = house.plan, house.settings, house.clock, house.stream
        self.serving = asyncio.Event()
        self.web_up = asyncio.Event()
        self._fresh: asyncio.Queue[tuple[str, datetime]] = asyncio.Queue()

    async def begin(self, epoch: int) -> None:
        house = self.house
        await self._make_routing(epoch)
        self._make_switch()
        self._make_recordings()
        self.app = self._make_web()
        try:
            self.acd.epoch = await house.heartbeat.own(epoch)
        except (LinkDown, ActionRefused):  # told at the next link
            self.acd.epoch = house.heartbeat.epoch = epoch
        house.on_event, house.on_up, house.on_down = self.board.on_event, self._on_link_up, self._on_link_down

    def parts(self) -> list[Any]:
        house = self.house
        workers = [house.jobs.run(self.transcription.handlers) for _ in range(self.settings.speech.workers)]
        return [
            house.bus.run(), house.desk.run(), self.admission.run(), self.acd.run(), self.hub.run(self._hub_feed),
            self._note_calls(),
            self._tick(), self._write_tickets(), self.recordings.run(), self.resync.run(), self._serve(),
            self._take_over_link(), *workers,
        ]  # fmt: skip

    def retire(self) -> None:
        """The queues are somebody else's from now on: no fact is told and nobody is moved by us any more."""
        house = self.house
        house.heartbeat.disown()
        house.on_event, house.on_up, house.on_down = (lambda _e: None), None, (lambda _r: None)

    # --- joining

    async def _make_routing(self, epoch: int) -> None:
        house = self.house
        async with house.database.read() as conn:
            skills = await routing_store.skills_of_agents(conn)
            said = await routing_store.said_by_agents(conn)
            unfinished = await routing_store.unfinished(conn, self.clock.now())
            self.known_calls = await open_calls(conn)
        names = {user.extension: user.name for user in await house.users.all() if user.extension and user.active}
        self.names = names
        self.hub = Hub(Board(zone=self.settings.time_zone), clock=self.clock, ids=new_id, metrics=house.metrics)
        self._hub_feed = self.stream.subscribe("live", asyncio.Event(), bound=50_000)
        self.hub.name_agents(names)
        self.screen_pop = OrderScreenPop(house.desk, self.hub, self.stream, self.clock)
        self._pop_feed = self.stream.subscribe("screen-pop", asyncio.Event(), only=LISTENS)
        queues = {
            name: QueuePolicy(
                name,
                {name: 1},
                self.settings.asterisk.ring_s,
                rules.wrap_up_s,
                rules.max_misses,
                rules.max_wait_s,
                rules.overflow_to,
            )
            for name, rules in self.settings.queues.items()
        }
        self.acd = Acd(
            telephony=house.control, screen_pop=self.screen_pop, stream=self.stream, clock=self.clock,
            ids=lambda: new_id().replace("-", "")[-12:], queues=queues,
            agents=routing_store.records(names, skills), epoch=epoch,
        )  # fmt: skip
        self.acd.restore(said, unfinished)

    def _make_switch(self) -> None:
        dids, house = self.plan.dids, self.house
        self.board = Switchboard(
            node=self.plan.node, trunk=self.plan.trunk.user, entries={dids.menu: "menu", dids.queue: "queue"},
            extensions=self.names, events=self.stream, clock=self.clock,
        )  # fmt: skip
        self.board.on_fresh.append(lambda _ix, channel, at: self._fresh.put_nowait((channel, at)))
        default_queue = next(iter(self.settings.queues), "service")
        self.resync = Resync(
            house.link, house.control, self.board, default_queue=default_queue, may_act=house.lease.holds
        )
        self.resync.known = self.known_calls
        self.admission = Admission(
            house.link, house.control, self.stream, self.clock, house.metrics, self.settings.admission
        )

    def _make_recordings(self) -> None:
        house, folder, speech = self.house, self.plan.folders.recordings, self.settings.speech
        paths = {"en": speech.model_en, "zh": speech.model_zh}
        choice = SpeechChoice(enabled=speech.enabled, paths={k: v for k, v in paths.items() if v is not None})
        self.transcription = Transcription(
            folder=folder, database=house.database, jobs=house.jobs, events=self.stream, clock=self.clock, ids=new_id,
            transcriber=Transcriber(choice.resolver(), workers=speech.workers), choice=choice,
            language=self.settings.language,
        )  # fmt: skip
        disk = DiskGuard(folder, self.stream, self.clock, None)
        self.recordings = Recordings(
            folder=folder, database=house.database, stream=self.stream, clock=self.clock, ids=new_id,
            transcription=self.transcription, disk=disk, live_calls=self._live_calls,
            keep_days=self.settings.recordings.keep_days,
        )  # fmt: skip

    def _live_calls(self) -> set[str] | None:
        """Whose callers are on the line; None while there is no link to know it by."""
        return {call.id for call in self.board.calls()} if self.house.link.up else None

    def _make_web(self) -> web.Application:
        house = self.house
        watched = Health()
        health.watch(watched, self)
        desk = recordings_http.RecordingDesk(
            house.database, self.plan.folders.recordings, self.clock, self.transcription
        )
        routes = [
            *auth_http.routes(house.users, self.clock),
            *calls_http.routes(StoredCalls(house.database)),
            *routing_http.routes(self.acd),
            *orders_http.routes(house.desk),
            *recordings_http.routes(desk),
            *rehearsal_http.routes(rehearsal=self.settings.rehearsal),
        ]
        return build_app(
            routes=routes, gatekeeper=house.users, hub=self.hub, health=watched, metrics=house.metrics, ids=new_id,
            console_dir=CONSOLE, public_url=self.settings.http.public_url, translate=_meaning,
            crowded=house.descriptors.crowded,
        )  # fmt: skip

    # --- the link

    async def _take_over_link(self) -> None:
        """The link that we had as a standby becomes the owner's: everything is listed, then routing may act."""
        if self.house.link.up:
            await self._on_link_up()

    async def _on_link_up(self) -> None:
        await self.resync.now()
        self.stream.emit(SwitchLinkChanged(at=self.clock.now(), node=self.plan.node, up=True))
        self.serving.set()

    def _on_link_down(self, reason: str) -> None:
        self.stream.emit(SwitchLinkChanged(at=self.clock.now(), node=self.plan.node, up=False, reason=reason))

    # --- small tasks

    async def _write_tickets(self) -> None:
        """The exact moment a caller began to wait goes onto their channel: it outlives us there."""
        while True:
            channel, at = await self._fresh.get()
            try:
                await self.house.control.set_variables(channel, {"AC_AT": str(int(at.timestamp() * 1000))})
            except (LinkDown, ActionRefused) as error:  # the dialplan's own whole second stands
                structlog.get_logger().info("ticket_not_written", reason=str(error))

    async def _note_calls(self) -> None:
        async for event in self._pop_feed:
            self.screen_pop.note(event)

    async def _tick(self) -> None:
        """Live ticks for other processes, over Redis: which interaction something happened to."""
        feed = self.stream.subscribe("ticks", asyncio.Event(), bound=5000)
        async for event in feed:
            self.house.bus.publish("live", {"kind": event.kind, "interaction_id": event.interaction_id})

    async def _serve(self) -> None:
        """The web: calls do not wait for it. The port may still be in the hand of an owner who is frozen or drains."""
        async with serve(self.app, self.plan.http.host, self.plan.http.port, wait_for_port=True):
            self.web_up.set()
            await asyncio.get_running_loop().create_future()


def _meaning(error: Exception) -> AftercallError | None:
    """What an exception of a lower floor means to whoever asked over HTTP."""
    if isinstance(error, LinkDown | ActionRefused):
        structlog.get_logger().warning("switch_refused", reason=str(error))
        return Unavailable("switch", "The telephone switch does not answer now.")
    return None
