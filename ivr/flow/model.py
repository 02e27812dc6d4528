"""What a flow is, what a node answers, what the engine answers. Values and protocols only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from core.events.base import DomainEvent
from core.hours.model import Calendar
from ivr.flow.session import Session
from ivr.flow.waits import Outcome, Wait

UTC_ZONE = ZoneInfo("UTC")
# Evaluates an expression over facts. Raises FlowFault when it cannot.
Evaluate = Callable[[str, Mapping[str, object]], object]


class FlowFault(Exception):
    """The author's mistake, met in a call: reported, and the caller goes to a person."""


class NotProved(Exception):
    """A node needs what only an identified caller has: the engine asks again where it was first asked."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """The call that starts a flow. `language` "" = the flow's first."""

    interaction_id: str
    did: str
    ani: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """The world at this step: the time (UTC), the shop's zone, calendars by name, and who evaluates expressions."""

    at: datetime
    evaluate: Evaluate
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    zone: ZoneInfo = UTC_ZONE

    def facts(self, session: Session) -> Mapping[str, object]:
        """What expressions may ask about: the session's facts, and the time on the shop's wall."""
        wall = self.at.astimezone(self.zone)
        time = {
            "hour": wall.hour, "minute": wall.minute, "weekday": wall.isoweekday(), "day": wall.day, "month": wall.month,
            "date": wall.date().isoformat(),
        }  # fmt: skip
        return {**session.facts(), "time": time}


@dataclass(frozen=True, slots=True)
class Leave:
    """Go out of the node by this exit."""

    exit: str


@dataclass(frozen=True, slots=True)
class End:
    """The flow is over. `exit`: handoff, voicemail, hangup, caller_gone, error."""

    exit: str
    queue: str = ""
    problem: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Remember:
    """Effect: the caller's channel shall carry this (`what`: node, language, level)."""

    what: str
    value: str


@dataclass(frozen=True, slots=True)
class Report:
    """Effect: tell the flow's author what went wrong at a node. The call goes on."""

    node: str
    message: str


Effect = Remember | Report


@dataclass(frozen=True, slots=True)
class Turn:
    """A node's answer to being entered or resumed."""

    session: Session
    then: Wait | Leave | End
    events: tuple[DomainEvent, ...] = ()
    reports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """From one node into the next. `exit` "" = not by an exit: a start, a fault, a limit."""

    node: str
    exit: str
    to: str


@dataclass(frozen=True, slots=True)
class Step:
    """What happened between two waits (a sprint), and what comes next. `trail`: the nodes entered, in order."""

    session: Session
    then: Wait | End
    events: tuple[DomainEvent, ...] = ()
    effects: tuple[Effect, ...] = ()
    trail: tuple[Passage, ...] = ()


class Node(Protocol):
    """One place in a flow. Pure: the same session and outcome give the same turn."""

    def enter(self, session: Session, context: Context) -> Turn: ...
    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn: ...


@dataclass(frozen=True, slots=True)
class Place:
    """A node in its flow. `exits` maps exit names to node ids. `never_repeat`: after a crash the caller goes to a person.
    `personal`: it asks for digits that prove something."""

    node: Node
    kind: str
    exits: Mapping[str, str] = field(default_factory=dict)
    never_repeat: bool = False
    personal: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """An immutable, checked menu. `version` is the hash of its text; `person` the node that leads to a human being."""

    name: str
    version: str
    start: str
    person: str
    languages: tuple[str, ...]
    places: Mapping[str, Place]


@dataclass(frozen=True, slots=True)
class Limits:
    """Every loop has a name and an end; beyond it the caller goes to a person."""

    nodes_without_wait: int = 50
    visits_of_a_node: int = 30
    steps_of_a_call: int = 500
