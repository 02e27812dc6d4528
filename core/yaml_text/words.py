"""What somebody may have meant who wrote a word that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], more: str = "") -> str:
    """ "did you mean 'ring_s'?", or else which words there are."""
    names = sorted(known)
    near = difflib.get_close_matches(word[:64], names, 1, 0.6) or difflib.get_close_matches(
        word[:64].lower(), names, 1, 0.6
    )
    if near:
        return f"did you mean '{near[0]}'?"
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return more or (f"there are {shown}" if names else "there are none")
