"""What routing is about: work items that wait, agents who may take them, and offers between the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pbx.call import leg_id_of


@dataclass(frozen=True)
class AgentRecord:
    """An agent as an admin describes them: skill → proficiency (1–5)."""

    extension: str
    name: str
    skills: Mapping[str, int] = field(default_factory=dict)
    teams: frozenset[str] = frozenset()


@dataclass(frozen=True)
class WorkItem:
    """An interaction waiting in a queue. `enqueued_at` is never reset, however often the caller comes back.

    `kind`: voice, chat, mail or social. `tier`: the customer's. `value_minor`: what the order is worth. `owner`: the agent
    who has the case; `last_agent`: who served them last; `preferred`: whom they asked for (extensions). `promised_at`: the
    time by which we said somebody would answer. `points`: what somebody added by hand (a supervisor's hand, a ticket).
    """

    interaction_id: str
    queue: str
    channel: str
    enqueued_at: datetime
    skills: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    language: str = ""
    ani: str = ""
    level: str = ""
    problem: str = ""
    attempts: int = 0
    kind: str = "voice"
    tier: str = ""
    note: str = ""  # what an agent who had them before wants known
    order_id: str = ""
    value_minor: int = 0
    owner: str = ""
    last_agent: str = ""
    preferred: str = ""
    promised_at: datetime | None = None
    points: float = 0.0
    been_in: tuple[str, ...] = ()  # queues that sent them on
    told: str = ""  # what they have been told of their wait, before this process (waiting/plan.py: Memory)
    callback: str = ""  # the callback's id: nobody is on the line, the customer is called when an agent has answered

    @property
    def order(self) -> tuple[int, datetime, str]:
        """Who comes first: higher priority, then the longer wait, then the id."""
        return (-self.priority, self.enqueued_at, self.interaction_id)


def item_record(item: WorkItem) -> dict[str, Any]:
    """A work item as JSON; `item_from` reads it again."""
    promised_at = item.promised_at.isoformat() if item.promised_at is not None else None
    return {**asdict(item), "enqueued_at": item.enqueued_at.isoformat(), "promised_at": promised_at}


def item_from(record: Mapping[str, Any]) -> WorkItem:
    moments = {key: datetime.fromisoformat(record[key]) for key in ("enqueued_at", "promised_at") if record.get(key)}
    return WorkItem(**{**record, **moments, "been_in": tuple(record.get("been_in", ()))})


@dataclass(frozen=True)
class Offer:
    """A work item × an agent, from the reservation to the end of the talk. Times are seconds of the monotonic clock."""

    offer_id: str
    item: WorkItem
    extension: str
    made_at: float
    ringing_at: float | None = None
    answered_at: float | None = None
    connected_at: float | None = None
    held_since: float | None = None
    held_s: float = 0.0
    talking_since: datetime | None = None  # by the switch's clock
    purpose: str = ""  # asked for by name: transfer, consult, fetch, take_over; "" = found by the matcher
    unconfirmed: bool = False  # a talk of a process before us; the switch's first list says whether it lasts
    why: str = ""

    @property
    def leg_id(self) -> str:
        return leg_id_of(self.item.interaction_id, self.offer_id)


@dataclass(frozen=True)
class OpenWrapUp:
    """After-call work that a process before us began; `seconds` were last given for it, at `given_at`."""

    interaction_id: str
    offer_id: str
    extension: str
    began_at: datetime
    given_at: datetime
    seconds: float

    @property
    def until(self) -> datetime:
        return self.given_at + timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class OpenOffer:
    """An offer that a process before us made and did not see the end of; a talk when it was answered."""

    interaction_id: str
    offer_id: str
    extension: str
    queue: str
    made_at: datetime
    ringing_at: datetime | None = None
    answered_at: datetime | None = None


@dataclass(frozen=True)
class Unfinished:
    """What a process before us began and did not end, as far as the database knows."""

    offers: tuple[OpenOffer, ...] = ()
    wrap_ups: tuple[OpenWrapUp, ...] = ()
