"""Lets the caller leave a message. The flow ends there; the box itself is the telephone system's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ivr.flow.model import Context, End, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import LeaveVoicemail, Outcome, Play, Played, Refused
from ivr.nodes.form import Build, ExitSpec, Field, NodeType
from ivr.nodes.spoken import Part, resolve


@dataclass(frozen=True, slots=True)
class Voicemail:
    parts: tuple[Part, ...] = ()
    box: str = ""

    def enter(self, session: Session, context: Context) -> Turn:
        session = replace(session, ahead="")
        if self.parts:
            return Turn(session, Play(resolve(self.parts, session), session.language))
        return Turn(session, LeaveVoicemail(self.box))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        if isinstance(outcome, Played):
            return Turn(session, LeaveVoicemail(self.box))
        if isinstance(outcome, Refused):
            return Turn(session, Leave("refused"), (), (f"no message could be left: {outcome.reason}",))
        return Turn(session, End("voicemail"))


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Voicemail(values["say"], values["box"])


TYPE = NodeType(
    name="voicemail",
    summary="Lets the caller leave a message.",
    fields=(
        Field("say", "spoken", default=(), help="said before the tone"),
        Field("box", "word", default="", help='the message box; "" = the common one'),
    ),
    exits=(ExitSpec("refused", help="there is no box"),),
    build=_build,
    ends=True,
    example="""\
type: voicemail
say: [closed, voicemail-invite]
""",
)
