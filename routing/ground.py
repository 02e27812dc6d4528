"""A ground for something: a short name that never changes, what belongs to it, and both as an English sentence.

Pure. Decides nothing. Whoever shows it to people says it in their language by the name and the facts; the sentence is for
those who read logs, events and the API by eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_WORDS = {
    # why an agent may not take it
    "skill": "{name} lacks the skill {skill}",
    "level": "{name} has {skill} at level {level}, and {least} is asked for",
    "team": "{name} is in none of the teams {teams}",
    "only": "for now only {only} may take it",
    "unreachable": "{name}'s phone is not reachable",
    "in_use": "{name} is on a call of their own",
    "state": "{name} is {state}",
    # why nobody takes it, or is given anything
    "no_switch": "the telephone switch does not answer",
    "again": "it is tried again in a moment",
    "no_agents": "there are no agents",
    "more": "and {n} more",
    "nobody_waits": "{name} is ready; nobody waits. {before} free agents have been idle for longer.",
    "other_wanted": "{name} is ready; {waiting} wait, but for something else: see the queues.",
    # why it was offered to whom
    "first": "the caller was first by priority and wait",
    "overtaken": "the caller was overtaken as often as anybody may be",
    "widened": "widened {n} times",
    "longest_idle": "the longest idle agent who may take it",
    "most_proficient": "the most proficient agent who may take it",
    "least_occupied": "the least occupied agent who may take it",
    "round_robin": "the agent whose turn it is",
    "specialist_first": "the most specialised agent who may take it",
    "most_points": "the agent with most points who may take it",
    "rings_with": "rings with {extension}",
    "given": "given by {actor}",
    "by_name": "asked for by name",
}
_HINTS = {
    "no_switch": "Look at /health: calls go on as soon as the switch answers.",
    "unreachable": "The phone is not registered at the switch: check its power, its network and its password.",
    "in_use": "They hear of waiting callers as soon as they hang up.",
    "rona": "Their phone rang and was not answered. They can say READY again on the page or by the phone's code.",
    "NOT_READY": "They, or a supervisor, can say READY.",
    "OFFLINE": "They, or a supervisor, can say READY.",
    "WRAP_UP": "It ends by itself, or when they finish it.",
    "RESERVED": "A caller is being brought to them right now.",
    "ENGAGED": "They are free again after this call and its wrap-up.",
}


@dataclass(frozen=True)
class Ground:
    """`state` has a second fact where there is one: `state_reason` (lunch, rona)."""

    reason: str
    facts: dict[str, str | int] = field(default_factory=dict)

    @property
    def words(self) -> str:
        said = _WORDS[self.reason].format(**self.facts)
        return f"{said} ({self.facts['state_reason']})" if self.facts.get("state_reason") else said

    @property
    def hint_id(self) -> str:
        """The short name of what can be done about it; "" for nothing."""
        name = self.reason
        if name == "state":
            name = "rona" if self.facts.get("state_reason") == "rona" else str(self.facts["state"])
        return name if name in _HINTS else ""

    @property
    def hint(self) -> str:
        return _HINTS.get(self.hint_id, "")


def sentence(grounds: Sequence[Ground]) -> str:
    """All of them, one after the other; what speaks against a gift is said as such."""
    if len(grounds) > 1 and grounds[0].reason == "given":
        return f"{grounds[0].words}, although {sentence(grounds[1:])}"
    return "; ".join(ground.words for ground in grounds)
