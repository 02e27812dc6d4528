"""What happened in queues and at agents' desks. Told by `routing` alone: one owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from core.events.base import DomainEvent


@dataclass(frozen=True, kw_only=True)
class RoutingEvent(DomainEvent, told=False):
    """What every event of routing carries: the epoch of the owner that told it (0 = told before there were epochs)."""

    epoch: int = 0


@dataclass(frozen=True, kw_only=True)
class ItemQueued(RoutingEvent):
    """`enqueued_at` is never reset, however often the caller comes back."""

    queue: str
    enqueued_at: datetime
    channel: str
    language: str = ""
    priority: int = 0
    skills: dict[str, int] = field(default_factory=dict)
    ani: str = ""
    position: int = 0
    returned: bool = False


@dataclass(frozen=True, kw_only=True)
class ItemWidened(RoutingEvent):
    """The item has come to its next ring: less is asked of whoever may take it. `ring` counts from 0."""

    queue: str
    ring: int
    waited_s: float


@dataclass(frozen=True, kw_only=True)
class ItemAbandoned(RoutingEvent):
    queue: str
    waited_s: float


@dataclass(frozen=True, kw_only=True)
class ItemOverflowed(RoutingEvent):
    queue: str
    reason: str  # full, timeout, no_agents, closed; moved, when somebody did it by hand
    to: str = ""
    actor: str = ""


@dataclass(frozen=True, kw_only=True)
class CallbackRequested(RoutingEvent):
    """Somebody is to be called back, with the place in the queue since `enqueued_at`. The interaction is the call in which they
    asked (none for one that was asked for by hand). `item`: the entry as JSON. Told again with the same id: two entries of one
    number became one."""

    callback_id: str
    number: str
    queue: str
    enqueued_at: datetime
    by: str = ""  # caller, menu, rule:overflow, user:…
    item: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CallbackCalled(RoutingEvent):
    """The customer is about to be called, for an agent who has answered: the interaction is that call. Told before the order
    leaves. `first_id`: the call in which they asked."""

    callback_id: str
    first_id: str
    attempt: int
    extension: str
    offer_id: str


@dataclass(frozen=True, kw_only=True)
class CallbackReached(RoutingEvent):
    """Customer and agent hear each other."""

    callback_id: str
    extension: str


@dataclass(frozen=True, kw_only=True)
class CallbackMissed(RoutingEvent):
    """The customer was called and not reached. `reason`: no_answer, busy, refused, unreachable, voicemail, agent_gone,
    switch_unavailable, unclear. `next_at`: when it is tried again (None: given up)."""

    callback_id: str
    attempt: int
    reason: str
    next_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class CallbackEnded(RoutingEvent):
    """Nobody is called (any more). `outcome`: served, given_up, called_in (they called themselves), withdrawn. `call_id`: the
    interaction under which the entry stood last; the event's own is the one in which it was asked for, if there is one."""

    callback_id: str
    call_id: str
    outcome: str
    reason: str = ""
    attempts: int = 0


@dataclass(frozen=True, kw_only=True)
class AgentStateChanged(RoutingEvent):
    """`state`: READY, NOT_READY, RESERVED, ENGAGED, WRAP_UP, OFFLINE. `actor`: who said so (a person or a rule)."""

    extension: str
    state: str
    reason: str = ""
    previous: str = ""
    actor: str = ""
    until: datetime | None = None  # end of wrap-up


@dataclass(frozen=True, kw_only=True)
class AgentStateAsked(RoutingEvent):
    """READY, NOT_READY or OFFLINE asked for during a call: takes effect afterwards."""

    extension: str
    state: str
    reason: str = ""
    actor: str = ""


@dataclass(frozen=True, kw_only=True)
class OfferMade(RoutingEvent):
    offer_id: str
    extension: str
    queue: str
    attempt: int
    leg_id: str
    waited_s: float = 0.0
    why: str = ""
    ring: int = 0
    priority: float = 0.0  # the item's points at this moment
    merit: float = 0.0  # the agent's
    purpose: str = ""  # asked for by name: transfer, consult (the caller is not theirs yet), fetch, take_over


@dataclass(frozen=True, kw_only=True)
class OfferRinging(RoutingEvent):
    offer_id: str
    extension: str


@dataclass(frozen=True, kw_only=True)
class OfferAccepted(RoutingEvent):
    offer_id: str
    extension: str
    queue: str
    waited_s: float
    ring_s: float = 0.0
    purpose: str = ""


@dataclass(frozen=True, kw_only=True)
class OfferDeclined(RoutingEvent):
    offer_id: str
    extension: str
    cause: int


@dataclass(frozen=True, kw_only=True)
class OfferTimedOut(RoutingEvent):
    """Ring no answer (rona)."""

    offer_id: str
    extension: str
    rang_s: float


@dataclass(frozen=True, kw_only=True)
class OfferCancelled(RoutingEvent):
    offer_id: str
    extension: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class SegmentEnded(RoutingEvent):
    """One agent's part of an interaction is over: seconds of ringing, talking, holding."""

    offer_id: str
    extension: str
    queue: str
    ring_s: float
    talk_s: float
    hold_s: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class WrapUpStarted(RoutingEvent):
    extension: str
    offer_id: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class WrapUpEnded(RoutingEvent):
    extension: str
    offer_id: str
    wrap_up_s: float
    disposition: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class CardPushed(DomainEvent):
    """The order card was written to the agent's live feeds (`feeds` of them) before or after the INVITE left."""

    offer_id: str
    extension: str
    feeds: int
    card: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PolicyPublished(DomainEvent):
    """A version of the rules of routing is in force. `rollback_of`: the version whose text it brings back (0 = none)."""

    version: int
    sha256: str
    actor: str = ""
    note: str = ""
    rollback_of: int = 0


@dataclass(frozen=True, kw_only=True)
class CallHandled(RoutingEvent):
    """What an agent does with their caller from now on: talking, held, asking, asked, swapped, conference, gone, parked; "" =
    just what the facts say. `target`: who is asked, or takes part."""

    extension: str
    doing: str
    muted: bool = False
    target_kind: str = ""
    target: str = ""


@dataclass(frozen=True, kw_only=True)
class AgentAbilityChanged(DomainEvent):
    """What an agent can do (skill → level 1–5) and the teams they are in, from now on."""

    extension: str
    skills: dict[str, int] = field(default_factory=dict)
    teams: tuple[str, ...] = ()
    actor: str = ""


@dataclass(frozen=True, kw_only=True)
class SurgeChanged(DomainEvent):
    """The surge was switched on (again), off, or has ended by itself (`actor` rule:surge-ended)."""

    on: bool
    until: datetime | None = None
    actor: str = ""
    note: str = ""
