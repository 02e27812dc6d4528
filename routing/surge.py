"""Surge: one switch for the hours in which far more people call than can be served, with an end it always has.

Pure. What is otherwise stands in the policy's text under `surge:`, queue by queue; here it is laid over the rules. Does not
remember whether it is on (`policy/store.py`) and does not switch it (`policy/desk.py`).
Invariants: a surge without an end does not exist; at its end the rules are those of every day, to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from core.errors import BadInput
from routing.policy.document import QueueSurge
from routing.policy.model import Policy, QueuePolicy

USUAL_S = 2 * 3600.0
MOST_S = 24 * 3600.0


@dataclass(frozen=True)
class Surge:
    """`rules`: what is otherwise, by queue. `until` None = off."""

    rules: Mapping[str, QueueSurge] = field(default_factory=dict)
    until: datetime | None = None

    def is_on(self, now: datetime) -> bool:
        return self.until is not None and now < self.until

    def left_s(self, now: datetime) -> float:
        """Seconds until it ends; 0 when it is off."""
        return max(0.0, (self.until - now).total_seconds()) if self.until is not None else 0.0


def end_of(now: datetime, for_s: float | None = None) -> datetime:
    """When a surge that is switched on now ends. Raises BadInput for one that would last too long or not at all."""
    seconds = USUAL_S if for_s is None else for_s
    if not 0 < seconds <= MOST_S:
        raise BadInput("routing:surge-length", f"A surge lasts more than 0 and at most {MOST_S:g} seconds.")
    return now + timedelta(seconds=seconds)


def with_surge(policy: Policy, surge: Surge, now: datetime) -> Policy:
    """The rules in force at `now`: those of every day, or with what the surge changes in the queues it names."""
    if not surge.is_on(now) or not surge.rules:
        return policy
    changed = {
        name: _surged(queue, surge.rules[name]) if name in surge.rules else queue
        for name, queue in policy.queues.items()
    }
    return policy.with_queues(changed)


def _surged(queue: QueuePolicy, rules: QueueSurge) -> QueuePolicy:
    waits = replace(
        queue.waits, greeting=rules.greeting or queue.waits.greeting,
        expected_wait_prompt=rules.expected_wait_prompt or queue.waits.expected_wait_prompt,
    )  # fmt: skip
    callback = queue.callback
    if rules.callback_offer_after_s is not None:
        callback = replace(callback, offer_after_s=rules.callback_offer_after_s)
    return replace(
        queue, waits=waits, callback=callback, overflow={**queue.overflow, **rules.overflow},
        max_waiting=queue.max_waiting if rules.max_waiting is None else rules.max_waiting,
        max_wait_s=queue.max_wait_s if rules.max_wait_s is None else rules.max_wait_s,
        leave_without=queue.leave_without if rules.leave_without is None else rules.leave_without,
    )  # fmt: skip
