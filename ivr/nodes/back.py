"""Returns to the flow that went through this one. Where there is none, the caller goes to the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Outcome
from ivr.nodes.form import Build, ExitSpec, Field, NodeType


@dataclass(frozen=True, slots=True)
class Back:
    """`result` names the exit of the `flow` node."""

    result: str

    def enter(self, session: Session, context: Context) -> Turn:
        return Turn(session, Leave("next"))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self.enter(session, context)


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Back(values["result"])


TYPE = NodeType(
    name="return",
    summary="Returns to the flow that went through this one.",
    fields=(Field("result", "word", default="done", help="the exit by which the other flow goes on"),),
    exits=(ExitSpec("next", help="filled in when another flow goes through this one"),),
    build=_build,
    waits=False,
    example="""\
type: return
result: done
""",
)
