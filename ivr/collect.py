"""Takes keys from a line until the input is complete (`flow/keys.py` says when that is)."""

from __future__ import annotations

from collections.abc import Sequence

from ivr.flow.keys import KEYS, Typed, begin, press, timed_out
from ivr.flow.waits import CallerGone, Collect, Keys, NoInput
from ivr.ports import HungUp, Line, NoDigit

ALL_KEYS = KEYS + "ABCD"


async def collect(line: Line, wait: Collect, paths: Sequence[str]) -> Keys | NoInput | CallerGone:
    """Plays the prompt (any key stops it) and returns what was typed, without the finishing key."""
    typed = begin(wait)
    if isinstance(typed, Typed) and not typed.text:
        played = await line.play(paths, ALL_KEYS)
        if isinstance(played, HungUp):
            return CallerGone()
        if played.digit is not None:
            typed = press(typed, played.digit, wait)
    while isinstance(typed, Typed):
        heard = await line.digit(wait.inter_digit_s if typed.taken else wait.first_digit_s)
        if isinstance(heard, HungUp):
            return CallerGone()
        if isinstance(heard, NoDigit):
            return timed_out(typed, wait)
        typed = press(typed, heard.digit, wait)
    return typed
