"""The list under `say:`: prompts by name, silences, and what is only known in the call.

Decides what may stand there and turns it into phrases for one session. Names are looked up in every language of the flow
while the file is read, so that a call never meets a missing sound.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from core.phrases.model import Day, Digits, Money, Number, Pause, Phrase, Phrases, Prompt
from core.phrases.wire import from_json
from core.prompts.catalogue import NAME, SOUNDS, TEXTS
from core.yaml_text.words import did_you_mean
from ivr.flow.model import FlowFault, NotProved
from ivr.flow.session import Session, Value
from ivr.tree import Listing, Scalar, Table, Tree

WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
MOST_PARTS = 40
FORMS = ("digits", "number", "money", "date", "status", "phrases")  # how something held by the session can be said


@dataclass(frozen=True, slots=True)
class Variable:
    """Something held by the session. `form`: one of FORMS. Money is in minor units of the order's currency (or that of the
    variable `currency`); a date is text like 2026-11-24; a status is one of an order's."""

    form: str
    name: str


Part = Prompt | Pause | Variable


def resolve(parts: tuple[Part, ...], session: Session) -> Phrases:
    """What is to be said now. Raises NotProved where the caller must identify first, FlowFault for a variable nobody set."""
    phrases: list[Phrase] = []
    for part in parts:
        if isinstance(part, Variable):
            phrases += _known(part, session)
        else:
            phrases.append(part)
    return tuple(phrases)


def _known(part: Variable, session: Session) -> Phrases:
    if part.form == "phrases":
        if part.name not in session.proved:
            raise NotProved
        return from_json(session.proved[part.name])
    value = session.holding(part.name)
    if value is None:
        if session.asked_at:
            raise NotProved
        raise FlowFault(f"'{part.name}' has no value here")
    try:
        return (_phrase(part.form, value, session),)
    except ValueError as error:
        raise FlowFault(f"'{part.name}' is not a {part.form} here") from error


def _phrase(form: str, value: Value, session: Session) -> Phrase:
    """Raises ValueError."""
    match form:
        case "digits":
            return Digits(str(value))
        case "number":
            return Number(int(value))
        case "money":
            return Money(int(value), str(session.holding("currency") or "CNY"))
        case "date":
            return Day(date.fromisoformat(str(value)))
    name = f"order-state-{str(value).replace('_', '-')}"
    if name not in SOUNDS:
        raise ValueError
    return Prompt(name)


def read_spoken(
    tree: Tree,
    languages: tuple[str, ...],
    has_prompt: Callable[[str, str], bool] | None,
    tell: Callable[[int, str], None],
) -> tuple[Part, ...] | None:
    """The parts of a `say:` list (or of one single prompt); faults go to `tell`."""
    items = tree.items if isinstance(tree, Listing) else [tree]
    if not 1 <= len(items) <= MOST_PARTS:
        tell(tree.line, f"between one and {MOST_PARTS} things are said at a time")
        return None
    parts = [_part(item, languages, has_prompt, tell) for item in items]
    return tuple(part for part in parts if part is not None)


def _part(
    item: Tree,
    languages: tuple[str, ...],
    has_prompt: Callable[[str, str], bool] | None,
    tell: Callable[[int, str], None],
) -> Part | None:
    if isinstance(item, Scalar):
        return _prompt(item, languages, has_prompt, tell)
    if not isinstance(item, Table) or len(item.rows) != 1:
        tell(
            item.line,
            f"write a prompt's name, or one of {', '.join('{' + one + ': NAME}' for one in FORMS)}, {{pause: MS}}",
        )
        return None
    (form, value), *_ = item.rows.items()
    inner = value.value if isinstance(value, Scalar) else None
    if form == "pause" and isinstance(inner, int) and not isinstance(inner, bool) and 0 < inner <= 5000:
        return Pause(inner)
    if form in FORMS and isinstance(inner, str) and WORD.fullmatch(inner):
        return Variable(form, inner)
    known = form in ("pause", *FORMS)
    tell(item.line, f"'{form}' needs " + ("1 to 5000 milliseconds" if form == "pause" else "a variable's name") if known else
         f"'{form}' cannot be said; {did_you_mean(form, (*FORMS, 'pause'))}")  # fmt: skip
    return None


def _prompt(
    item: Scalar,
    languages: tuple[str, ...],
    has_prompt: Callable[[str, str], bool] | None,
    tell: Callable[[int, str], None],
) -> Part | None:
    if not isinstance(item.value, str) or not NAME.fullmatch(item.value):
        tell(item.line, f"'{item.text[:80]}' is not a prompt's name (a–z, 0–9 and hyphens; never a path)")
        return None
    missing = [lang for lang in languages if has_prompt is not None and not has_prompt(item.value, lang)]
    if missing:
        near = (
            did_you_mean(item.value, TEXTS, "`make prompts` renders new texts")
            if len(missing) == len(languages)
            else ""
        )
        tell(
            item.line,
            f"there is no sound for the prompt '{item.value}' in {', '.join(missing)}" + (near and f"; {near}"),
        )
        return None
    return Prompt(item.value)
