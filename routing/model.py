"""What routing is about: work items that wait, agents who may take them, offers between the two, and a queue's rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True)
class QueuePolicy:
    """A queue's rules. `skills`: least proficiency (1–5) an agent needs, by skill. Who waited `max_wait_s` is sent away."""

    name: str
    skills: Mapping[str, int] = field(default_factory=dict)
    ring_s: float = 15.0
    wrap_up_s: float = 20.0
    max_misses: int = 1
    max_wait_s: float = 0.0  # 0 = as long as they like
    overflow_to: str = "voicemail"  # or closing


@dataclass(frozen=True)
class AgentRecord:
    """An agent as an admin describes them: skill → proficiency (1–5)."""

    extension: str
    name: str
    skills: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkItem:
    """An interaction waiting in a queue. `enqueued_at` is never reset, however often the caller comes back."""

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
    tier: str = ""  # the customer's
    note: str = ""  # what an agent who had them before wants known

    @property
    def order(self) -> tuple[int, datetime, str]:
        """Who comes first: higher priority, then the longer wait, then the id."""
        return (-self.priority, self.enqueued_at, self.interaction_id)


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

    @property
    def leg_id(self) -> str:
        return f"{self.item.interaction_id}-{self.offer_id}"


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
