"""Says how a return or refund stands, and goes on by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ivr.flow.model import Node
from ivr.nodes.form import Build, ExitSpec, NodeType
from ivr.nodes.status import OTHER, SAY, ByStatus

GROUPS = {
    "requested": frozenset({"return_requested"}),
    "received": frozenset({"return_received"}),
    "refunded": frozenset({"refunded"}),
    "late": frozenset({"refund_late"}),
    "exchange": frozenset({"exchange"}),
}


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return ByStatus(values["say"], GROUPS)


TYPE = NodeType(
    name="return_status",
    summary="Goes on by the state of the order's return; other = there is none.",
    fields=(SAY,),
    exits=(*(ExitSpec(name) for name in GROUPS), OTHER),
    build=_build,
    example="""\
type: return_status
say: [{phrases: phrases}]
exits: {requested: main, received: main, refunded: main, late: person, exchange: person, other: returns-how}
""",
)
