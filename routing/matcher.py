"""Who takes what, of all who wait and all who are free: the same decision as the living pool's, from values alone.

Pure and deterministic: the same items, agents and rules at the same moment give the same assignments. For dry runs, replays and
whoever wants to check the owner. Does not keep anything (`pool.py` does).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from routing.agent import Agent
from routing.model import WorkItem
from routing.policy.model import Policy
from routing.pool import Assignment, Pool

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def match(items: Iterable[WorkItem], agents: Iterable[Agent], policy: Policy, now: datetime) -> list[Assignment]:
    """The assignments to make now, in the order in which they are to be made."""
    pool, moment = Pool(policy), now.timestamp()
    for item in sorted(items, key=lambda item: item.order):
        pool.put(item, item.enqueued_at.timestamp(), moment)
    for agent in agents:
        if agent.available:
            idle_since = (agent.idle_since or _EPOCH).timestamp()
            pool.free(agent.extension, agent.skills, agent.teams, moment, idle_since=idle_since)
    return pool.settle(moment)
