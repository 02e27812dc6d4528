"""Agents and queues over HTTP: who may change whom, and one clear answer to every bad body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from core.clock import SystemClock
from core.events import DomainEvent, pbx
from core.events.stream import EventStream
from core.http.routes import Caller, Role
from core.http.server import HttpOptions, mount, new_app, serve
from core.ids import CountingIds
from routing.acd import Acd
from routing.http import routes
from routing.model import AgentRecord
from routing.policy.model import Policy, QueuePolicy

LI = Caller(user_id="u1", name="li", roles=frozenset({Role.AGENT}), extension="101")
CHEN = Caller(user_id="u2", name="chen", roles=frozenset({Role.SUPERVISOR}))
ROOT = Caller(user_id="u3", name="root", roles=frozenset({Role.ADMIN}))
NOBODY = Caller(user_id="u4", name="temp", roles=frozenset({Role.AGENT}))  # an agent without a phone


class People:
    known = {"li": LI, "chen": CHEN, "root": ROOT, "temp": NOBODY}

    async def caller_for_session(self, token: str) -> Caller | None:
        return None

    async def caller_for_token(self, token: str) -> Caller | None:
        return self.known.get(token)


class Phones:
    """Rings and tells nothing."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    async def offer(self, **order: Any) -> str:
        self.rung.append(order["extension"])
        return f"{order['interaction_id']}-{order['offer_id']}"

    async def cancel_offer(self, leg_id: str) -> None:
        return None

    async def set_variables(self, channel: str, values: Any) -> None:
        return None

    async def push(self, offer: Any, item: Any) -> None:
        return None


