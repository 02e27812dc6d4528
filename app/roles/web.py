"""The role `web`: HTTP, the live feed, the console, and the card on the agent's screen.

Joins the rooms' routes; holds no rule of any of them. What the ACD or the switch knows is had from them directly when they
are here, and is asked for when they live elsewhere; the board is then drawn from what they tell. Calls wait for none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from app import health
from app.alarms import Alarms
from app.live.board import redraw
from app.live.hub import Hub
from app.live.model import Board
from app.roles import ACD
from app.roles.links import Fresh, Json, Links
from app.roles.living import merged
from app.screen_pop import LISTENS, OrderScreenPop
from app.web import auth_http, calls_http, rehearsal_http
from app.web.call_store import StoredCalls
from app.web.health import Health
from app.web.server import build_app
from core.errors import AftercallError, Unavailable
from core.events import from_record
from core.events.routing import OfferMade
from core.http.routes import Page, Request
from core.http.server import serve
from core.ids import new_id
from orders_bridge import http as orders_http
from pbx.ami import ActionRefused, LinkDown
from recordings import http as recordings_http
from recordings.speech import Transcription
from routing import http as routing_http
from routing.acd import Acd
from routing.callbacks import http as callbacks_http
from routing.callbacks.where import Where
from routing.calls import http as controls_http
from routing.crew import http as crew_http
from routing.explain import AgentWhy, ItemWhy
from routing.http import AgentView, QueueView, own_or_supervised
from routing.model import item_from
from routing.policy import http as policy_http
from routing.policy.dry_run import Situation, situation_from
from routing.policy.http import situation_of
from routing.quarters import http as quarters_http

if TYPE_CHECKING:
    from app.house import House

CALL_S = 8.0  # several orders to the switch, one after another
CONSOLE = Path(__file__).parent.parent / "console" / "dist"


class WebRole:
    """`make_screens(names)` first (the ACD needs them), then `make_web(…)`, then `parts()`."""

    def __init__(self, house: House) -> None:
        self.house, self.links = house, house.links
        self.up = asyncio.Event()

    def make_screens(self, names: Mapping[str, str]) -> None:
        house = self.house
        self.hub = Hub(Board(zone=house.settings.time_zone), clock=house.clock, ids=new_id, metrics=house.metrics)
        self._feed = house.stream.subscribe("live", asyncio.Event(), bound=50_000)
        self.hub.name_agents(names)
        self.screen_pop = OrderScreenPop(house.desk, self.hub, house.stream, house.clock)
        self._pop_feed = house.stream.subscribe("screen-pop", asyncio.Event(), only=LISTENS)
        if self.links is not None:
            self.links.on_fresh.append(self._take_fresh)
            self.links.verbs["card"] = self._card
            self._draw_anew()

    def make_web(self, acd: Acd | None, transcription: Transcription) -> None:
        house, settings = self.house, self.house.settings
        self.watched = Health()
        if acd is not None:
            routing = [*routing_http.routes(acd), *controls_http.routes(acd.calls)]
            callbacks: callbacks_http.CallbackDesk = CallbacksHere(acd)
            book = acd.book

            async def situation() -> Situation:
                return situation_of(book)
        else:
            assert self.links is not None
            routing = [
                *routing_http.routes_of(AcdAfar(self.links)), *controls_http.routes(CallsAfar(self.links))
            ]  # fmt: skip
            links = self.links
            callbacks = CallbacksAfar(links)

            async def situation() -> Situation:
                return situation_from(await links.ask(ACD, "situation", {}))

        desk = recordings_http.RecordingDesk(
            house.database, house.plan.folders.recordings, house.clock, transcription
        )  # fmt: skip
        routes = [
            *auth_http.routes(house.users, house.clock),
            *calls_http.routes(StoredCalls(house.reports), lambda key: self.hub.board.calls.get(key)),
            *routing,
            *callbacks_http.routes(callbacks, house.reports, house.clock, Where(settings.country, house.zone)),
            *crew_http.routes(house.crew, lambda: house.policies.document),
            *quarters_http.routes(house.reports, house.zone),
            *policy_http.routes(house.policies, situation, house.clock),
            *orders_http.routes(house.desk),
            *recordings_http.routes(desk),
            *rehearsal_http.routes(rehearsal=settings.rehearsal),
        ]
        health.watch(self.watched, house, transcription)
        self.alarms = Alarms(self.watched, house.stream, house.clock, house.metrics)
        self.app = build_app(
            routes=routes, gatekeeper=house.users, hub=self.hub, health=self.watched, metrics=house.metrics, ids=new_id,
            console_dir=CONSOLE, public_url=settings.http.public_url, translate=_meaning,
            crowded=house.descriptors.crowded,
        )  # fmt: skip

    def parts(self) -> list[Any]:
        parts = [self.house.desk.run(), self.hub.run(self._feed), self._note_calls(), self._serve()]
        if self.house.slot == 1 or self.house.leases:  # of several web processes one tells
            parts.append(self.alarms.run())
        return parts

    async def _note_calls(self) -> None:
        async for event in self._pop_feed:
            self.screen_pop.note(event)

    async def _serve(self) -> None:
        """The web: calls do not wait for it. The port may still be in the hand of an owner who is frozen or drains."""
        http = self.house.plan.http
        async with serve(self.app, http.host, http.port, wait_for_port=True):
            self.up.set()
            await asyncio.get_running_loop().create_future()

    # --- when others tell

    def _take_fresh(self, fresh: Fresh) -> None:
        for event in fresh.events:
            self.screen_pop.note(event)
        self._draw_anew()

    def _draw_anew(self) -> None:
        """The board from all that lives, as we have heard it; what is still to be drawn of the old one comes first."""
        assert self.links is not None
        for event in self._feed.take():
            self.hub.handle(event)
        tellers = [self.links.living, *(peer.living for peer in self.links.peers.values())]
        self.hub.replace(redraw(self.hub.board, merged(tellers)))

    async def _card(self, body: Json) -> Json:
        """An ACD elsewhere offers a call to an agent: the card, to the windows that are open here."""
        offer = from_record(body["offer"])
        assert isinstance(offer, OfferMade)
        return {"feeds": await self.screen_pop.push(offer, item_from(body["item"]))}


class AcdAfar:
    """The operations of routing, asked of an ACD elsewhere. Raises Unavailable without one, and what it raises."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def agents(self, _request: Request) -> Page[AgentView]:
        said = await self._links.ask(ACD, "agents", {})
        return Page[AgentView](items=[AgentView.model_validate(view) for view in said["items"]])

    async def queues(self, _request: Request) -> Page[QueueView]:
        said = await self._links.ask(ACD, "queues", {})
        return Page[QueueView](items=[QueueView.model_validate(view) for view in said["items"]])

    async def agent_why(self, request: Request) -> AgentWhy:
        extension = own_or_supervised(request, "You may ask only about yourself.")
        return AgentWhy.model_validate(await self._links.ask(ACD, "agent_why", {"extension": extension}))

    async def item_why(self, request: Request) -> ItemWhy:
        body = {"interaction_id": request.path["id"]}
        return ItemWhy.model_validate(await self._links.ask(ACD, "item_why", body))

    async def move(self, request: Request) -> ItemWhy:
        return await self._hand("move", request, {"queue": request.body.queue})

    async def give(self, request: Request) -> ItemWhy:
        return await self._hand("give", request, {"extension": request.body.extension})

    async def _hand(self, verb: str, request: Request, wanted: Json) -> ItemWhy:
        body = {"interaction_id": request.path["id"], "actor": f"user:{request.caller.name}", **wanted}
        return ItemWhy.model_validate(await self._links.ask(ACD, verb, body))

    async def set_state(self, request: Request) -> AgentView:
        extension, body = own_or_supervised(request), request.body
        wanted = {"state": body.state, "reason": body.reason}
        return await self._change("set_state", extension, request, wanted)

    async def wrap_up(self, request: Request) -> AgentView:
        extension, body = own_or_supervised(request), request.body
        if body.action == "extend":
            return await self._change("extend_wrap_up", extension, request, {"seconds": body.seconds})
        came = {"disposition": body.disposition, "note": body.note}
        return await self._change("finish_wrap_up", extension, request, came)

    async def _change(self, verb: str, extension: str, request: Request, wanted: Json) -> AgentView:
        who = {"extension": extension, "actor": f"user:{request.caller.name}"}
        return AgentView.model_validate(await self._links.ask(ACD, verb, {**who, **wanted}))


class CallsAfar:
    """Satisfies `routing.calls.http.CallDesk`, asked of an ACD elsewhere."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def do(self, order: Json, /) -> Json:
        return await self._links.ask(ACD, "call", order, deadline_s=CALL_S)


class CallbacksHere:
    """Satisfies `routing.callbacks.http.CallbackDesk` with the owner in this process."""

    def __init__(self, acd: Acd) -> None:
        self._acd = acd

    async def do(self, order: Json, /) -> Json:
        return self._acd.callbacks.do(order)


class CallbacksAfar:
    """The same, asked of an ACD elsewhere."""

    def __init__(self, links: Links) -> None:
        self._links = links

    async def do(self, order: Json, /) -> Json:
        return await self._links.ask(ACD, "callback", order)


def _meaning(error: Exception) -> AftercallError | None:
    """What an exception of a lower floor means to whoever asked over HTTP."""
    if isinstance(error, ActionRefused) and "such channel" in error.reason:
        return AftercallError("routing:gone", "The call, or the phone, is not there any more.", status=409)
    if isinstance(error, LinkDown | ActionRefused):
        structlog.get_logger().warning("switch_refused", reason=str(error))
        return Unavailable("switch", "The telephone switch does not answer now.")
    return None
