"""In words: why this agent, why not that one, and why nobody yet.

Pure. Decides nothing: it reads what was decided with and says it. English here; the console has the same in both languages by
the reasons' short names.
"""

from __future__ import annotations

from dataclasses import dataclass

from routing.agent import Agent
from routing.policy.model import CHOICES, QueuePolicy
from routing.pool import Assignment
from routing.wish import Wish

_BEST = {
    "longest_idle": "the longest idle agent",
    "most_proficient": "the most proficient agent",
    "least_occupied": "the least occupied agent",
    "round_robin": "the agent whose turn it is",
    "specialist_first": "the most specialised agent",
}
_WORDS = {
    "skill": "{name} lacks the skill {skill}",
    "level": "{name} has {skill} at level {level}, and {least} is asked for",
    "team": "{name} is in none of the teams {teams}",
    "only": "for now only {only} may take it",
    "unreachable": "{name}'s phone is not reachable",
    "in_use": "{name} is on a call of their own",
    "state": "{name} is {state}",
}


@dataclass(frozen=True)
class Hindrance:
    """Why not: a short name that a screen can translate, what belongs to it, and the sentence."""

    reason: str
    facts: dict[str, str | int]

    @property
    def words(self) -> str:
        return _WORDS[self.reason].format(**self.facts)


def chosen(pair: Assignment, queue: QueuePolicy) -> str:
    """Why this item, and why this agent."""
    best = next((words for name, words in _BEST.items() if CHOICES[name] == queue.choice), "the agent with most points")
    item = "overtaken as often as anybody may be" if pair.due else "first by priority and wait"
    ring = f", widened {pair.ring} time{'s' if pair.ring > 1 else ''}" if pair.ring else ""
    return f"the caller was {item}{ring}; {best} who may take it"


def lacks(agent: Agent, wish: Wish) -> Hindrance | None:
    """What the agent lacks to take it whenever they are free."""
    name = agent.name or agent.extension
    if wish.only and wish.only != agent.extension:
        return Hindrance("only", {"only": wish.only})
    for skill, least in wish.skills:
        level = agent.skills.get(skill, 0)
        if not level:
            return Hindrance("skill", {"name": name, "skill": skill})
        if level < least:
            return Hindrance("level", {"name": name, "skill": skill, "level": level, "least": least})
    if wish.teams and not wish.teams & agent.teams:
        return Hindrance("team", {"name": name, "teams": ", ".join(sorted(wish.teams))})
    return None


def unavailable(agent: Agent) -> Hindrance | None:
    """What keeps the agent from taking anything now."""
    name = agent.name or agent.extension
    if not agent.reachable:
        return Hindrance("unreachable", {"name": name})
    if agent.in_use:
        return Hindrance("in_use", {"name": name})
    if not agent.available:
        state = str(agent.state) + (f" ({agent.reason})" if agent.reason else "")
        return Hindrance("state", {"name": name, "state": state})
    return None


def hindrance(agent: Agent, wish: Wish) -> Hindrance | None:
    """Why this agent may not take what asks for this, now; None when they may."""
    return lacks(agent, wish) or unavailable(agent)
