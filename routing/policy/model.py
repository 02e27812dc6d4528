"""The rules of routing as values: queues, their rings, how an agent is chosen, who goes before whom, where nobody waits for ever.

Pure. Does not read text (`text.py`) and decides nothing (`pool.py` does). All that is added up is in *points*: what a
minute of waiting is worth stands in the item's class, and every other term is measured against that.
Invariants: a ring only ever asks for less than the one before it; an item's points and its ageing are fixed within one ring,
so that the order of those who wait does not change by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

NO_TEAMS: frozenset[str] = frozenset()
REASONS = ("full", "timeout", "no_agents", "closed")  # for which a caller goes elsewhere
KINDS = ("voice", "chat", "mail", "social")


@dataclass(frozen=True)
class Weights:
    """How an agent is chosen for an item, as one sum of named terms, in points.

    `idle`: per minute since the last contact. `fit`: per level of proficiency in what the item wants. `breadth`: per skill
    of the agent (below 0: the specialist first, who can do little else). `occupancy`: per percent of time spent on contacts.
    `turn`: per offer of this queue made since the agent's last one (round robin with memory).
    """

    idle: float = 1.0
    fit: float = 0.0
    breadth: float = 0.0
    occupancy: float = 0.0
    turn: float = 0.0


# Small enough to tell agents apart and never worth more than seconds of somebody's waiting.
CHOICES: Mapping[str, Weights] = {
    "longest_idle": Weights(idle=1e-2),
    "most_proficient": Weights(idle=1e-6, fit=1e-2),
    "least_occupied": Weights(idle=1e-6, occupancy=-1e-2),
    "round_robin": Weights(idle=1e-6, turn=1e-2),
    "specialist_first": Weights(idle=1e-6, breadth=-1e-2),
}


@dataclass(frozen=True)
class PriorityClass:
    """Priority = `base` + `ageing_per_min` × minutes waited (+ what a ring or the order's value adds)."""

    name: str
    base: float = 0.0
    ageing_per_min: float = 1.0


@dataclass(frozen=True)
class Ring:
    """From `after_s` of waiting on: levels lowered, skills dropped, teams added, points added. Rings add up."""

    after_s: float
    lower: Mapping[str, int] = field(default_factory=dict)  # skill → by how many levels, never below 1
    drop: frozenset[str] = frozenset()
    teams: frozenset[str] = NO_TEAMS
    any_team: bool = False
    points: float = 0.0


@dataclass(frozen=True)
class Overflow:
    """Where somebody goes: `voicemail`, `closing` (a sentence), `queue`, `number`, `callback`; `target` for the middle two."""

    to: str
    target: str = ""


@dataclass(frozen=True)
class Waits:
    """What those who wait are told. Position only when it has become better; the expected wait as a band, or, where there is
    one, by a prompt of its own. `greeting` is said first, also where nothing else is."""

    every_s: float = 0.0  # 0: music alone
    position: bool = False
    expected_wait: bool = False
    order_status: bool = False  # a comforting word about the order they called for
    prompts: tuple[str, ...] = ()
    music: str = ""
    greeting: str = ""
    expected_wait_prompt: str = ""


@dataclass(frozen=True)
class CallbackRules:
    """A callback keeps the place in the queue. It is offered after `offer_after_s` of waiting (0: never)."""

    offer_after_s: float = 0.0
    attempts: int = 3
    retry_after_s: float = 900.0
    window: str = "09:00-20:00"  # the customer's own time of day
    ring_s: float = 30.0


@dataclass(frozen=True)
class QueuePolicy:
    """A queue's rules. `skills`: least proficiency (1–5) an agent needs, by skill. `teams`: who serves it (none: everybody)."""

    name: str
    skills: Mapping[str, int] = field(default_factory=dict)
    ring_s: float = 15.0
    wrap_up_s: float = 20.0
    max_misses: int = 1
    max_wait_s: float = 0.0  # 0 = as long as they like
    overflow: Mapping[str, Overflow] = field(default_factory=dict)  # by reason
    kind: str = "voice"
    by_language: bool = False  # the caller's language is a wanted skill
    teams: frozenset[str] = NO_TEAMS
    choice: Weights = CHOICES["longest_idle"]
    best_of: frozenset[str] = frozenset()  # skills of which the best agent is wanted; counts in `fit` alone
    ring_all: int = 1  # how many phones ring at once
    rings: tuple[Ring, ...] = ()
    class_of_tier: Mapping[str, str] = field(default_factory=dict)  # customer's tier → priority class
    default_class: str = "standard"
    value_points: tuple[tuple[int, float], ...] = ()  # (order's value in minor units from which on, points), ascending
    problem_points: Mapping[str, float] = field(default_factory=dict)
    last_agent_days: float = 0.0
    last_agent_points: float = 0.0
    promise_points: float = 0.0  # added when the time comes by which we promised to answer
    owner_first_s: float = 0.0  # for so long the case's owner alone, if they are at work
    max_waiting: int = 0  # 0 = no limit
    leave_without: frozenset[str] = (
        frozenset()
    )  # kinds of agents' absence that send callers away: offline, not_ready, unreachable
    hours: str = ""  # a calendar's name
    waits: Waits = Waits()
    callback: CallbackRules = CallbackRules()
    whisper: bool = False  # the agent hears queue and tier before the two are joined

    def overflow_for(self, reason: str) -> Overflow:
        return self.overflow.get(reason) or self.overflow.get("timeout") or Overflow("voicemail")


@dataclass(frozen=True)
class Policy:
    """All queues and classes. `max_overtakes`: nobody is overtaken more often than this by somebody who came later."""

    queues: Mapping[str, QueuePolicy] = field(default_factory=dict)
    classes: Mapping[str, PriorityClass] = field(default_factory=dict)
    max_overtakes: int = 20
    version: int = 0

    def queue(self, name: str) -> QueuePolicy:
        """The queue's rules; plain ones for a queue that is not configured (its callers are served all the same)."""
        return self.queues.get(name) or QueuePolicy(name, wrap_up_s=0)

    def class_of(self, queue: QueuePolicy, tier: str) -> PriorityClass:
        name = queue.class_of_tier.get(tier, queue.default_class)
        return self.classes.get(name) or PriorityClass(name)

    def with_queues(self, queues: Mapping[str, QueuePolicy]) -> Policy:
        return replace(self, queues=dict(queues))
