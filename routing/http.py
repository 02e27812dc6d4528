"""Routing over HTTP: agents and their states, queues and who waits in them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import Field

from core.errors import Refused
from core.http.routes import Page, Request, Role, Route, Strict
from routing.acd import Acd
from routing.agent import Agent
from routing.explain import AgentWhy, ItemWhy, Reason, agent_why, in_order, item_why, reason_of, why_waiting
from routing.ground import sentence
from routing.model import WorkItem


class AgentView(Strict):
    """`available` = may be offered a call now. `until` = end of wrap-up. `wanted` = asked for during the call."""

    extension: str
    name: str
    state: str
    reason: str
    since: datetime | None
    until: datetime | None
    wanted: str
    reachable: bool
    in_use: bool
    available: bool
    skills: dict[str, int]
    teams: list[str]


class StateBody(Strict):
    state: Literal["READY", "NOT_READY", "OFFLINE"]
    reason: Annotated[str, Field(max_length=60)] = ""


class WrapUpBody(Strict):
    """`finish` with what came of the call, or `extend` by `seconds` from now."""

    action: Literal["finish", "extend"]
    disposition: Annotated[str, Field(max_length=60)] = ""
    note: Annotated[str, Field(max_length=2000)] = ""
    seconds: Annotated[float, Field(gt=0, le=3600)] = 30


class MoveBody(Strict):
    queue: Annotated[str, Field(min_length=1, max_length=80)]


class GiveBody(Strict):
    extension: Annotated[str, Field(min_length=1, max_length=20)]


class WaitingView(Strict):
    """`reasons`: why nobody has taken them yet; `why`: the same as a sentence."""

    interaction_id: str
    enqueued_at: datetime
    language: str
    priority: int
    attempts: int
    why: str
    reasons: list[Reason]


class QueueView(Strict):
    name: str
    skills: dict[str, int]
    ring_s: float
    wrap_up_s: float
    waiting: list[WaitingView]


def agent_view(agent: Agent) -> AgentView:
    return AgentView(
        extension=agent.extension, name=agent.name, state=agent.state, reason=agent.reason, since=agent.since,
        until=agent.wrap_up_until, wanted=agent.wanted or "", reachable=agent.reachable, in_use=agent.in_use,
        available=agent.available, skills=dict(agent.skills), teams=sorted(agent.teams),
    )  # fmt: skip


def agent_views(acd: Acd) -> list[AgentView]:
    return [agent_view(agent) for agent in sorted(acd.book.agents.values(), key=lambda agent: agent.extension)]


def queue_views(acd: Acd) -> list[QueueView]:
    """The queues that are configured, and those in which somebody waits all the same."""
    names = sorted({*acd.book.queues, *(item.queue for item in acd.book.waiting.values())})
    return [_queue(acd, name) for name in names]


class RoutingHttp:
    """The operations over an ACD in this process."""

    def __init__(self, acd: Acd) -> None:
        self._acd = acd

    async def agents(self, _request: Request) -> Page[AgentView]:
        return Page[AgentView](items=agent_views(self._acd))

    async def set_state(self, request: Request) -> AgentView:
        extension, body = own_or_supervised(request), request.body
        return agent_view(self._acd.set_state(extension, body.state, body.reason, actor=f"user:{request.caller.name}"))

    async def wrap_up(self, request: Request) -> AgentView:
        extension, body = own_or_supervised(request), request.body
        actor = f"user:{request.caller.name}"
        if body.action == "extend":
            return agent_view(self._acd.extend_wrap_up(extension, body.seconds, actor=actor))
        return agent_view(
            self._acd.finish_wrap_up(extension, disposition=body.disposition, note=body.note, actor=actor)
        )

    async def queues(self, _request: Request) -> Page[QueueView]:
        return Page[QueueView](items=queue_views(self._acd))

    async def move(self, request: Request) -> ItemWhy:
        ix = request.path["id"]
        self._acd.move(ix, request.body.queue, actor=f"user:{request.caller.name}")
        return item_why(self._acd, ix)

    async def give(self, request: Request) -> ItemWhy:
        ix = request.path["id"]
        self._acd.give(ix, request.body.extension, actor=f"user:{request.caller.name}")
        return item_why(self._acd, ix)

    async def agent_why(self, request: Request) -> AgentWhy:
        return agent_why(self._acd, own_or_supervised(request, "You may ask only about yourself."))

    async def item_why(self, request: Request) -> ItemWhy:
        return item_why(self._acd, request.path["id"])


def _queue(acd: Acd, name: str) -> QueueView:
    policy = acd.book.policy(name)
    items = [item for item in in_order(acd) if item.queue == name]
    return QueueView(
        name=name, skills=dict(policy.skills), ring_s=policy.ring_s, wrap_up_s=policy.wrap_up_s,
        waiting=[_waiting(acd, item) for item in items],
    )  # fmt: skip


def _waiting(acd: Acd, item: WorkItem) -> WaitingView:
    whys = why_waiting(acd, item)
    return WaitingView(
        interaction_id=item.interaction_id, enqueued_at=item.enqueued_at, language=item.language,
        priority=item.priority, attempts=item.attempts, why=sentence(whys),
        reasons=[reason_of(why) for why in whys],
    )  # fmt: skip


def own_or_supervised(request: Request, refusal: str = "You may change only your own state.") -> str:
    """The extension in the path, when the caller may act for it. Raises Refused."""
    extension = request.path["ext"]
    if request.caller.extension != extension and not request.caller.may(Role.SUPERVISOR):
        raise Refused(refusal, error_id="routing:not-yours")
    return extension


class Operations(Protocol):
    """What the routes need: `RoutingHttp`, or the same asked of an ACD elsewhere."""

    async def agents(self, request: Request, /) -> Page[AgentView]: ...
    async def set_state(self, request: Request, /) -> AgentView: ...
    async def wrap_up(self, request: Request, /) -> AgentView: ...
    async def queues(self, request: Request, /) -> Page[QueueView]: ...
    async def agent_why(self, request: Request, /) -> AgentWhy: ...
    async def item_why(self, request: Request, /) -> ItemWhy: ...
    async def move(self, request: Request, /) -> ItemWhy: ...
    async def give(self, request: Request, /) -> ItemWhy: ...


def routes(acd: Acd) -> list[Route]:
    return routes_of(RoutingHttp(acd))


def routes_of(http: Operations) -> list[Route]:
    return [
        Route("GET", "/api/agents", http.agents, "Agents with their states and phones", Page[AgentView], tag="routing"),
        Route("POST", "/api/agents/{ext}/state", http.set_state, "Puts an agent READY, NOT_READY(reason) or OFFLINE",
              AgentView, body=StateBody, tag="routing"),
        Route("POST", "/api/agents/{ext}/wrap-up", http.wrap_up, "Finishes or extends after-call work", AgentView,
              body=WrapUpBody, tag="routing"),
        Route("GET", "/api/agents/{ext}/why", http.agent_why, "Why this agent is given calls, or is not", AgentWhy,
              tag="routing"),
        Route("GET", "/api/items/{id}/why", http.item_why, "Why this caller waits, or was given to whom", ItemWhy,
              roles=frozenset({Role.SUPERVISOR}), tag="routing"),
        Route("POST", "/api/items/{id}/move", http.move, "Moves a waiting caller into another queue, with their wait", ItemWhy,
              body=MoveBody, roles=frozenset({Role.SUPERVISOR}), tag="routing"),
        Route("POST", "/api/items/{id}/give", http.give, "Gives a waiting caller to an agent, ahead of everybody", ItemWhy,
              body=GiveBody, roles=frozenset({Role.SUPERVISOR}), tag="routing"),
        Route("GET", "/api/queues", http.queues, "Queues and who waits in them", Page[QueueView], tag="routing"),
    ]  # fmt: skip
