"""What is done to calls, over HTTP: the agent's own call for agents, every call for supervisors."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from core.errors import BadInput, Refused
from core.http.routes import Page, Request, Role, Route, Strict

Json = dict[str, Any]
Note = Annotated[str, Field(max_length=500)]


class TargetBody(Strict):
    """Exactly one of them, and what the next one should know."""

    agent: Annotated[str, Field(max_length=20)] = ""
    queue: Annotated[str, Field(max_length=80)] = ""
    number: Annotated[str, Field(max_length=40)] = ""
    entry: Annotated[str, Field(max_length=80)] = ""
    note: Note = ""

    def target(self, *, entry: bool) -> Json:
        """Raises BadInput unless it is one, and not an entry point where there must be somebody."""
        kinds = {"agent": self.agent, "queue": self.queue, "number": self.number, "entry": self.entry}
        named = [{"kind": kind, "name": name} for kind, name in kinds.items() if name]
        if len(named) != 1 or (self.entry and not entry):
            raise BadInput(
                "routing:target", "It is not clear who is meant.",
                hint="Name one of agent, queue, number" + (", entry." if entry else "; a menu cannot be asked."),
            )  # fmt: skip
        return named[0]


class ControlBody(Strict):
    """`complete`: the caller goes to whoever was asked. `abort`: back to the caller. `swap`: to the other of the two."""

    action: Literal["hold", "resume", "mute", "unmute", "complete", "abort", "swap", "conference", "park"]
    note: Note = ""


class PhoneBody(Strict):
    """At which phone; one's own when it is left out. Only supervisors may name another."""

    extension: Annotated[str, Field(max_length=20)] = ""


class SuperviseBody(PhoneBody):
    mode: Literal["monitor", "whisper", "barge", "leave"]


class HandledView(Strict):
    """`doing`: talking, held, asking (their phone rings), asked, swapped, conference, gone, ringing (yours does)."""

    interaction_id: str
    extension: str
    doing: str
    muted: bool
    target_kind: str
    target: str


class BesideView(Strict):
    interaction_id: str
    extension: str
    agent: str
    mode: str


class ParkedView(Strict):
    interaction_id: str
    queue: str
    by: str
    at: datetime
    note: str


class CallDesk(Protocol):
    """`routing.calls.service.Calls`, or the same asked of an owner elsewhere."""

    async def do(self, order: Json, /) -> Json: ...


class CallsHttp:
    def __init__(self, desk: CallDesk) -> None:
        self._desk = desk

    async def transfer(self, request: Request) -> HandledView:
        return await self._act(request, "transfer", target=request.body.target(entry=True), note=request.body.note)

    async def consult(self, request: Request) -> HandledView:
        return await self._act(request, "consult", target=request.body.target(entry=False), note=request.body.note)

    async def control(self, request: Request) -> HandledView:
        return await self._act(request, request.body.action, note=request.body.note)

    async def fetch(self, request: Request) -> HandledView:
        return HandledView.model_validate(await self._desk.do(_at_phone(request, "fetch")))

    async def take_over(self, request: Request) -> HandledView:
        return HandledView.model_validate(await self._desk.do(_at_phone(request, "take_over")))

    async def supervise(self, request: Request) -> BesideView:
        said = await self._desk.do(_at_phone(request, "supervise", mode=request.body.mode))
        return BesideView.model_validate(said)

    async def parked(self, _request: Request) -> Page[ParkedView]:
        said = await self._desk.do({"what": "parked"})
        return Page[ParkedView](items=[ParkedView.model_validate(item) for item in said["items"]])

    async def _act(self, request: Request, verb: str, **more: Any) -> HandledView:
        return HandledView.model_validate(await self._desk.do(_order(request, "act", verb=verb, **more)))


def _order(request: Request, what: str, **more: Any) -> Json:
    caller = request.caller
    return {
        "what": what, "interaction_id": request.path["id"], "by": caller.extension, "actor": f"user:{caller.name}",
        "supervisor": caller.may(Role.SUPERVISOR), **more,
    }  # fmt: skip


def _at_phone(request: Request, what: str, **more: Any) -> Json:
    order, named = _order(request, what, **more), request.body.extension
    if named and named != order["by"]:
        if not order["supervisor"]:
            raise Refused("You may use only your own telephone.", error_id="routing:not-yours")
        order["by"] = named
    return order


def routes(desk: CallDesk) -> list[Route]:
    http, boss = CallsHttp(desk), frozenset({Role.SUPERVISOR})
    not_now = (409, 429)
    return [
        Route("POST", "/api/calls/{id}/transfer", http.transfer, "Gives the caller to somebody else at once", HandledView,
              body=TargetBody, tag="calls", errors=not_now),
        Route("POST", "/api/calls/{id}/consult", http.consult, "Asks somebody while the caller hears music", HandledView,
              body=TargetBody, tag="calls", errors=not_now),
        Route("POST", "/api/calls/{id}/control", http.control, "Hold, mute, complete or abort a consult, conference, park",
              HandledView, body=ControlBody, tag="calls", errors=not_now),
        Route("POST", "/api/calls/{id}/fetch", http.fetch, "Brings a parked caller to one's own phone", HandledView,
              body=PhoneBody, tag="calls", errors=not_now),
        Route("POST", "/api/calls/{id}/take-over", http.take_over, "Brings a talking caller to the supervisor's own phone",
              HandledView, body=PhoneBody, roles=boss, tag="calls", errors=not_now),
        Route("POST", "/api/calls/{id}/supervise", http.supervise, "Monitor, whisper to the agent, barge in, leave",
              BesideView, body=SuperviseBody, roles=boss, tag="calls", errors=not_now),
        Route("GET", "/api/parked", http.parked, "Callers who are parked", Page[ParkedView], tag="calls", errors=not_now),
    ]  # fmt: skip
