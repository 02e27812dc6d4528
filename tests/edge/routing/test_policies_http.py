"""Policies over HTTP: everything that is wrong comes back with its place, nothing bad is published, and only admins publish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema_rs
import pytest

from core.audit import audit_table
from core.clock import ManualClock
from core.db import migrate
from core.db.engine import Database
from core.events.stream import EventStream
from core.http.openapi import document
from core.http.server import HttpOptions, mount, new_app, serve
from core.ids import CountingIds
from routing.acd import Acd
from routing.model import AgentRecord, WorkItem
from routing.policy.desk import PolicyDesk
from routing.policy.document import Document
from routing.policy.dry_run import situation_from, situation_record
from routing.policy.http import routes, situation_of
from routing.policy.model import Policy, QueuePolicy
from routing.policy.store import policy_table
from tests.edge.routing.test_routing_http import People, Phones

RULES = Policy({"service": QueuePolicy("service", {"service": 3}, max_wait_s=900)})
TEXT = "queues: {service: {skills: {service: 3}, max_wait_s: 900}}\n"
GOLD = """
classes: {gold: {base_points: 60}}
queues:
  service:
    skills: {service: 3}
    class_of_tier: {gold: gold}
    rings: [{after_s: 60, lower: {service: 2}}]
    max_wait_s: 200
