"""Sends a share of the calls another way: a new menu tried on a few first (a canary).

The choice is a hash of the call's id and the node's salt, so one call always goes the same way, also when it comes by again
or is picked up by another process, and two such nodes with different salts choose independently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Outcome
from ivr.nodes.form import Build, ExitSpec, Field, NodeType


@dataclass(frozen=True, slots=True)
class Percentage:
    """`share` of 100 calls leave by `chosen`."""

    share: int
    salt: str = ""

    def enter(self, session: Session, context: Context) -> Turn:
        return Turn(session, Leave("chosen" if bucket(session.interaction_id, self.salt) < self.share else "rest"))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self.enter(session, context)


def bucket(interaction_id: str, salt: str) -> int:
    """0 to 99, evenly spread over calls, for ever the same for one."""
    digest = hashlib.sha256(f"{salt}|{interaction_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Percentage(values["share"], values["salt"])


TYPE = NodeType(
    name="percentage",
    summary="Sends a share of the calls another way; one call always goes the same.",
    fields=(
        Field("share", "number", required=True, low=0, high=100, help="of a hundred calls so many leave by `chosen`"),
        Field("salt", "word", default="", help="nodes with the same salt choose the same calls"),
    ),
    exits=(ExitSpec("chosen", required=True), ExitSpec("rest", required=True)),
    build=_build,
    waits=False,
    example="""\
type: percentage
share: 10
exits: {chosen: new-menu, rest: main}
""",
)
