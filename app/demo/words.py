"""How well the transcript's words match what was spoken: word error rate per side (substitutions, deletions and
insertions over the words spoken; Levenshtein, as in every recogniser's report)."""

from __future__ import annotations

import re
from collections.abc import Iterable

import jiwer


def plain(text: str) -> str:
    """Lower-case words without punctuation, as a recogniser writes them."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def word_error_rate(spoken: Iterable[str], written: Iterable[str]) -> float:
    """0 = every word right. Raises ValueError when nothing was spoken."""
    said = plain(" ".join(spoken))
    if not said:
        raise ValueError("nothing was spoken")
    return float(jiwer.wer(said, plain(" ".join(written)) or "-"))
