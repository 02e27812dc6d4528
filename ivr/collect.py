"""Takes keys from a line until the input is complete.

Does not judge what was typed. Bounded in count and time, whatever a caller does to the keypad; keys that are no part of
an input (A–D) are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

from ivr.flow.waits import CallerGone, Collect, Keys, NoInput
from ivr.ports import Digit, HungUp, Line, NoDigit

KEYS = "0123456789*#"
ALL_KEYS = KEYS + "ABCD"
KEPT = 20  # longer than any number we ask for, long enough to recognise a card number
MOST = 64  # taken before the input is given up


async def collect(line: Line, wait: Collect, paths: Sequence[str]) -> Keys | NoInput | CallerGone:
    """Plays the prompt (any key stops it) and returns what was typed, without the finishing key."""
    text, taken = wait.ahead, len(wait.ahead)
    if text and (done := _complete(text, wait)):
        return done
    first: str | None = None
    if not text:
        played = await line.play(paths, ALL_KEYS)
        if isinstance(played, HungUp):
            return CallerGone()
        first = played.digit
    while True:
        if first is None:
            heard = await line.digit(wait.inter_digit_s if taken else wait.first_digit_s)
            if isinstance(heard, HungUp):
                return CallerGone()
            if isinstance(heard, NoDigit):
                return Keys(text, len(text) > wait.longest) if text else NoInput()
            assert isinstance(heard, Digit)
            first = heard.digit
        key, first = first, None
        taken += 1
        if taken > MOST:
            return Keys(text, too_many=True)
        if key not in KEYS:
            continue
        text = (text + key)[: KEPT + 1]
        if done := _complete(text, wait):
            return done


def _complete(text: str, wait: Collect) -> Keys | None:
    if wait.finish and text.endswith(wait.finish):
        typed = text[:-1]
        return Keys(typed, len(typed) > wait.longest)
    if not wait.finish and len(text) >= wait.longest:
        return Keys(text)
    return None
