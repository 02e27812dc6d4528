"""Without a published policy the rules are what the settings say, and they can be shown as a text."""

from __future__ import annotations

import asyncio
from typing import Any

from app.policies import SITUATION, routes_afar, situation_verb
from app.routing_policy import document_of, policy_of
from core.clock import ManualClock
from core.events.stream import EventStream
from core.http.routes import Caller, Request, Role
from core.ids import CountingIds
from core.settings import QueueSettings, Settings
from routing.acd import Acd
from routing.model import AgentRecord, WorkItem
from routing.policy.desk import PolicyDesk
from routing.policy.document import Document, Known
from routing.policy.http import TextBody
from routing.policy.text import load, to_text

BOSS = Caller("u", "boss", frozenset({Role.SUPERVISOR}))


def test_what_the_settings_say_can_be_shown_and_published_whatever_they_say() -> None:
    for queues in (
        Settings().queues, {}, {"a": QueueSettings(wrap_up_s=3600, max_misses=10, max_wait_s=0, overflow_to="closing")},
    ):  # fmt: skip
        settings = Settings(queues=queues)
        document = document_of(settings)
        assert document.policy == policy_of(settings)
        assert load(to_text(document), known=Known(skills=frozenset(), teams=frozenset())) == document


class Elsewhere:
    """Links to an owner of the queues in another process."""

    def __init__(self, acd: Acd) -> None:
        self._verbs = {SITUATION: situation_verb(acd)}

    async def ask(self, to: str, verb: str, body: dict[str, Any], **_how: Any) -> dict[str, Any]:
        return await self._verbs[verb](body)


async def test_a_web_process_tries_rules_on_those_who_wait_at_an_owner_elsewhere() -> None:
    nobody: Any = None
    clock, document = ManualClock(), Document(policy_of(Settings()))
    acd = Acd(
        telephony=nobody, screen_pop=nobody, stream=EventStream(), clock=clock, ids=CountingIds(), policy=document.policy,
        agents=[AgentRecord("101", "Li Na", {"service": 2})],
    )  # fmt: skip
    acd.book.wait(WorkItem("ix-1", "service", "PJSIP/1", clock.now()))
    acd.book.device("101", reachable=True, in_use=False)
    acd.set_state("101", "READY", actor="user:test")

    class Quiet(PolicyDesk):
        async def read(self, text: str | bytes, source: str = "policy") -> Any:
            return load(text), []

        async def load(self) -> Any:
            return self.policy

    links: Any = Elsewhere(acd)
    desk = Quiet(nobody, clock, document)
    (route,) = (one for one in routes_afar(desk, links, clock) if one.path.endswith("dry-run"))
    told = await route.handler(Request(BOSS, {}, None, TextBody(text="queues: {service: {skills: {service: 3}}}")))
    assert told.summary.waiting == 1 and told.summary.stuck_after == 1
    assert [(item.before.assigned, item.after.assigned) for item in told.items] == [("101", "")]
    assert "ix-1" in acd.book.waiting
    await asyncio.sleep(0)
