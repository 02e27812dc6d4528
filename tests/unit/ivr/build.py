"""Makers for tests of flows: a catalogue with one flow, a runner around it, an order desk that answers as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from core.clock import ManualClock
from core.events.base import DomainEvent
from core.phrases.model import Digits, Money, Prompt
from ivr.catalogue import SAMPLE, FlowCatalogue
from ivr.cel import Expressions
from ivr.check import known_here
from ivr.flow.model import Context, Flow
from ivr.loader import load
from ivr.nodes.form import Known
from ivr.ports import HandoffRequest, LookupRequest, LookupResult, OrderFacts
from ivr.runner import Runner

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
DID = "4000"
FOUND = LookupResult(
    "found",
    (OrderFacts("o-1", "20261234", "delayed", {"parcels": 2}),),
    (Prompt("order-your-order"), Digits("20261234"), Prompt("order-state-delayed"), Money(12950, "CNY")),
    "second_factor",
)
PART = """\
name: part
start: ask
person: help
nodes:
  ask: {type: menu, say: [menu-person-or-main], tries: 1, exits: {"*": back, 0: give-up, no-input: back}}
  back: {type: return}
  give-up: {type: return, result: person}
  help: {type: handoff, queue: service}
"""
KNOWN = known_here(
    known=Known(
        flow=lambda name: load(PART, "part.yaml") if name == "part" else None,
        queues=frozenset({"service", "express"}),
        skills=frozenset({"sales", "zh"}),
        calendars=frozenset({"shop"}),
    )
)


def context(at: datetime = AT, **more: object) -> Context:
    return Context(at, Expressions().evaluate, **more)  # type: ignore[arg-type]


def sample() -> Flow:
    return load(SAMPLE.read_bytes(), "sample.yaml", KNOWN)


class Events(list[DomainEvent]):
    def __init__(self) -> None:
        super().__init__()
        self.news = asyncio.Event()

    def emit(self, event: DomainEvent) -> None:
        self.append(event)
        self.news.set()

    async def until(self, kind: type, *, timeout_s: float = 10.0) -> DomainEvent:
        """The first event of this kind. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not self.of(kind):
                self.news.clear()
                await self.news.wait()
        return self.of(kind)[0]

    def kinds(self) -> list[str]:
        return [event.kind for event in self]

    def of(self, kind: type) -> list:
        return [event for event in self if isinstance(event, kind)]


class Desk:
    """Answers look-ups; `after_s` = how long it takes; an exception is raised."""

    def __init__(self, *answers: LookupResult | Exception, after_s: float = 0.0) -> None:
        self.answers = list(answers)
        self.asked: list[LookupRequest] = []
        self.after_s = after_s
        self.cancelled = 0

    async def find(self, request: LookupRequest, deadline_s: float) -> LookupResult:
        self.asked.append(request)
        try:
            await asyncio.sleep(self.after_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Queues:
    def __init__(self, refusal: str = "", error: Exception | None = None) -> None:
        self.why = refusal
        self.error = error
        self.asked: list[HandoffRequest] = []

    async def refusal(self, request: HandoffRequest) -> str:
        self.asked.append(request)
        if self.error:
            raise self.error
        return self.why


def runner(
    desk: Desk | None = None,
    *,
    text: str | None = None,
    edit: Callable[[str], str] = lambda text: text,
    queues: Queues | None = None,
) -> tuple[Runner, Events, FlowCatalogue]:
    events, clock = Events(), ManualClock(AT)
    flow_text = text if text is not None else SAMPLE.read_text(encoding="utf-8")
    catalogue = FlowCatalogue({DID: "sample"}, Events(), clock, known=KNOWN)
    catalogue.publish(edit(flow_text), "sample.yaml")
    made = Runner(catalogue, desk or Desk(FOUND), queues or Queues(), events, clock)
    return made, events, catalogue
