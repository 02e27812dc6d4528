"""Goes on by where the parcel is, as the carrier says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ivr.flow.model import Node
from ivr.nodes.form import Build, ExitSpec, NodeType
from ivr.nodes.status import OTHER, SAY, ByStatus

GROUPS = {
    "waiting": frozenset({"packed"}),
    "moving": frozenset({"shipped", "partly_shipped", "in_transit"}),
    "today": frozenset({"out_for_delivery"}),
    "delivered": frozenset({"delivered"}),
    "stuck": frozenset({"delayed"}),
}


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return ByStatus(values["say"], GROUPS)


TYPE = NodeType(
    name="carrier_status",
    summary="Goes on by where the parcel is; other = nothing was sent, or it came back.",
    fields=(SAY,),
    exits=(*(ExitSpec(name) for name in GROUPS), OTHER),
    build=_build,
    example="""\
type: carrier_status
exits: {waiting: main, moving: main, today: main, delivered: main, stuck: person, other: main}
""",
)
