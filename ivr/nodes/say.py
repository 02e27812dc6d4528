"""Say something, then go on.

Any key stops it and is given to the next node that asks for one, so that nobody has to listen to the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Outcome, Play, Played
from ivr.nodes.form import NEXT, Build, Field, NodeType
from ivr.nodes.spoken import Part, resolve

ANY_KEY = "0123456789*#"


@dataclass(frozen=True, slots=True)
class Say:
    parts: tuple[Part, ...]
    barge_in: bool = True

    def enter(self, session: Session, context: Context) -> Turn:
        if session.ahead:  # a key is waiting for its question: nothing is said before it
            return Turn(session, Leave("next"))
        phrases = resolve(self.parts, session)
        return Turn(session, Play(phrases, session.language, ANY_KEY if self.barge_in else ""))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        key = outcome.key if isinstance(outcome, Played) else ""
        return Turn(replace(session, ahead=key), Leave("next"))


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Say(values["say"], values["barge_in"])


TYPE = NodeType(
    name="say",
    summary="Says prompts, numbers or what was found out about the order.",
    fields=(
        Field("say", "spoken", required=True, help="prompts by name; {phrases: order}, {digits: NAME}, {pause: 300}"),
        Field("barge_in", "flag", default=True, help="whether a key stops it"),
    ),
    exits=(NEXT,),
    build=_build,
    example="""\
type: say
say: [order-your-order, {digits: order_no}, {pause: 200}, {phrases: order}]
next: after-status
""",
)
