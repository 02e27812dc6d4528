"""One key chooses where to go. The exits are named after the keys.

0 leads to a person everywhere, whether the file says so or not; `zero: off` switches that off.
No key or a wrong one: said so, asked again, and after `tries` on to a person (or wherever the file says).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.events.ivr import DigitsCollected
from core.phrases.model import Pause, Phrases, Prompt
from ivr.flow.model import Context, Leave, Node, Turn
from ivr.flow.session import Session
from ivr.flow.waits import Collect, Keys, Outcome
from ivr.nodes.form import NO_INPUT, NO_MATCH, Build, Field, NodeType
from ivr.nodes.spoken import Part, resolve

WRONG: dict[str, Phrases] = {
    "no-input": (Prompt("no-input"), Pause(200)),
    "no-match": (Prompt("invalid-input"), Pause(200)),
}


@dataclass(frozen=True, slots=True)
class Menu:
    """`keys` is filled in by the loader from the exits that stand in the file."""

    parts: tuple[Part, ...]
    keys: frozenset[str]
    tries: int = 3
    first_digit_s: float = 5.0

    def enter(self, session: Session, context: Context) -> Turn:
        if session.ahead:
            key = session.ahead
            return self._take(replace(session, ahead=""), key, context)
        return self._ask(session, ())

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        return self._take(session, outcome.text[:1] if isinstance(outcome, Keys) else "", context)

    def _take(self, session: Session, key: str, context: Context) -> Turn:
        what = "digits" if key in self.keys else "no_match" if key else "no_input"
        heard = DigitsCollected(
            interaction_id=session.interaction_id, at=context.at, node=session.node, digits=key, outcome=what
        )
        if what == "digits":
            return Turn(session, Leave(key), (heard,))
        tried = session.place.get("tries", 0) + 1
        exit_name = what.replace("_", "-")
        if tried >= self.tries:
            return Turn(session, Leave(exit_name), (heard,))
        asked = self._ask(replace(session, place={"tries": tried}), WRONG[exit_name])
        return replace(asked, events=(heard,))

    def _ask(self, session: Session, first: Phrases) -> Turn:
        phrases = (*first, *resolve(self.parts, session))
        return Turn(session, Collect(phrases, session.language, first_digit_s=self.first_digit_s))


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Menu(values["say"], frozenset(values["keys"]), values["tries"], values["first_digit_s"])


TYPE = NodeType(
    name="menu",
    summary="Asks for one key and goes where it leads.",
    fields=(
        Field("say", "spoken", required=True, help="what can be chosen; any key stops it"),
        Field("tries", "number", default=3, low=1, high=5, help="how often it is asked"),
        Field("zero", "choice", default="person", choices=("person", "off"), help="what 0 does when it is no exit"),
        Field("first_digit_s", "seconds", default=5.0, low=1, high=30, help="how long to wait for the key"),
    ),
    exits=(NO_INPUT, NO_MATCH),
    build=_build,
    takes_keys=True,
    key_exits=True,
    example="""\
type: menu
say: [menu-main]
exits: {1: order-number, 2: returns, 0: person, no-input: person}
""",
)