"""
SURGE = TEXT + "surge: {service: {max_waiting: 40}}\n"


class Desk:
    def __init__(self, client: aiohttp.ClientSession, acd: Acd, desk: PolicyDesk, database: Database) -> None:
        self.client, self.acd, self.desk, self.database = client, acd, desk, database
        self.clock = acd.book.clock

    async def ask(self, method: str, path: str, who: str = "chen", **more: Any) -> tuple[int, Any]:
        async with self.client.request(method, path, headers={"Authorization": f"Bearer {who}"}, **more) as answer:
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json"
            return answer.status, await answer.json(content_type=None)

    async def publish(self, text: str, revision: int, who: str = "root", note: str = "") -> tuple[int, Any]:
        body = {"text": text, "revision": revision, "note": note}
        return await self.ask("POST", "/api/policies", who, json=body)

    def wait(self, ix: str, waited_s: float, **more: Any) -> None:
        at = self.clock.now() - timedelta(seconds=waited_s)
        self.acd.book.wait(WorkItem(ix, "service", f"PJSIP/{ix}", at, **more))

    async def count(self, table: Any) -> int:
        async with self.database.read() as conn:
            return len((await conn.execute(table.select())).all())


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Desk]:
    phones: Any = Phones()
    url, clock, stream = f"sqlite:///{folder}/house.sqlite", ManualClock(), EventStream()
    await migrate.migrate(url)
    database = await Database.open(url, clock=clock, ids=CountingIds(), stream=stream)
    try:
        agents = [AgentRecord("101", "Li Na", {"service": 3}), AgentRecord("102", "Wang", {"service": 1})]
        acd = Acd(
            telephony=phones, screen_pop=phones, stream=stream, clock=clock, ids=CountingIds("o"), policy=RULES,
            agents=agents,
        )  # fmt: skip
        desk = PolicyDesk(database, clock, Document(RULES), apply=acd.set_policy)
        await desk.load()

        async def situation() -> Any:
            return situation_from(situation_record(situation_of(acd.book)))  # as it comes from another process

        options = HttpOptions(ids=CountingIds("req"))
        app = new_app(options)
        mount(app, routes(desk, situation, clock), People(), options)
        async with (
            serve(app, "127.0.0.1", 0) as port,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
        ):
            yield Desk(client, acd, desk, database)
    finally:
        await database.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with opened(tmp_path) as it:
        yield it


def ready(desk: Desk, *extensions: str) -> None:
    for extension in extensions:
        desk.acd.book.device(extension, reachable=True, in_use=False)
        desk.acd.set_state(extension, "READY", actor="user:test")


async def test_until_anybody_publishes_the_settings_are_shown_as_a_text_that_can_be_published(desk: Desk) -> None:
    status, shown = await desk.ask("GET", "/api/policies/current")
    assert (status, shown["version"], shown["published"]) == (200, 0, None)
    assert shown["parsed"]["queues"]["service"]["max_wait_s"] == 900
    assert shown["parsed"]["queues"]["service"]["callback"]["window"] == "09:00-20:00", "defaults are shown too"
    status, shown = await desk.publish(shown["text"], 0)
    assert (status, shown["version"]) == (200, 1)


async def test_what_is_published_is_in_force_shown_and_listed(desk: Desk) -> None:
    status, shown = await desk.publish(GOLD, 0, note="gold first")
    assert status == 200 and shown["text"] == GOLD
    assert shown["published"]["author"] == "user:root" and shown["published"]["note"] == "gold first"
    assert desk.acd.book.policy("service").max_wait_s == 200, "the owner of the queues lives by it"
    await desk.publish(TEXT, 1)
    _, first = await desk.ask("GET", "/api/policies?limit=1")
    _, rest = await desk.ask("GET", f"/api/policies?limit=1&after={first['next']}")
    assert [one["version"] for one in [*first["items"], *rest["items"]]] == [2, 1] and rest["next"] is None


async def test_every_problem_comes_back_with_its_place_and_nothing_is_published(desk: Desk) -> None:
    bad = "queues:\n  service:\n    wrap_up: 3\n    rings:\n      - {after_s: 9, lower: {service: 7}}\n"
    status, problem = await desk.publish(bad, 0)
    assert (status, problem["id"]) == (422, "routing:policy")
    assert problem["errors"] == [
        {"at": "queues.service.wrap_up",
         "message": "line 3, column 5: 'wrap_up' is not a key of a queue; did you mean 'wrap_up_s'?"},
        {"at": "queues.service.rings[0].lower.service",
         "message": "line 5, column 39: 7 is not possible here; write 1 to 4"},
    ]  # fmt: skip
    status, told = await desk.ask("POST", "/api/policies/check", json={"text": bad})
    assert status == 200 and not told["good"]
    assert [(one["line"], one["column"], one["path"]) for one in told["problems"]] == [
        (3, 5, "queues.service.wrap_up"), (5, 39, "queues.service.rings[0].lower.service"),
    ]  # fmt: skip
    status, told = await desk.ask("POST", "/api/policies/check", json={"text": TEXT})
    assert told == {"good": True, "problems": []}
    status, problem = await desk.ask("POST", "/api/policies/dry-run", json={"text": bad})
    assert (status, problem["id"], len(problem["errors"])) == (422, "routing:policy", 2)
    assert await desk.count(policy_table) == 0 and await desk.count(audit_table) == 0


async def test_whoever_publishes_on_an_old_version_is_told_so(desk: Desk) -> None:
    await desk.publish(TEXT, 0)
    status, problem = await desk.publish(GOLD, 0)
    assert (status, problem["id"]) == (409, "routing:policy-changed")
    answers = await asyncio.gather(*(desk.publish(f"{GOLD}# {n}\n", 1) for n in range(5)))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409, 409]


async def test_an_old_version_comes_back_as_a_new_one(desk: Desk) -> None:
    await desk.publish(TEXT, 0)
    await desk.publish(GOLD, 1)
    status, shown = await desk.ask("POST", "/api/policies/1/rollback", "root", json={"revision": 2, "note": "calmer"})
    assert (status, shown["version"], shown["text"], shown["published"]["rollback_of"]) == (200, 3, TEXT, 1)
    for number in ("9", "0", "x", "99999999999999999999", "-1", "１"):
        status, problem = await desk.ask("POST", f"/api/policies/{number}/rollback", "root", json={"revision": 3})
        assert (status, problem["id"]) == (404, "core:policy-version-not-found"), number
    status, problem = await desk.ask("POST", "/api/policies/2/rollback", "root", json={"revision": 1})
    assert (status, problem["id"]) == (409, "routing:policy-changed")


PATHS = [
    ("GET", "/api/policies/current", None, "chen"), ("GET", "/api/policies", None, "chen"),
    ("POST", "/api/policies/check", {"text": TEXT}, "chen"), ("POST", "/api/policies/dry-run", {"text": TEXT}, "chen"),
    ("GET", "/api/policies/schema", None, "chen"), ("POST", "/api/surge", {"on": False}, "chen"),
    ("POST", "/api/policies", {"text": TEXT, "revision": 0}, "root"),
    ("POST", "/api/policies/1/rollback", {"revision": 0}, "root"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "least"), PATHS, ids=lambda it: str(it)[:30])
async def test_supervisors_read_check_and_try_and_only_admins_publish(
    desk: Desk, method: str, path: str, body: Any, least: str
) -> None:
    for who, refused in (("stranger", 401), ("li", 403), *([("chen", 403)] if least == "root" else [])):
        status, _ = await desk.ask(method, path, who, json=body)
        assert status == refused, who
    assert await desk.count(policy_table) == 0
    status, _ = await desk.ask(method, path, least, json=body)
    assert status in (200, 404)


BAD_BODIES = [
    ("/api/policies", {}), ("/api/policies", {"text": TEXT}), ("/api/policies", {"text": TEXT, "revision": -1}),
    ("/api/policies", {"text": TEXT, "revision": "0"}), ("/api/policies", {"text": TEXT, "revision": 0, "note": "x" * 501}),
    ("/api/policies", {"text": "x" * 262_145, "revision": 0}), ("/api/policies", {"text": None, "revision": 0}),
    ("/api/policies/check", {"text": TEXT, "more": 1}), ("/api/surge", {"on": True, "for_s": 86_401}),
    ("/api/surge", {"on": True, "for_s": 0}), ("/api/surge", {"on": "yes"}), ("/api/surge", {}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), BAD_BODIES, ids=lambda it: str(it)[:40])
async def test_a_bad_body_is_answered_with_one_problem_and_changes_nothing(desk: Desk, path: str, body: Any) -> None:
    status, problem = await desk.ask("POST", path, "root", json=body)
    assert status == 422 and problem["id"] == "http:invalid"
    assert await desk.count(policy_table) == 0 and await desk.count(audit_table) == 0


async def test_a_dry_run_says_who_would_go_first_who_could_take_them_and_changes_nothing(desk: Desk) -> None:
    desk.wait("ix-plain", 120)
    desk.wait("ix-gold", 10, tier="gold")
    desk.wait("ix-old", 500, skills={"zh": 1})
    ready(desk, "102")
    before = dict(desk.acd.book.waiting)
    status, told = await desk.ask("POST", "/api/policies/dry-run", json={"text": GOLD})
    assert status == 200
    items = {item["interaction_id"]: item for item in told["items"]}
    assert [item["interaction_id"] for item in told["items"]] == ["ix-gold", "ix-old", "ix-plain"]
    gold, plain_, old = items["ix-gold"], items["ix-plain"], items["ix-old"]
    assert (gold["before"]["position"], gold["after"]["position"]) == (3, 1)
    assert (gold["after"]["ring"], gold["after"]["widens_in_s"], gold["after"]["could_take"]) == (0, 50, [])
    assert plain_["before"]["skills"] == {"service": 3} and plain_["after"]["skills"] == {"service": 1}
    assert (plain_["before"]["assigned"], plain_["after"]["assigned"]) == ("", "102"), "the ring of 60 s lets Wang help"
    assert plain_["after"]["could_take"] == ["102"]
    assert (old["after"]["ever"], old["after"]["leaves"], old["before"]["leaves"]) == (0, "voicemail", "")
    assert told["summary"] == {
        "waiting": 3, "changed": 3, "earlier": 1, "later": 2, "served_before": 0, "served_after": 1, "stuck_before": 3,
        "stuck_after": 2, "leaving": 1, "unknown_queues": [],
    }  # fmt: skip
    assert desk.acd.book.waiting == before and desk.acd.book.agents["102"].state == "READY"
    assert desk.acd.book.policy("service") == RULES.queues["service"] and await desk.count(policy_table) == 0


async def test_who_waits_is_served_at_once_when_new_rules_let_somebody_help(desk: Desk) -> None:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(desk.acd.run())
        await asyncio.sleep(0)
        desk.acd.link_up = True
        desk.wait("ix-1", 90)
        ready(desk, "102")
        assert "ix-1" in desk.acd.book.waiting, "Wang's level is too low"
        await desk.publish(GOLD, 0)
        assert [offer.extension for offer in desk.acd.book.offers_for("ix-1")] == ["102"]
        running.cancel()


async def test_a_dry_run_of_the_rules_in_force_changes_nobody(desk: Desk) -> None:
    for n in range(20):
        desk.wait(f"ix-{n}", 10.0 * n)
    _, told = await desk.ask("POST", "/api/policies/dry-run", json={"text": TEXT})
    assert told["summary"]["changed"] == 0
    _, told = await desk.ask("POST", "/api/policies/dry-run", json={"text": "queues: {other: {}}"})
    assert told["summary"]["unknown_queues"] == ["service"]


async def test_the_surge_is_switched_for_a_time_and_shown(desk: Desk) -> None:
    status, problem = await desk.ask("POST", "/api/surge", json={"on": True})
    assert (status, problem["id"]) == (422, "routing:no-surge")
    await desk.publish(SURGE, 0)
    status, shown = await desk.ask("POST", "/api/surge", json={"on": True, "note": "sale"})
    assert (status, shown["on"], shown["left_s"], shown["queues"]) == (200, True, 7200, ["service"])
    assert desk.acd.book.policy("service").max_waiting == 40
    _, shown = await desk.ask("GET", "/api/surge", "li")
    assert (shown["on"], shown["author"], shown["note"]) == (True, "user:chen", "sale")
    status, shown = await desk.ask("POST", "/api/surge", json={"on": False})
    assert (status, shown["on"], shown["until"]) == (200, False, None)
    assert desk.acd.book.policy("service").max_waiting == 0


async def test_the_schema_and_the_document_of_the_operations_are_served(desk: Desk) -> None:
    status, told = await desk.ask("GET", "/api/policies/schema")
    assert status == 200
    validator = jsonschema_rs.validator_for(told)
    validator.validate({"queues": {"service": {"wrap_up_s": 20}}})
    assert not validator.is_valid({"queues": {"service": {"wrap_up": 20}}})
    described = document(routes(desk.desk, _nobody, ManualClock()), title="t", version="1")
    assert {"/api/policies", "/api/policies/current", "/api/policies/{n}/rollback", "/api/surge"} <= set(
        described["paths"]
    )


async def _nobody() -> Any:
    raise AssertionError


async def test_the_text_of_an_old_version_can_be_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as desk:
        await desk.publish(TEXT, 0, note="first")
        await desk.publish(GOLD, 1)
        status, old = await desk.ask("GET", "/api/policies/1")
        assert (status, old["text"], old["note"], old["version"]) == (200, TEXT, "first", 1)
        assert (await desk.ask("GET", "/api/policies/schema"))[0] == 200, "not taken for a version"
        for number in ("3", "x", "9999999999"):
            assert (await desk.ask("GET", f"/api/policies/{number}"))[0] == 404
        assert (await desk.ask("GET", "/api/policies/1", "li"))[0] == 403
