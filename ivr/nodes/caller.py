"""Whether the shop knows the caller by their number, and their tier when it tells one. Proves nothing about who they are.

A number can be forged, so nothing of an order is kept or said from here. A shop that does not answer in time knows nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import LookedUp, LookUp, Outcome
from ivr.nodes.form import Build, ExitSpec, Field, NodeType


@dataclass(frozen=True, slots=True)
class Caller:
    deadline_s: float = 1.0

    def enter(self, session: Session, context: Context) -> Turn:
        if not session.ani:
            return self._kept(session, LookedUp("none"))
        return Turn(session, LookUp("", "", session.language, (), self.deadline_s, self.deadline_s))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self._kept(session, outcome if isinstance(outcome, LookedUp) else LookedUp("error"))

    def _kept(self, session: Session, answer: LookedUp) -> Turn:
        known = answer.kind in ("found", "several")
        variables = {**session.variables, "known": known}
        if known and (tier := str(answer.facts.get("tier", ""))[:32]):
            variables["tier"] = tier
        return Turn(replace(session, variables=variables), Leave("known" if known else "unknown"))


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Caller(values["deadline_s"])


TYPE = NodeType(
    name="caller",
    summary="Whether the shop knows the caller's number; afterwards there are caller.known and caller.tier.",
    fields=(Field("deadline_s", "seconds", default=1.0, low=0.2, high=3, help="silence of so long is risked for it"),),
    exits=(ExitSpec("known", required=True), ExitSpec("unknown", required=True)),
    build=_build,
    example="""\
type: caller
exits: {known: main, unknown: main}
""",
)
