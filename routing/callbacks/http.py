"""Callbacks and missed calls over HTTP: who is to be called back, who called and was not served, and one click for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol

from pydantic import Field

from core.clock import Clock
from core.db.engine import Database
from core.errors import NotFound, Refused
from core.http.routes import Page, Request, Role, Route, Strict
from orders_bridge.model import mask_phone
from routing.callbacks import store
from routing.callbacks.where import Where

Json = dict[str, Any]
MISSED_DAYS = 7


class CallbackBody(Strict):
    """`agent`: the extension of whoever should call, if they are there. `language`: en, zh."""

    number: Annotated[str, Field(min_length=3, max_length=40)]
    queue: Annotated[str, Field(min_length=1, max_length=80)]
    note: Annotated[str, Field(max_length=500)] = ""
    agent: Annotated[str, Field(max_length=20)] = ""
    language: Annotated[str, Field(max_length=8)] = ""


class CallBackBody(Strict):
    """`queue`: another than the one they waited in."""

    queue: Annotated[str, Field(max_length=80)] = ""
    note: Annotated[str, Field(max_length=500)] = ""
    agent: Annotated[str, Field(max_length=20)] = ""


class CallbackView(Strict):
    """`state`: waiting, calling, talking, ended. `next_at`: not before then. `call_id`: the call in which the customer is,
    or will be, called; `first_id`: the one in which they asked. `outcome`: served, given_up, called_in, withdrawn."""

    id: str
    number: str
    queue: str
    state: str
    enqueued_at: datetime
    requested_at: datetime
    next_at: datetime | None
    attempts: int
    call_id: str
    first_id: str
    by: str
    outcome: str
    reason: str
    priority: int
    note: str


class MissedView(Strict):
    """`reason`: abandoned, full, timeout, no_agents, closed, callback_no_answer, …; `times`: how often since they were last
    served; `at`: the last time."""

    id: str
    number: str
    queue: str
    at: datetime
    reason: str
    times: int
    wait_s: float


class CallbackDesk(Protocol):
    """`routing.callbacks.service.Callbacks`, or the same asked of an owner elsewhere."""

    async def do(self, order: Json, /) -> Json: ...


class CallbacksHttp:
    def __init__(self, desk: CallbackDesk, database: Database, clock: Clock, where: Where) -> None:
        self._desk, self._database, self._clock, self._where = desk, database, clock, where

    async def listed(self, request: Request) -> Page[CallbackView]:
        said = await self._desk.do({"what": "list"})
        return Page[CallbackView](items=[_view(request, it) for it in said["items"]])

    async def request(self, request: Request) -> CallbackView:
        body = request.body
        return await self._ask(request, body.number, body.queue, body.note, body.agent)

    async def withdraw(self, request: Request) -> CallbackView:
        order = {"what": "withdraw", "callback_id": request.path["id"], "by": f"user:{request.caller.name}"}
        return _view(request, await self._desk.do(order))

    async def voicemail(self, request: Request) -> CallbackView:
        return _view(request, await self._desk.do({"what": "voicemail", "callback_id": request.path["id"]}))

    async def missed(self, request: Request) -> Page[MissedView]:
        items = [
            MissedView(
                id=it.id, number=_number(request, it.number), queue=it.queue, at=it.at, reason=it.reason, times=it.times,
                wait_s=round(it.wait_s, 3),
            )
            for it in await self._all_missed()
        ]  # fmt: skip
        return Page[MissedView](items=items)

    async def call_back(self, request: Request) -> CallbackView:
        missed_id, body = request.path["id"], request.body
        found = next((it for it in await self._all_missed() if it.id == missed_id), None)
        if found is None:
            raise NotFound("missed call", missed_id)
        return await self._ask(request, found.number, body.queue or found.queue, body.note, body.agent)

    async def _all_missed(self) -> list[store.Missed]:
        since = self._clock.now() - timedelta(days=MISSED_DAYS)
        async with self._database.read() as conn:
            return await store.missed(conn, since, self._where.key)

    async def _ask(self, request: Request, number: str, queue: str, note: str, agent: str) -> CallbackView:
        if agent and agent != request.caller.extension and not request.caller.may(Role.SUPERVISOR):
            raise Refused("You may name only yourself.", error_id="routing:not-yours")
        language = getattr(request.body, "language", "")
        said = await self._desk.do({
            "what": "request", "number": number, "queue": queue, "note": note, "preferred": agent, "language": language,
            "by": f"user:{request.caller.name}",
        })  # fmt: skip
        return _view(request, said)


def _number(request: Request, number: str) -> str:
    return number if request.caller.may(Role.SUPERVISOR) else mask_phone(number)


def _view(request: Request, said: Json) -> CallbackView:
    hidden = {} if request.caller.may(Role.SUPERVISOR) else {"note": ""}
    return CallbackView.model_validate({**said, "number": _number(request, said["number"]), **hidden})


def routes(desk: CallbackDesk, database: Database, clock: Clock, where: Where) -> list[Route]:
    http, boss = CallbacksHttp(desk, database, clock, where), frozenset({Role.SUPERVISOR})
    return [
        Route("GET", "/api/callbacks", http.listed, "Who is to be called back", Page[CallbackView], tag="callbacks"),
        Route("POST", "/api/callbacks", http.request, "Somebody is to be called back, with a place in the queue from now",
              CallbackView, body=CallbackBody, tag="callbacks"),
        Route("POST", "/api/callbacks/{id}/withdraw", http.withdraw, "Nobody is called back", CallbackView, roles=boss,
              tag="callbacks"),
        Route("POST", "/api/callbacks/{id}/voicemail", http.voicemail, "The agent hears a machine: it is tried again",
              CallbackView, tag="callbacks"),
        Route("GET", "/api/missed", http.missed, "Who called, waited, and has not been talked to since", Page[MissedView],
              tag="callbacks"),
        Route("POST", "/api/missed/{id}/call-back", http.call_back, "One click: the missed caller is to be called back",
              CallbackView, body=CallBackBody, tag="callbacks"),
    ]  # fmt: skip
