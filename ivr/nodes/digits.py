"""Asks for a number of several digits: an order number, the last digits of a phone.

What is `personal` is masked in every event and kept out of the journal. A card number is never kept, wherever it is
typed. 0 alone leads to a person.
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
from ivr.nodes.form import NEXT, NO_INPUT, NO_MATCH, Build, ExitSpec, Field, NodeType
from ivr.nodes.spoken import Part, resolve

SILENT: Phrases = (Prompt("no-input"), Pause(200))
WRONG: Phrases = (Prompt("wrong-length"), Pause(200))
CARD: Phrases = (Prompt("card-number-refused"), Pause(200))


@dataclass(frozen=True, slots=True)
class Digits:
    parts: tuple[Part, ...]
    save_as: str
    shortest: int
    longest: int
    finish: str = "#"
    personal: bool = False
    tries: int = 3
    first_digit_s: float = 6.0
    inter_digit_s: float = 4.0

    def enter(self, session: Session, context: Context) -> Turn:
        if self.personal and not session.proved:
            session = replace(session, asked_at=session.node)
        ahead = session.ahead
        return self._ask(replace(session, ahead=""), (), ahead)

    def resume(self, session: Session, outcome: Outcome, context: Context) -> Turn:
        keys = outcome if isinstance(outcome, Keys) else None
        text = keys.text if keys else ""
        good = (
            bool(keys)
            and not (keys and keys.too_many)
            and text.isdigit()
            and self.shortest <= len(text) <= self.longest
        )
        card = is_card_number(text)
        person = text == "0" and self.shortest > 1
        heard = DigitsCollected(
            interaction_id=session.interaction_id,
            at=context.at,
            node=session.node,
            digits="*" * min(len(text), 20) if self.personal or card else text[:20],
            outcome="digits" if (good and not card) or person else "no_match" if keys else "no_input",
        )
        if person:
            return Turn(session, Leave("person"), (heard,))
        if good and not card:
            return Turn(self._saved(session, text), Leave("next"), (heard,))
        tried = session.place.get("tries", 0) + 1
        if tried >= self.tries:
            return Turn(session, Leave("no-match" if keys else "no-input"), (heard,))
        first = CARD if card else WRONG if keys else SILENT
        return replace(self._ask(replace(session, place={"tries": tried}), first, ""), events=(heard,))

    def _saved(self, session: Session, text: str) -> Session:
        if self.personal:
            return replace(session, proved={**session.proved, self.save_as: text})
        return replace(session, variables={**session.variables, self.save_as: text})

    def _ask(self, session: Session, first: Phrases, ahead: str) -> Turn:
        phrases = (*first, *resolve(self.parts, session))
        wait = Collect(
            phrases, session.language, self.longest, self.finish, self.first_digit_s, self.inter_digit_s, self.personal, ahead
        )  # fmt: skip
        return Turn(session, wait)


def is_card_number(text: str) -> bool:
    """13 to 19 digits whose check digit is right (Luhn, ISO/IEC 7812)."""
    if not (text.isascii() and text.isdigit() and 13 <= len(text) <= 19):
        return False
    doubled = [int(c) * (1 + at % 2) for at, c in enumerate(reversed(text))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _build(values: Mapping[str, Any], build: Build) -> Node:
    return Digits(
        values["say"], values["save_as"], values["shortest"], max(values["longest"], values["shortest"]), values["finish"],
        values["personal"], values["tries"], values["first_digit_s"], values["inter_digit_s"],
    )  # fmt: skip


TYPE = NodeType(
    name="digits",
    summary="Asks for a number of several digits and keeps it under a name.",
    fields=(
        Field("say", "spoken", required=True),
        Field("save_as", "word", required=True, help="the variable's name"),
        Field("shortest", "number", default=1, low=1, high=20),
        Field("longest", "number", default=12, low=1, high=20),
        Field(
            "finish", "key", default="#", help='the key that ends the input; "" = none, then `longest` digits are taken'
        ),
        Field("personal", "flag", default=False, help="masked in events, kept out of the journal"),
        Field("tries", "number", default=3, low=1, high=5),
        Field("first_digit_s", "seconds", default=6.0, low=1, high=30),
        Field("inter_digit_s", "seconds", default=4.0, low=1, high=15),
    ),
    exits=(NEXT, NO_INPUT, NO_MATCH, ExitSpec("person", help="0 alone was typed")),
    build=_build,
    takes_keys=True,
    personal=lambda values: bool(values.get("personal")),
    example="""\
type: digits
say: [ask-order-number]
save_as: order_no
shortest: 6
longest: 12
personal: true
next: second-factor
""",
)
