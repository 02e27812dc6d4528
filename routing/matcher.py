"""Who takes what: the longest-waiting caller goes to the longest-idle agent who has the skills.

Pure and deterministic: the same items, agents and rules give the same assignments. Items are tried in their order; a
wish for skills that nobody free has is tried once, so that a long queue behind it costs nothing.
Invariants: nobody gets two; an item never waits while an agent who may take it is free; among equals the oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from routing.agent import Agent
from routing.model import QueuePolicy, WorkItem

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Assignment:
    interaction_id: str
    extension: str


def wanted_skills(item: WorkItem, policy: QueuePolicy | None) -> dict[str, int]:
    """The least proficiency by skill: the queue's, raised by the item's own."""
    wanted = dict(policy.skills) if policy is not None else {}
    for skill, least in item.skills.items():
        wanted[skill] = max(least, wanted.get(skill, 0))
    return wanted


def lacks(agent: Agent, wanted: Mapping[str, int]) -> str:
    """The first skill the agent lacks; "" when there is none."""
    return next((skill for skill, least in wanted.items() if agent.skills.get(skill, 0) < least), "")


def match(items: Iterable[WorkItem], agents: Iterable[Agent], policies: Mapping[str, QueuePolicy]) -> list[Assignment]:
    """The assignments to make now, in the order in which they are to be made."""
    free = sorted((agent for agent in agents if agent.available), key=_idle_order)
    assignments: list[Assignment] = []
    if not free:
        return assignments
    hopeless: set[tuple[tuple[str, int], ...]] = set()
    for item in sorted(items, key=lambda item: item.order):
        wanted = wanted_skills(item, policies.get(item.queue))
        key = tuple(sorted(wanted.items()))
        if key in hopeless:
            continue
        chosen = next((agent for agent in free if not lacks(agent, wanted)), None)
        if chosen is None:
            hopeless.add(key)  # nobody free has these skills: the same wish behind it need not be tried
            continue
        assignments.append(Assignment(item.interaction_id, chosen.extension))
        free.remove(chosen)
        if not free:
            break
    return assignments


def _idle_order(agent: Agent) -> tuple[datetime, str]:
    return (agent.idle_since or _EPOCH, agent.extension)


def hindrance(item: WorkItem, agent: Agent, policy: QueuePolicy | None) -> str:
    """In words, why this agent may not take this item now; "" when they may."""
    missing = lacks(agent, wanted_skills(item, policy))
    if missing:
        return f"{agent.name} lacks the skill {missing}"
    if not agent.reachable:
        return f"{agent.name}'s phone is not reachable"
    if agent.in_use:
        return f"{agent.name} is on a call of their own"
    if not agent.available:
        return f"{agent.name} is {agent.state}" + (f" ({agent.reason})" if agent.reason else "")
    return ""
