"""What the three nodes on an order's state have in common: which states lead where.

Needs an order that was found; without one the caller is asked again where they were first asked. A state that is in no
group leaves by `other`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ivr.flow.model import Context, Leave, NotProved, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Outcome, Play, Played
from ivr.nodes.form import ExitSpec, Field
from ivr.nodes.say import ANY_KEY
from ivr.nodes.spoken import Part, resolve

SAY = Field("say", "spoken", default=(), help="said before going on, such as {phrases: phrases}; a key stops it")
OTHER = ExitSpec("other", help="anything else")


@dataclass(frozen=True, slots=True)
class ByStatus:
    """`groups`: exit → the states that lead there."""

    parts: tuple[Part, ...]
    groups: Mapping[str, frozenset[str]]

    def enter(self, session: Session, context: Context) -> Turn:
        status = _status(session)
        if not self.parts or session.ahead:
            return Turn(session, Leave(self._exit(status)))
        return Turn(session, Play(resolve(self.parts, session), session.language, ANY_KEY))

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        key = outcome.key if isinstance(outcome, Played) else ""
        return Turn(replace(session, ahead=key), Leave(self._exit(_status(session))))

    def _exit(self, status: str) -> str:
        return next((name for name, states in self.groups.items() if status in states), "other")


def _status(session: Session) -> str:
    order = session.proved.get("order")
    if not isinstance(order, Mapping) or "status" not in order:
        raise NotProved
    return str(order["status"])
