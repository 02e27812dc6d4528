"""Gives the caller to a queue, with what the agent should know. The flow ends there.

A queue that is not to be had leads to `refused`; without that exit, to a message box, so that nobody is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ivr.flow.model import Context, End, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Done, HandOff, LeaveVoicemail, Outcome, Play, Played, Refused
from ivr.nodes.form import Build, ExitSpec, Field, NodeType
from ivr.nodes.spoken import Part, resolve


@dataclass(frozen=True, slots=True)
class HandoffNode:
    """`skills` → least proficiency; the caller's language is added as a skill by routing, not here."""

    queue: str
    parts: tuple[Part, ...] = ()
    skills: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    problem: str = ""
    refused_goes_on: bool = False
    agent: str = ""

    def enter(self, session: Session, context: Context) -> Turn:
        session = replace(session, ahead="")
        if self.parts:
            return Turn(session, Play(resolve(self.parts, session), session.language))
        return self._hand_off(session)

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        asked = bool(session.place.get("asked"))
        match outcome:
            case Played():
                return self._hand_off(session)
            case Refused(reason) if asked:
                report = (f"queue '{self.queue}': {reason}",)
                if self.refused_goes_on:
                    return Turn(session, Leave("refused"), (), report)
                return Turn(replace(session, place={}), LeaveVoicemail(), (), report)
            case Done() if asked:
                return Turn(session, End("handoff", queue=self.queue, problem=self._problem(session)))
            case Done():
                return Turn(session, End("voicemail", queue=self.queue))
        return Turn(session, End("error", queue=self.queue, error="neither a person nor a message box"))

    def _hand_off(self, session: Session) -> Turn:
        wait = HandOff(self.queue, self.skills, self.priority, self._problem(session), self._owner(session))
        return Turn(replace(session, place={"asked": 1}), wait)

    def _owner(self, session: Session) -> str:
        return self.agent or str(session.variables.get("owner", ""))

    def _problem(self, session: Session) -> str:
        return self.problem or str(session.variables.get("problem", ""))


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return HandoffNode(
        values["queue"], values["say"], values["skills"], values["priority"], values["problem"],
        "refused" in values["exits_given"], values["agent"],
    )  # fmt: skip


TYPE = NodeType(
    name="handoff",
    summary="Gives the caller to a queue, and there to a certain agent first when one is named.",
    fields=(
        Field("queue", "queue", required=True),
        Field("say", "spoken", default=(), help="said before; cannot be stopped by a key"),
        Field("skills", "skills", default={}, help="skill: least level 1–5"),
        Field("priority", "number", default=0, low=0, high=10, help="higher is served first"),
        Field("problem", "text", default="", help="what the agent reads; else the variable `problem`"),
        Field("agent", "agent", default="", help="the agent who should have them first; else the variable `owner`"),
    ),
    exits=(ExitSpec("refused", help="the queue does not take the caller"),),
    build=_build,
    ends=True,
    example="""\
type: handoff
queue: service
say: [connecting]
skills: {sales: 2}
""",
)
