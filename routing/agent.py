"""An agent's state, and what each thing that happens makes of it.

Pure. The literal table `_TABLE` says which happening is allowed in which state; what is not in it is Ignored with a
reason, never an exception. What people say (READY, NOT_READY) and what devices tell (reachable, in use) stand side by
side: a state never claims what a phone cannot do.
Invariants: one offer at a time; what is asked for during a call takes effect after it, and whoever was not READY before
a call is not READY after it unless they say so; the time since which an agent is idle survives an offer that came to
nothing through no fault of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from core.events.base import DomainEvent
from core.events.routing import AgentStateAsked, AgentStateChanged


class State(StrEnum):
    OFFLINE = "OFFLINE"
    NOT_READY = "NOT_READY"
    READY = "READY"
    RESERVED = "RESERVED"
    ENGAGED = "ENGAGED"
    WRAP_UP = "WRAP_UP"


class Act(StrEnum):
    """What can happen to an agent."""

    SAY_READY = "say_ready"
    SAY_NOT_READY = "say_not_ready"
    GO_OFFLINE = "go_offline"
    RESERVE = "reserve"
    RELEASE = "release"  # the offer came to nothing, without blame
    MISS = "miss"  # ring no answer, or declined
    BE_UNREACHABLE = "be_unreachable"  # the phone could not be rung
    LOSE_PHONE = "lose_phone"  # the device is found gone; whoever just missed a call on it is not to blame
    ENGAGE = "engage"
    FINISH_TALK = "finish_talk"
    FINISH_WRAP_UP = "finish_wrap_up"
    RESUME_WRAP_UP = "resume_wrap_up"  # after a restart of ours


@dataclass(frozen=True)
class Agent:
    """One agent now. `idle_since` orders agents: the earlier, the longer idle."""

    extension: str
    name: str
    skills: Mapping[str, int] = field(default_factory=dict)
    state: State = State.OFFLINE
    reason: str = ""
    since: datetime | None = None
    idle_since: datetime | None = None
    offer_id: str = ""
    wanted: State | None = None  # what was asked for during a call
    wanted_reason: str = ""
    wrap_up_until: datetime | None = None
    misses: int = 0
    reachable: bool = False
    in_use: bool = False
    teams: frozenset[str] = frozenset()

    @property
    def available(self) -> bool:
        """May be offered a call now."""
        return self.state is State.READY and self.reachable and not self.in_use

    @property
    def busy(self) -> bool:
        return self.state in (State.RESERVED, State.ENGAGED, State.WRAP_UP)


@dataclass(frozen=True)
class Happening:
    """`offer_id` names the offer an act belongs to; acts of another offer are Ignored. `until`: end of wrap-up."""

    act: Act
    at: datetime
    reason: str = ""
    actor: str = ""
    offer_id: str = ""
    until: datetime | None = None
    max_misses: int = 1


@dataclass(frozen=True)
class Ignored:
    reason: str


RONA = "rona"
UNREACHABLE = "unreachable"
# A dead phone is found by the switch's own look at registrations: every 15 s, and 2 s to answer.
FOUND_DEAD = timedelta(seconds=20)
_LATER = "later"  # remembered, takes effect when the agent is free again
_OF_OFFER = frozenset({Act.RELEASE, Act.MISS, Act.BE_UNREACHABLE, Act.FINISH_TALK, Act.FINISH_WRAP_UP})

_TABLE: Mapping[tuple[State, Act], State | str] = {
    (State.OFFLINE, Act.SAY_READY): State.READY,
    (State.OFFLINE, Act.SAY_NOT_READY): State.NOT_READY,
    (State.NOT_READY, Act.SAY_READY): State.READY,
    (State.NOT_READY, Act.SAY_NOT_READY): State.NOT_READY,
    (State.NOT_READY, Act.GO_OFFLINE): State.OFFLINE,
    (State.NOT_READY, Act.LOSE_PHONE): State.NOT_READY,
    (State.READY, Act.SAY_NOT_READY): State.NOT_READY,
    (State.READY, Act.GO_OFFLINE): State.OFFLINE,
    (State.READY, Act.RESERVE): State.RESERVED,
    (State.RESERVED, Act.SAY_READY): _LATER,
    (State.RESERVED, Act.SAY_NOT_READY): _LATER,
    (State.RESERVED, Act.GO_OFFLINE): _LATER,
    (State.RESERVED, Act.RELEASE): State.READY,
    (State.RESERVED, Act.MISS): State.NOT_READY,
    (State.RESERVED, Act.BE_UNREACHABLE): State.NOT_READY,
    (State.RESERVED, Act.ENGAGE): State.ENGAGED,
    (State.ENGAGED, Act.SAY_READY): _LATER,
    (State.ENGAGED, Act.SAY_NOT_READY): _LATER,
    (State.ENGAGED, Act.GO_OFFLINE): _LATER,
    (State.ENGAGED, Act.FINISH_TALK): State.WRAP_UP,
    (State.WRAP_UP, Act.SAY_READY): State.READY,
    (State.WRAP_UP, Act.SAY_NOT_READY): State.NOT_READY,
    (State.WRAP_UP, Act.GO_OFFLINE): State.OFFLINE,
    (State.WRAP_UP, Act.FINISH_WRAP_UP): State.READY,
    # Asterisk wins about who is connected: an agent found talking is ENGAGED, whatever we believed.
    (State.OFFLINE, Act.ENGAGE): State.ENGAGED,
    (State.NOT_READY, Act.ENGAGE): State.ENGAGED,
    (State.READY, Act.ENGAGE): State.ENGAGED,
    (State.WRAP_UP, Act.ENGAGE): State.ENGAGED,
    (State.ENGAGED, Act.ENGAGE): State.ENGAGED,
    (State.OFFLINE, Act.RESUME_WRAP_UP): State.WRAP_UP,
    (State.NOT_READY, Act.RESUME_WRAP_UP): State.WRAP_UP,
    (State.READY, Act.RESUME_WRAP_UP): State.WRAP_UP,
}
_SAID = {Act.SAY_READY: State.READY, Act.SAY_NOT_READY: State.NOT_READY, Act.GO_OFFLINE: State.OFFLINE}


def apply(agent: Agent, happening: Happening) -> tuple[Agent, list[DomainEvent] | Ignored]:
    """The agent after the happening and the event to tell, or why it does not count."""
    act = happening.act
    target = _TABLE.get((agent.state, act))
    if target is None:
        return agent, Ignored(f"{act} means nothing to an agent who is {agent.state}")
    if act in _OF_OFFER and happening.offer_id != agent.offer_id:
        return agent, Ignored(f"{act} is of another offer")
    if act is Act.LOSE_PHONE and not _just_missed(agent, happening.at):
        return agent, Ignored("nobody was blamed for it")
    if act is Act.RESUME_WRAP_UP and (happening.until is None or happening.until <= happening.at):
        return agent, Ignored("its time is over")
    if target == _LATER:
        return _ask(agent, happening, _SAID[act])
    assert isinstance(target, State)
    state, reason, changes = _landing(agent, happening, target)
    if act is Act.ENGAGE and agent.state is state and agent.offer_id != happening.offer_id:
        return replace(agent, offer_id=happening.offer_id), []  # from one talk into another
    if state is agent.state and reason == agent.reason:
        return agent, Ignored("nothing changes")
    after = replace(agent, state=state, reason=reason, since=happening.at, **changes)  # type: ignore[arg-type]
    told = AgentStateChanged(
        at=happening.at, extension=agent.extension, state=state, reason=reason, previous=agent.state,
        actor=happening.actor, until=after.wrap_up_until,
    )  # fmt: skip
    return after, [told]


def _ask(agent: Agent, happening: Happening, wanted: State) -> tuple[Agent, list[DomainEvent] | Ignored]:
    """What is asked for during a call is told at once, so that it outlives us, and takes effect afterwards."""
    reason = happening.reason if wanted is State.NOT_READY else ""
    if (agent.wanted, agent.wanted_reason) == (wanted, reason):
        return agent, Ignored("asked for already")
    asked = AgentStateAsked(
        at=happening.at, extension=agent.extension, state=wanted, reason=reason, actor=happening.actor
    )
    return replace(agent, wanted=wanted, wanted_reason=reason), [asked]


def _just_missed(agent: Agent, at: datetime) -> bool:
    return agent.reason == RONA and agent.since is not None and at - agent.since <= FOUND_DEAD


def _landing(agent: Agent, happening: Happening, target: State) -> tuple[State, str, dict[str, object]]:
    """Where the act leads in the end, why, and what else changes."""
    act, at = happening.act, happening.at
    if act is Act.RESERVE:
        return target, "", {"offer_id": happening.offer_id}
    # Whoever was away before (a talk or a wrap-up found after a restart) is away again afterwards.
    before: dict[str, object] = {}
    if act in (Act.ENGAGE, Act.RESUME_WRAP_UP) and agent.state in (State.OFFLINE, State.NOT_READY):
        before = {"wanted": agent.state, "wanted_reason": agent.reason}
    if act is Act.ENGAGE:
        return target, "", {"offer_id": happening.offer_id, "wrap_up_until": None, "misses": 0, **before}
    if act is Act.RESUME_WRAP_UP:
        return target, "", {"offer_id": happening.offer_id, "wrap_up_until": happening.until, **before}
    if act is Act.FINISH_TALK and happening.until is not None and happening.until > at:
        return target, "", {"wrap_up_until": happening.until}
    free: dict[str, object] = {"offer_id": "", "wrap_up_until": None, "wanted": None, "wanted_reason": ""}
    if act in (Act.FINISH_TALK, Act.FINISH_WRAP_UP):
        state, reason = (agent.wanted, agent.wanted_reason) if agent.wanted else (State.READY, "")
        return state, reason, {**free, "idle_since": at}
    if act in (Act.RELEASE, Act.MISS, Act.BE_UNREACHABLE) and agent.wanted not in (None, State.READY):
        assert agent.wanted is not None
        return agent.wanted, agent.wanted_reason, {**free, "misses": 0}
    if act is Act.MISS:
        misses = agent.misses + 1
        if misses < happening.max_misses:
            return State.READY, "", {**free, "misses": misses}
        return target, happening.reason, {**free, "misses": 0}
    if act is Act.SAY_READY:
        return target, "", {**free, "idle_since": at, "misses": 0}
    if act in (Act.BE_UNREACHABLE, Act.LOSE_PHONE):
        return target, UNREACHABLE, free
    return target, happening.reason if act is Act.SAY_NOT_READY else "", free
