"""What a caller types for one question, key by key, until it is complete.

Does not judge what was typed. Bounded in count, whatever a caller does to the keypad; keys that are no part of an input (A–D)
are passed over. Both the live line and the rehearsal take their keys by these rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from ivr.flow.waits import Collect, Keys, NoInput

KEYS = "0123456789*#"
KEPT = 20  # longer than any number we ask for, long enough to recognise a card number
MOST = 64  # taken before the input is given up


@dataclass(frozen=True, slots=True)
class Typed:
    """So far: `text` without strange keys, and how many keys were `taken` in all."""

    text: str = ""
    taken: int = 0


def begin(wait: Collect) -> Typed | Keys:
    """What was pressed ahead of the question counts; it may be the whole answer."""
    return (_complete(wait.ahead, wait) if wait.ahead else None) or Typed(wait.ahead, len(wait.ahead))


def press(typed: Typed, key: str, wait: Collect) -> Typed | Keys:
    """One key more."""
    taken = typed.taken + 1
    if taken > MOST:
        return Keys(typed.text, too_many=True)
    if key not in KEYS:
        return Typed(typed.text, taken)
    text = (typed.text + key)[: KEPT + 1]
    return _complete(text, wait) or Typed(text, taken)


def timed_out(typed: Typed, wait: Collect) -> Keys | NoInput:
    """No key came in time."""
    return Keys(typed.text, len(typed.text) > wait.longest) if typed.text else NoInput()


def _complete(text: str, wait: Collect) -> Keys | None:
    if wait.finish and text.endswith(wait.finish):
        typed = text[:-1]
        return Keys(typed, len(typed) > wait.longest)
    if not wait.finish and len(text) >= wait.longest:
        return Keys(text)
    return None
