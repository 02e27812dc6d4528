"""Says goodbye and ends the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ivr.flow.model import Context, End, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import HangUp, Outcome, Play, Played
from ivr.nodes.form import Build, Field, NodeType
from ivr.nodes.spoken import Part, resolve


@dataclass(frozen=True, slots=True)
class HangUpNode:
    parts: tuple[Part, ...] = ()

    def enter(self, session: Session, context: Context) -> Turn:
        session = replace(session, ahead="")
        if self.parts:
            return Turn(session, Play(resolve(self.parts, session), session.language))
        return Turn(session, HangUp())

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return Turn(session, HangUp() if isinstance(outcome, Played) else End("hangup"))


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return HangUpNode(values["say"])


TYPE = NodeType(
    name="hangup",
    summary="Ends the call.",
    fields=(Field("say", "spoken", default=(), help="said before"),),
    exits=(),
    build=_build,
    ends=True,
    example="""\
type: hangup
say: [thank-you, goodbye]
""",
)
