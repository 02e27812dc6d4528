"""Asks how a queue stands: how many wait, how long it would take, how many agents there are.

Afterwards there are `queue.waiting`, `queue.agents` and, where it is known, `queue.wait_s`. Nobody is kept waiting for the
answer: one that does not come in time leaves by `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session, Value
from ivr.flow.waits import AskQueue, Outcome, QueueTold
from ivr.nodes.form import Build, ExitSpec, Field, NodeType


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """`busy_waiting` and `busy_wait_s`: from which length or expected wait on the queue is busy."""

    queue: str
    busy_waiting: int = 10
    busy_wait_s: float = 300.0

    def enter(self, session: Session, context: Context) -> Turn:
        return Turn(session, AskQueue(self.queue))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        told = outcome if isinstance(outcome, QueueTold) else QueueTold(known=False)
        variables: dict[str, Value] = {k: v for k, v in session.variables.items() if not k.startswith("queue_")}
        if not told.known:
            return Turn(replace(session, variables=variables), Leave("unknown"))
        variables |= {"queue_name": self.queue, "queue_waiting": told.waiting, "queue_agents": told.agents}
        if told.wait_s is not None:
            variables["queue_wait_s"] = round(told.wait_s)
        busy = told.waiting >= self.busy_waiting or (told.wait_s or 0) >= self.busy_wait_s
        leave = "empty" if not told.agents else "busy" if busy else "free"
        return Turn(replace(session, variables=variables), Leave(leave))


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return QueueStatus(values["queue"], values["busy_waiting"], values["busy_wait_s"])


TYPE = NodeType(
    name="queue_status",
    summary="Asks how many wait in a queue and how long it would take; then there are queue.waiting, .wait_s, .agents.",
    fields=(
        Field("queue", "queue", required=True),
        Field("busy_waiting", "number", default=10, low=1, high=1000, help="busy from so many callers on"),
        Field("busy_wait_s", "seconds", default=300.0, low=1, high=7200, help="busy from so long an expected wait on"),
    ),
    exits=(
        ExitSpec("free", required=True),
        ExitSpec("busy", required=True),
        ExitSpec("empty", help="nobody is there to answer"),
        ExitSpec("unknown", help="nobody could say"),
    ),
    build=_build,
    example="""\
type: queue_status
queue: service
exits: {free: person, busy: offer-voicemail, empty: closed, unknown: person}
""",
)
