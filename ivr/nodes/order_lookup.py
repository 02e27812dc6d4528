"""Asks the order desk for the order that the caller typed, within a deadline.

Keeps what may be said and the facts for branches, and raises the caller's level. After `max_failed` orders that were not
found in this call nobody is asked any more: the exit is `refused`. A wrong order number and a wrong second factor take
the same exit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.events.base import DomainEvent
from core.events.ivr import CallerIdentified, OrderLookedUp
from core.phrases.wire import to_json
from ivr.flow.model import Context, FlowFault, Leave, Node, NotProved, Turn
from ivr.flow.session import Session
from ivr.flow.waits import LookedUp, LookUp, Outcome
from ivr.nodes.form import Build, ExitSpec, Field, NodeType
from ivr.nodes.spoken import Part, resolve

KINDS = ("found", "several", "none", "slow", "error", "refused")


@dataclass(frozen=True, slots=True)
class OrderLookup:
    order_no: str
    second_factor: str
    filler: tuple[Part, ...]
    deadline_s: float = 3.0
    filler_after_s: float = 0.8
    max_failed: int = 3

    def enter(self, session: Session, context: Context) -> Turn:
        if session.failed >= self.max_failed:
            return self._answered(session, LookedUp("refused"), context)
        wait = LookUp(
            self._held(session, self.order_no),
            self._held(session, self.second_factor),
            session.language,
            resolve(self.filler, session),
            self.filler_after_s,
            self.deadline_s,
        )
        return Turn(replace(session, ahead=""), wait)

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        answer = outcome if isinstance(outcome, LookedUp) and outcome.kind in KINDS else LookedUp("error")
        if answer.kind == "none":
            session = replace(session, failed=session.failed + 1)
            if session.failed >= self.max_failed:
                answer = replace(answer, kind="refused")
        return self._answered(session, answer, context)

    def _answered(self, session: Session, answer: LookedUp, context: Context) -> Turn:
        ix, at = session.interaction_id, context.at
        found = answer.kind in ("found", "several")
        events: list[DomainEvent] = [
            OrderLookedUp(
                interaction_id=ix,
                at=at,
                node=session.node,
                outcome=answer.kind,
                order_id=answer.order_id,
                order_no=answer.order_no,
                took_ms=answer.took_ms,
            )  # fmt: skip
        ]
        kept = {name: value for name, value in session.proved.items() if name not in ("order", "phrases")}
        if found:
            kept["order"] = {"id": answer.order_id, "no": answer.order_no, **answer.facts}
            kept["phrases"] = to_json(answer.phrases)
            if answer.level:
                events.append(CallerIdentified(interaction_id=ix, at=at, level=answer.level, order_id=answer.order_id))
                session = replace(session, level=answer.level)
        return Turn(replace(session, proved=kept), Leave(answer.kind), tuple(events))

    def _held(self, session: Session, name: str) -> str:
        if not name:
            return ""
        value = session.holding(name)
        if value is None:
            if session.asked_at:
                raise NotProved
            raise FlowFault(f"'{name}' has no value here")
        return str(value)


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return OrderLookup(
        values["order_no"], values["second_factor"], values["filler"], values["deadline_s"], values["filler_after_s"],
        values["max_failed"],
    )  # fmt: skip


TYPE = NodeType(
    name="order_lookup",
    summary="Finds the order that was typed; what may be said of it is then {phrases: phrases}.",
    fields=(
        Field("order_no", "word", default="", help="the variable with the order number; none = by the caller's number"),
        Field("second_factor", "word", default="", help="the variable with the second factor"),
        Field("filler", "spoken", required=True, help="said when no answer came after filler_after_s"),
        Field("deadline_s", "seconds", default=3.0, low=0.5, high=10),
        Field("filler_after_s", "seconds", default=0.8, low=0.1, high=1.5),
        Field("max_failed", "number", default=3, low=1, high=3, help="orders not found in one call, then `refused`"),
    ),
    exits=(
        ExitSpec("found", required=True),
        ExitSpec("several", help="more than one order fits"),
        ExitSpec("none", help="no such order, or it was not proved"),
        ExitSpec("slow", help="no answer before the deadline"),
        ExitSpec("error", help="the order system does not work"),
        ExitSpec("refused", help="too many tries"),
    ),
    build=_build,
    example="""\
type: order_lookup
order_no: order_no
second_factor: factor
filler: [one-moment]
exits: {found: status, several: status, none: not-found, slow: unavailable, error: unavailable, refused: too-many}
""",
)
