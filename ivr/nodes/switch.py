"""Goes the way whose value fits: a branch for one value with many ways.

The value of an expression (CEL) is compared as text, so 3 fits "3". None fits: `else`; an expression that cannot be
evaluated fits nothing and is reported to the flow's author.
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
class Switch:
    """`values`: exit name → the texts that lead there."""

    on: str
    values: Mapping[str, tuple[str, ...]]

    def enter(self, session: Session, context: Context) -> Turn:
        try:
            found = context.evaluate(self.on, context.facts(session))
        except FlowFault as fault:
            return Turn(session, Leave("else"), (), (str(fault),))
        text = str(found).lower() if isinstance(found, bool) else str(found)
        for exit_name, texts in self.values.items():
            if text in texts:
                return Turn(session, Leave(exit_name))
        return Turn(session, Leave("else"))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self.enter(session, context)


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Switch(values["on"], values["values"])


TYPE = NodeType(
    name="switch",
    summary="Chooses the way by one value.",
    fields=(
        Field("on", "expression", required=True, help="what is looked at, such as order.status"),
        Field("values", "values", required=True, help="exit name: the value, or a list of values, that leads there"),
    ),
    exits=(ExitSpec("else", required=True),),
    build=_build,
    waits=False,
    case_field="values",
    example="""\
type: switch
on: order.status
values:
  late: [delayed, refund_late]
  there: delivered
exits: {late: person, there: main, else: status}
""",
)
