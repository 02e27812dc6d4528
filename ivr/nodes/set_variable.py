"""Keeps a value under a name, for later branches and for whoever takes the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ivr.flow.model import Context, FlowFault, Leave, Node, Turn
from ivr.flow.session import Session, Value
from ivr.flow.waits import Outcome
from ivr.nodes.form import NEXT, Build, Field, NodeType


@dataclass(frozen=True, slots=True)
class SetVariable:
    """`value`, or the result of `expression` when there is one."""

    variable: str
    value: Value
    expression: str = ""

    def enter(self, session: Session, context: Context) -> Turn:
        value: object = self.value
        if self.expression:
            try:
                value = context.evaluate(self.expression, context.facts(session))
            except FlowFault as fault:
                return Turn(session, Leave("next"), (), (str(fault),))
        if not isinstance(value, str | int | bool | float):
            return Turn(session, Leave("next"), (), (f"'{self.variable}' can hold text and numbers only",))
        kept = value[:200] if isinstance(value, str) else value
        return Turn(replace(session, variables={**session.variables, self.variable: kept}), Leave("next"))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self.enter(session, context)


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return SetVariable(values["variable"], values["value"], values["expression"])


TYPE = NodeType(
    name="set",
    summary="Keeps a value; `problem` is handed to the agent.",
    fields=(
        Field("variable", "word", required=True),
        Field("value", "value", default="", help="a text, number, true or false"),
        Field("expression", "expression", default="", help="instead of a value: what to compute"),
    ),
    exits=(NEXT,),
    build=_build,
    waits=False,
    example="""\
type: set
variable: problem
value: returns
next: person
""",
)