class Desk:
    def __init__(self, client: aiohttp.ClientSession, acd: Acd, stream: EventStream, told: list[DomainEvent]) -> None:
        self.client, self.acd, self.stream, self.told = client, acd, stream, told
        self.clock = SystemClock()

    async def ask(self, method: str, path: str, who: str = "chen", **more: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {who}", **more.pop("headers", {})}
        async with self.client.request(method, path, headers=headers, **more) as answer:
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
            return answer.status, await answer.json(content_type=None)

    async def tell(self, fact: DomainEvent) -> None:
        self.stream.emit(fact)
        while self.acd._inbox._events:
            await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def device(self, extension: str) -> None:
        await self.tell(pbx.AgentDeviceChanged(at=self.clock.now(), extension=extension, reachable=True))

    async def wait(self, ix: str, queue: str = "service", **skills: int) -> None:
        now = self.clock.now()
        await self.tell(pbx.CallWaiting(
            interaction_id=ix, at=now, channel=f"PJSIP/trunk-{ix}", queue=queue, enqueued_at=now, skills=skills
        ))  # fmt: skip

    async def link(self) -> None:
        await self.tell(pbx.SwitchLinkChanged(at=self.clock.now(), node="n1", up=True))

    async def talked(self, extension: str) -> None:
        """A whole call, up to the after-call work."""
        names = {"interaction_id": "ix-t", "leg_id": "ix-t-p1", "offer_id": "p1", "extension": extension}
        now = self.clock.now()
        await self.wait("ix-t")
        await self.tell(pbx.CallConnected(at=now, **names))
        await self.tell(pbx.LegEnded(at=now, cause=16, answered=True, **names))


@asynccontextmanager
async def opened() -> AsyncIterator[Desk]:
    told: list[DomainEvent] = []

    class Journal:
        def emit(self, event: DomainEvent) -> None:
            told.append(event)

    stream, phones = EventStream(Journal()), Phones()
    acd = Acd(
        telephony=phones, screen_pop=phones, stream=stream, clock=SystemClock(), ids=CountingIds("o"),
        policy=Policy({"service": QueuePolicy("service", {"service": 1}), "zh": QueuePolicy("zh", {"zh": 3})}),
        agents=[AgentRecord("101", "Li Na", {"service": 3}), AgentRecord("102", "Wang", {"service": 1})],
    )  # fmt: skip
    options = HttpOptions(ids=CountingIds("req"))
    app = new_app(options)
    mount(app, routes(acd), People(), options)
    async with asyncio.TaskGroup() as group, serve(app, "127.0.0.1", 0) as port:
        running = group.create_task(acd.run())
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            yield Desk(client, acd, stream, told)
        running.cancel()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with opened() as it:
        yield it


async def test_an_agent_changes_their_own_state_and_it_is_told_who_did(desk: Desk) -> None:
    status, view = await desk.ask("POST", "/api/agents/101/state", "li", json={"state": "NOT_READY", "reason": "lunch"})
    assert status == 200
    assert (view["extension"], view["state"], view["reason"], view["available"]) == ("101", "NOT_READY", "lunch", False)
    assert desk.told[-1].actor == "user:li"  # type: ignore[attr-defined]
    status, view = await desk.ask("POST", "/api/agents/101/state", "li", json={"state": "READY"})
    assert (status, view["state"]) == (200, "READY")


@pytest.mark.parametrize(
    "body", [("state", {"state": "READY"}), ("wrap-up", {"action": "finish"})], ids=["state", "wrap-up"]
)
@pytest.mark.parametrize("who", ["li", "temp"])
async def test_an_agent_changes_nobody_else(desk: Desk, who: str, body: tuple[str, dict[str, str]]) -> None:
    for extension in ("102", "999"):  # whether there is such an agent is nobody's business either
        status, problem = await desk.ask("POST", f"/api/agents/{extension}/{body[0]}", who, json=body[1])
        assert (status, problem["id"]) == (403, "routing:not-yours")
    assert desk.told == [] and desk.acd.book.agents["102"].state == "OFFLINE"


@pytest.mark.parametrize("who", ["chen", "root"])
async def test_a_supervisor_changes_anybody(desk: Desk, who: str) -> None:
    status, view = await desk.ask("POST", "/api/agents/102/state", who, json={"state": "READY"})
    assert (status, view["state"]) == (200, "READY")
    assert desk.told[-1].actor == f"user:{who}"  # type: ignore[attr-defined]
    status, problem = await desk.ask("POST", "/api/agents/999/state", who, json={"state": "READY"})
    assert (status, problem["id"]) == (404, "core:agent-not-found")


async def test_who_is_not_logged_in_sees_and_changes_nothing(desk: Desk) -> None:
    for method, path in [("GET", "/api/agents"), ("GET", "/api/queues"), ("POST", "/api/agents/101/state"),
                         ("POST", "/api/agents/101/wrap-up")]:  # fmt: skip
        status, problem = await desk.ask(method, path, "stranger", json={"state": "READY"})
        assert (status, problem["id"]) == (401, "http:login-needed")
    assert desk.told == []


BAD_STATES: list[dict[str, Any]] = [
    {"json": {}}, {"json": {"state": "ENGAGED"}}, {"json": {"state": "ready"}}, {"json": {"state": None}},
    {"json": {"state": "READY", "extra": 1}}, {"json": {"state": "NOT_READY", "reason": "x" * 61}},
    {"json": {"state": "NOT_READY", "reason": 7}}, {"json": ["READY"]}, {"data": b"{"}, {"data": b""},
    {"data": b'{"state":"READY","state":"OFFLINE"}'}, {"data": b"\xff\xfe"},
]  # fmt: skip
BAD_WRAP_UPS: list[dict[str, Any]] = [
    {"json": {}}, {"json": {"action": "begin"}}, {"json": {"action": "extend", "seconds": 0}},
    {"json": {"action": "extend", "seconds": 3601}}, {"data": b'{"action":"extend","seconds":NaN}'},
    {"json": {"action": "extend", "seconds": "soon"}}, {"json": {"action": "finish", "disposition": "x" * 61}},
    {"json": {"action": "finish", "note": "x" * 2001}},
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_STATES, ids=str)
async def test_a_bad_state_is_answered_with_one_problem_and_changes_nothing(desk: Desk, body: dict[str, Any]) -> None:
    status, problem = await desk.ask(
        "POST", "/api/agents/101/state", "li", headers={"Content-Type": "application/json"}, **body
    )
    assert status in (400, 422) and problem["id"].startswith("http:")
    assert desk.told == []


@pytest.mark.parametrize("body", BAD_WRAP_UPS, ids=lambda body: str(body)[:60])
async def test_a_bad_wrap_up_is_answered_with_one_problem_and_ends_nothing(desk: Desk, body: dict[str, Any]) -> None:
    await desk.talked("101")
    told = len(desk.told)
    status, problem = await desk.ask(
        "POST", "/api/agents/101/wrap-up", "li", headers={"Content-Type": "application/json"}, **body
    )
    assert status in (400, 422) and problem["id"].startswith("http:")
    assert len(desk.told) == told and desk.acd.book.agents["101"].state == "WRAP_UP"


async def test_after_call_work_is_extended_and_finished_with_what_came_of_it(desk: Desk) -> None:
    await desk.ask("POST", "/api/agents/101/state", "li", json={"state": "READY"})
    await desk.talked("101")
    status, view = await desk.ask("POST", "/api/agents/101/wrap-up", "li", json={"action": "extend", "seconds": 120})
    assert (status, view["state"]) == (200, "WRAP_UP") and view["until"] is not None
    status, view = await desk.ask(
        "POST", "/api/agents/101/wrap-up", "li", json={"action": "finish", "disposition": "refund", "note": "Friday"}
    )
    assert (status, view["state"], view["until"]) == (200, "READY", None)
    ended = next(event for event in desk.told if event.kind == "WrapUpEnded")
    assert (ended.interaction_id, ended.disposition, ended.note) == ("ix-t", "refund", "Friday")  # type: ignore[attr-defined]


async def test_without_after_call_work_there_is_nothing_to_finish(desk: Desk) -> None:
    for body in ({"action": "finish"}, {"action": "extend", "seconds": 5}):
        status, problem = await desk.ask("POST", "/api/agents/101/wrap-up", "li", json=body)
        assert (status, problem["id"]) == (422, "routing:no-wrap-up")


async def test_what_is_asked_for_during_a_call_shows_as_wanted(desk: Desk) -> None:
    names = {"interaction_id": "ix-t", "leg_id": "ix-t-p1", "offer_id": "p1", "extension": "101"}
    await desk.tell(pbx.CallConnected(at=desk.clock.now(), **names))
    status, view = await desk.ask("POST", "/api/agents/101/state", "li", json={"state": "NOT_READY", "reason": "lunch"})
    assert (status, view["state"], view["wanted"]) == (200, "ENGAGED", "NOT_READY")


async def test_the_lists_show_agents_and_who_waits_first_with_why(desk: Desk) -> None:
    await desk.wait("ix-2", "zh")
    await desk.wait("ix-1")
    await desk.wait("ix-3")
    await desk.wait("ix-4", "unheard-of")
    _, agents = await desk.ask("GET", "/api/agents", "li")
    assert [(a["extension"], a["state"], a["skills"]) for a in agents["items"]] == [
        ("101", "OFFLINE", {"service": 3}), ("102", "OFFLINE", {"service": 1}),
    ]  # fmt: skip
    _, queues = await desk.ask("GET", "/api/queues", "li")
    shown = {queue["name"]: [item["interaction_id"] for item in queue["waiting"]] for queue in queues["items"]}
    assert shown == {"service": ["ix-1", "ix-3"], "unheard-of": ["ix-4"], "zh": ["ix-2"]}


async def test_why_a_caller_waits_is_said_in_words(desk: Desk) -> None:
    async def why(queue: str) -> str:
        _, queues = await desk.ask("GET", "/api/queues")
        return str(next(it for it in queues["items"] if it["name"] == queue)["waiting"][0]["why"])

    await desk.wait("ix-1")
    await desk.wait("ix-2", "zh")
    assert await why("service") == "the telephone switch does not answer"
    await desk.link()
    assert await why("service") == "Li Na's phone is not reachable; Wang's phone is not reachable"
    await desk.device("101")
    assert (await why("service")).startswith("Li Na is OFFLINE")
    assert await why("zh") == "Li Na lacks the skill zh; Wang lacks the skill zh", "free or not, they may not take it"


async def test_who_says_ready_with_somebody_waiting_is_shown_with_the_call_coming(desk: Desk) -> None:
    await desk.device("101")
    await desk.link()
    await desk.wait("ix-1")
    status, view = await desk.ask("POST", "/api/agents/101/state", "li", json={"state": "READY"})
    assert (status, view["state"]) == (200, "RESERVED")


async def test_why_an_agent_gets_no_calls_is_answered_in_words_with_what_to_do(desk: Desk) -> None:
    await desk.link()
    status, why = await desk.ask("GET", "/api/agents/101/why", "chen")
    assert status == 200 and why["headline"] == "Li Na's phone is not reachable"
    assert why["reasons"][0]["reason"] == "unreachable" and "not registered" in why["reasons"][0]["hint"]
    await desk.device("101")
    status, why = await desk.ask("GET", "/api/agents/101/why", "li")
    assert why["reasons"][0]["reason"] == "state" and why["headline"] == "Li Na is OFFLINE"
    await desk.ask("POST", "/api/agents/101/state", "li", json={"state": "READY"})
    await desk.wait("ix-z", queue="zh")
    status, why = await desk.ask("GET", "/api/agents/101/why", "li")
    assert why["reasons"] == [] and why["available"] and "for something else" in why["headline"]
    (zh,) = (queue for queue in why["queues"] if queue["queue"] == "zh")
    assert (zh["waiting"], zh["could_take"], zh["words"]) == (1, 0, "1 wait; Li Na lacks the skill zh")
    assert (zh["reason"]["reason"], zh["reason"]["facts"]["skill"]) == ("skill", "zh")
    assert (why["summary"]["reason"], why["summary"]["facts"]) == ("other_wanted", {"name": "Li Na", "waiting": 1})
    status, problem = await desk.ask("GET", "/api/agents/102/why", "li")
    assert (status, problem["id"]) == (403, "routing:not-yours")


async def test_why_a_caller_waits_names_what_they_ask_for_and_each_agents_reason(desk: Desk) -> None:
    await desk.link()
    await desk.wait("ix-z", queue="zh")
    status, why = await desk.ask("GET", "/api/items/ix-z/why", "chen")
    assert status == 200 and (why["state"], why["position"], why["asks_for"]) == ("waiting", 1, {"zh": 3})
    assert {one["extension"]: one["reason"]["reason"] for one in why["agents"]} == {"101": "skill", "102": "skill"}
    assert [(one["reason"], one["facts"]["skill"]) for one in why["reasons"]] == [("skill", "zh"), ("skill", "zh")]
    _, queues = await desk.ask("GET", "/api/queues")
    (waits,) = next(queue for queue in queues["items"] if queue["name"] == "zh")["waiting"]
    assert waits["reasons"] == why["reasons"], "the queue says the same"
    assert (await desk.ask("GET", "/api/items/ix-z/why", "li"))[0] == 403
    assert (await desk.ask("GET", "/api/items/nobody/why", "chen"))[0] == 404


async def test_a_supervisor_moves_a_waiting_caller_and_gives_them_to_whom_they_name(desk: Desk) -> None:
    await desk.link()
    await desk.wait("ix-z", queue="zh")
    came = desk.acd.book.waiting["ix-z"].enqueued_at
    status, why = await desk.ask("POST", "/api/items/ix-z/move", "chen", json={"queue": "service"})
    assert status == 200 and why["queue"] == "service" and desk.acd.book.waiting["ix-z"].enqueued_at == came
    assert (await desk.ask("POST", "/api/items/ix-z/move", "chen", json={"queue": "nowhere"}))[0] == 404
    assert (await desk.ask("POST", "/api/items/ix-z/move", "li", json={"queue": "zh"}))[0] == 403
    status, problem = await desk.ask("POST", "/api/items/ix-z/give", "chen", json={"extension": "102"})
    assert (status, problem["id"]) == (422, "routing:cannot-take") and "Wang" in problem["title"]
    await desk.ask("POST", "/api/items/ix-z/move", "chen", json={"queue": "zh"})
    await desk.device("102")
    await desk.ask("POST", "/api/agents/102/state", "chen", json={"state": "READY"})
    status, why = await desk.ask("POST", "/api/items/ix-z/give", "chen", json={"extension": "102"})
    assert (
        status == 200
        and why["state"] == "offered"
        and why["chosen"].startswith("given by user:chen, although Wang lacks")
        and [one["reason"] for one in why["chosen_for"]] == ["given", "skill"]
    )
