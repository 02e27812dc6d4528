"""Offers to call back instead of waiting: whoever presses the key keeps a place in the queue and can hang up.

Who cannot be called is not offered it (`not-possible`); the promise is made by whoever owns the queues, and is spoken by what
stands behind `booked` only when it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.events.ivr import DigitsCollected
from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import CallBack, Collect, Done, Keys, Outcome, Refused
from ivr.nodes.form import Build, ExitSpec, Field, NodeType
from ivr.nodes.spoken import Part, resolve

ASKED, OFFERED, BOOKING = 1, 2, 3  # may they be called? · the key · the promise


@dataclass(frozen=True, slots=True)
class Callback:
    """`place["step"]`: how far the offer is."""

    queue: str
    parts: tuple[Part, ...]
    key: str = "1"
    first_digit_s: float = 5.0
    problem: str = ""

    def enter(self, session: Session, context: Context) -> Turn:
        return Turn(replace(session, place={"step": ASKED}), CallBack(self.queue, only_ask=True))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        step = session.place.get("step")
        if step == OFFERED:
            return self._pressed(session, outcome.text[:1] if isinstance(outcome, Keys) else "", context)
        if isinstance(outcome, Done):
            return Turn(session, Leave("booked")) if step == BOOKING else self._offer(session, context)
        reason = outcome.reason if isinstance(outcome, Refused) else type(outcome).__name__
        return Turn(session, Leave("not-possible"), (), (f"no callback in '{self.queue}': {reason}",))

    def _offer(self, session: Session, context: Context) -> Turn:
        offered = replace(session, place={"step": OFFERED}, ahead="")
        if session.ahead:
            return self._pressed(offered, session.ahead, context)
        phrases = resolve(self.parts, session)
        return Turn(offered, Collect(phrases, session.language, first_digit_s=self.first_digit_s))

    def _pressed(self, session: Session, key: str, context: Context) -> Turn:
        what = "digits" if key == self.key else "no_match" if key else "no_input"
        heard = DigitsCollected(
            interaction_id=session.interaction_id, at=context.at, node=session.node, digits=key, outcome=what
        )
        if key != self.key:
            return Turn(session, Leave("refused"), (heard,))
        problem = self.problem or str(session.variables.get("problem", ""))
        return Turn(replace(session, place={"step": BOOKING}), CallBack(self.queue, problem), (heard,))


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Callback(values["queue"], values["say"], values["key"], values["first_digit_s"], values["problem"])


TYPE = NodeType(
    name="callback",
    summary="Offers to call the caller back; they keep a place in the queue.",
    fields=(
        Field("queue", "queue", required=True),
        Field("say", "spoken", required=True, help="the offer; any key stops it"),
        Field(
            "key",
            "choice",
            default="1",
            choices=tuple("0123456789*#"),
            help="the key that accepts; any other one, or none, refuses",
        ),
        Field("first_digit_s", "seconds", default=5.0, low=1, high=30, help="how long to wait for the key"),
        Field("problem", "text", default="", help="what the agent reads; else the variable `problem`"),
    ),
    exits=(
        ExitSpec("booked", required=True, help="they will be called; say so"),
        ExitSpec("refused", help="another key, or none"),
        ExitSpec("not-possible", help="their number cannot be called, or nobody answers for the queue"),
    ),
    build=_build,
    takes_keys=True,
    example="""\
type: callback
queue: service
say: [callback-offer]
exits: {booked: goodbye, refused: person, not-possible: person}
""",
)
