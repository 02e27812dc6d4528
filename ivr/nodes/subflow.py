"""Goes through another flow, and on from where that flow returns.

While the file is read, the other flow's nodes are put in the place of this one (`ivr/link.py`), under names like
`identify.order-number`; so a call in progress stays on the text it began with, and every rule that holds for one flow (limits,
circles, exits that lead nowhere) holds for all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Outcome
from ivr.nodes.form import Build, Field, NodeType

BEGIN = "begin"  # the exit that leads to the other flow's start


@dataclass(frozen=True, slots=True)
class SubFlow:
    flow: str

    def enter(self, session: Session, context: Context) -> Turn:
        return Turn(session, Leave(BEGIN))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self.enter(session, context)


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return SubFlow(values["flow"])


TYPE = NodeType(
    name="flow",
    summary="Goes through another flow; the exits are named after that flow's `return` nodes.",
    fields=(Field("flow", "flow", required=True, help="the other flow's name"),),
    exits=(),
    build=_build,
    waits=False,
    any_exits=True,
    example="""\
type: flow
flow: part
exits: {done: main}
""",
)
