"""Goes one way or another by what is known: the language, the level, variables, the order.

The first case whose expression (CEL) is true names the exit; none: `else`. An expression that cannot be evaluated counts
as false and is reported to the flow's author.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ivr.flow.model import Context, FlowFault, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Outcome
from ivr.nodes.form import Build, ExitSpec, Field, NodeType


@dataclass(frozen=True, slots=True)
class Branch:
    """`cases`: exit name → expression, in order."""

    cases: Mapping[str, str]

    def enter(self, session: Session, context: Context) -> Turn:
        facts = context.facts(session)
        reports: list[str] = []
        for exit_name, expression in self.cases.items():
            try:
                answer = context.evaluate(expression, facts)
            except FlowFault as fault:
                reports.append(f"{exit_name}: {fault}")
                continue
            if answer is True:
                return Turn(session, Leave(exit_name), (), tuple(reports))
        return Turn(session, Leave("else"), (), tuple(reports))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self.enter(session, context)


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Branch(values["cases"])


TYPE = NodeType(
    name="branch",
    summary="Chooses the way by expressions over call, caller, order, queue, time, vars, language, level, did, failed.",
    fields=(Field("cases", "expressions", required=True, help="exit name: expression, the first true one wins"),),
    exits=(ExitSpec("else", required=True),),
    build=_build,
    waits=False,
    case_field="cases",
    example="""\
type: branch
cases:
  late: order.status == "delayed" || order.status == "refund_late"
  chinese: language == "zh"
exits: {late: person, chinese: main, else: after-status}
""",
)
