"""The grounds: why this agent, why not that one, and why nobody yet.

Pure. Decides nothing: it reads what was decided with and names it (`ground.py` has the words).
"""

from __future__ import annotations

from routing.agent import Agent
from routing.ground import Ground
from routing.policy.model import CHOICES, QueuePolicy
from routing.pool import Assignment
from routing.wish import Wish


def chosen(pair: Assignment, queue: QueuePolicy) -> tuple[Ground, ...]:
    """Why this item, and why this agent."""
    best = next((name for name in CHOICES if CHOICES[name] == queue.choice), "most_points")
    widened = (Ground("widened", {"n": pair.ring}),) if pair.ring else ()
    return (Ground("overtaken" if pair.due else "first"), *widened, Ground(best))


def lacks(agent: Agent, wish: Wish) -> Ground | None:
    """What the agent lacks to take it whenever they are free."""
    name = agent.name or agent.extension
    if wish.only and wish.only != agent.extension:
        return Ground("only", {"only": wish.only})
    for skill, least in wish.skills:
        level = agent.skills.get(skill, 0)
        if not level:
            return Ground("skill", {"name": name, "skill": skill})
        if level < least:
            return Ground("level", {"name": name, "skill": skill, "level": level, "least": least})
    if wish.teams and not wish.teams & agent.teams:
        return Ground("team", {"name": name, "teams": ", ".join(sorted(wish.teams))})
    return None


def unavailable(agent: Agent) -> Ground | None:
    """What keeps the agent from taking anything now."""
    name = agent.name or agent.extension
    if not agent.reachable:
        return Ground("unreachable", {"name": name})
    if agent.in_use:
        return Ground("in_use", {"name": name})
    if not agent.available:
        return Ground("state", {"name": name, "state": str(agent.state), "state_reason": agent.reason})
    return None


def hindrance(agent: Agent, wish: Wish) -> Ground | None:
    """Why this agent may not take what asks for this, now; None when they may."""
    return lacks(agent, wish) or unavailable(agent)
