"""Says how the order stands, and goes on by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ivr.flow.model import Node
from ivr.nodes.form import Build, ExitSpec, NodeType
from ivr.nodes.status import OTHER, SAY, ByStatus

GROUPS = {
    "open": frozenset({"placed", "paid", "packed"}),
    "on-its-way": frozenset({"shipped", "partly_shipped", "in_transit", "out_for_delivery"}),
    "delivered": frozenset({"delivered"}),
    "late": frozenset({"delayed", "refund_late"}),
    "returning": frozenset({"return_requested", "return_received", "refunded", "exchange"}),
}


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return ByStatus(values["say"], GROUPS)


TYPE = NodeType(
    name="order_status",
    summary="Says the order that was found and goes on by its state.",
    fields=(SAY,),
    exits=(*(ExitSpec(name) for name in GROUPS), OTHER),
    build=_build,
    example="""\
type: order_status
say: [{phrases: phrases}, {pause: 500}]
exits: {open: main, on-its-way: carrier, delivered: main, late: person, returning: returns}
""",
)
