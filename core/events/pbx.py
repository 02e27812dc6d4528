"""Facts of the telephone, told by `pbx` and true before anybody records them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from core.events.base import DomainEvent


@dataclass(frozen=True, kw_only=True)
class CallArrived(DomainEvent):
    """A caller's channel exists. `ani` and `dnis` as dialled; `channel` is Asterisk's name of the caller's channel."""

    ani: str
    dnis: str
    channel: str
    linkedid: str = ""
    caller_name: str = ""
    entry: str = ""  # which door of the dialplan: menu, queue, fallback, agent


@dataclass(frozen=True, kw_only=True)
class CallAnswered(DomainEvent):
    channel: str


@dataclass(frozen=True, kw_only=True)
class CallWaiting(DomainEvent):
    """The caller's channel stands in the dialplan's wait context of `queue` and says so itself."""

    channel: str
    queue: str
    enqueued_at: datetime
    language: str = ""
    priority: int = 0
    skills: dict[str, int] = field(default_factory=dict)
    ani: str = ""
    level: str = ""  # what the caller has proved: "", ani, order_no, second_factor
    problem: str = ""
    facts: dict[str, str] = field(default_factory=dict)  # order, value (minor units), owner, preferred, promised
    note: str = ""  # what an agent who had them before wants known
    tier: str = ""  # the customer's
    told: str = ""  # what they have been told of their wait, as `routing` wrote it down


@dataclass(frozen=True, kw_only=True)
class LegRinging(DomainEvent):
    """A leg of ours (an offer's `{interaction}-{offer}`) rings at the agent's phone."""

    leg_id: str
    offer_id: str
    extension: str


@dataclass(frozen=True, kw_only=True)
class LegAnswered(DomainEvent):
    leg_id: str
    offer_id: str
    extension: str


@dataclass(frozen=True, kw_only=True)
class LegEnded(DomainEvent):
    """A leg ended. `cause` is Q.850 (16 normal, 17 busy, 19 no answer, 21 rejected, 20/3 unreachable)."""

    leg_id: str
    offer_id: str
    extension: str
    cause: int
    answered: bool


@dataclass(frozen=True, kw_only=True)
class CallConnected(DomainEvent):
    """Caller and agent stand in one bridge and hear each other."""

    leg_id: str
    offer_id: str
    extension: str
    bridge_id: str = ""


@dataclass(frozen=True, kw_only=True)
class CallHeld(DomainEvent):
    """`by_order`: by us, for the agent who asked; else by the key of their phone."""

    extension: str = ""
    by_order: bool = False


@dataclass(frozen=True, kw_only=True)
class CallResumed(DomainEvent):
    extension: str = ""
    by_order: bool = False


@dataclass(frozen=True, kw_only=True)
class CallTransferred(DomainEvent):
    """The caller was given away. `to` is an extension, a queue, a number or an entry point; `to_kind` says which:
    agent, queue, number, entry, park. `note`: what the first agent wants known."""

    extension: str
    to: str
    consult: bool = False
    to_kind: str = ""
    note: str = ""
    actor: str = ""


@dataclass(frozen=True, kw_only=True)
class PartyJoined(DomainEvent):
    """Somebody besides caller and agent hears the caller, and is heard."""

    channel: str
    bridge_id: str
    role: str = ""  # third
    leg_id: str = ""


@dataclass(frozen=True, kw_only=True)
class PartyLeft(DomainEvent):
    channel: str
    bridge_id: str
    role: str = ""  # third, supervisor
    leg_id: str = ""
    extension: str = ""


@dataclass(frozen=True, kw_only=True)
class SupervisorJoined(DomainEvent):
    """`mode`: monitor (hears), whisper (the agent hears them), barge (caller and agent hear them). Told again when it changes."""

    extension: str
    agent: str
    mode: str


@dataclass(frozen=True, kw_only=True)
class CallbackAsked(DomainEvent):
    """A waiting caller would rather be called back, and listens for a moment whether that is promised."""

    channel: str
    ani: str = ""


@dataclass(frozen=True, kw_only=True)
class CallbackLegReady(DomainEvent):
    """The agent of a callback has answered, hears a phone that rings, and waits for the customer to be called."""

    leg_id: str
    offer_id: str
    extension: str


@dataclass(frozen=True, kw_only=True)
class CallRefused(DomainEvent):
    """The switch would not take a call. `reason`: calls (as many as it may have), rate, load (the door is closed)."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class CallEnded(DomainEvent):
    """The caller's channel is gone. Exactly one per accepted call. `reason`: caller_hangup, agent_hangup, system,
    completed, node_lost, …"""

    reason: str
    cause: int = 16
    talk_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class AgentDeviceChanged(DomainEvent):
    """The agent's phone: `reachable` = a contact is registered and answers; `in_use` = on any call."""

    extension: str
    reachable: bool
    in_use: bool = False


@dataclass(frozen=True, kw_only=True)
class FeatureCodeDialled(DomainEvent):
    """An agent dialled a feature code on the phone; `code`: ready, not_ready."""

    extension: str
    code: str
    argument: str = ""


@dataclass(frozen=True, kw_only=True)
class SwitchLinkChanged(DomainEvent):
    """The AMI link to `node` is up (and resynchronised) or down."""

    node: str
    up: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class StateRepaired(DomainEvent):
    """A difference between our belief and Asterisk's was mended. `what` names the kind, `reason` says it in words."""

    what: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class CallEndCorrected(DomainEvent):
    """How a call ended that nobody of ours saw end, from the switch's own book: `at` is the true moment. `was` is the reason
    that had been told with `CallEnded`, which stays the one end of the call."""

    reason: str
    was: str = ""
    cause: int = 16
    talk_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class CallsReconciled(DomainEvent):
    """Our calls of a while were compared with the switch's own book and with the recordings' files.

    `differences` are those that are left, `kinds` counts them by kind; `repaired` were mended by this look.
    """

    since: datetime
    until: datetime
    calls: int = 0
    recordings: int = 0
    differences: int = 0
    repaired: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
