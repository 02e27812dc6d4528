"""Words per side become turns: who said what, and when.

Decides where a turn begins and ends and how it is written; knows no model, no file, no clock. Times are seconds from
the start of the recording. Invariants: every word of the input stands in exactly one turn; a turn has one side; turns
are ordered by their start, words inside a turn too; the same words in another order give the same turns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PAUSE_S = 0.8  # a longer pause ends an utterance
SAME_TURN_S = 2.0  # two utterances of one side, nobody between them, closer than this: one turn


@dataclass(frozen=True, order=True)
class Word:
    """One recognised word; `confidence` 0–1."""

    start_s: float
    end_s: float
    text: str
    confidence: float = 1.0


@dataclass(frozen=True)
class Turn:
    """What one side ("caller", "agent") said without the other taking over."""

    side: str
    words: tuple[Word, ...]

    @property
    def start_s(self) -> float:
        return self.words[0].start_s

    @property
    def end_s(self) -> float:
        return max(word.end_s for word in self.words)

    @property
    def text(self) -> str:
        return join_words(word.text for word in self.words)

    @property
    def confidence(self) -> float:
        """Mean of the words' confidence, weighted by nothing."""
        return sum(word.confidence for word in self.words) / len(self.words)


def is_noise(text: str) -> bool:
    """True for what a model writes instead of words: `<unk>`, `[noise]`, nothing at all."""
    bare = text.strip()
    return not bare or (bare[0] in "<[" and bare[-1] in ">]")


def turns(
    sides: Mapping[str, Iterable[Word]], *, pause_s: float = PAUSE_S, same_turn_s: float = SAME_TURN_S
) -> tuple[Turn, ...]:
    """The conversation as turns. A short word thrown in does not cut the other's sentence: sides are cut into
    utterances at pauses first, utterances are put in order after."""
    utterances = [
        (words[0].start_s, side, words)
        for side, spoken in sorted(sides.items())
        for words in _utterances(sorted(spoken), pause_s)
    ]
    utterances.sort(key=lambda u: (u[0], u[1]))
    merged: list[tuple[str, list[Word]]] = []
    for start_s, side, words in utterances:
        if merged and merged[-1][0] == side and start_s - max(w.end_s for w in merged[-1][1]) <= same_turn_s:
            merged[-1][1].extend(words)
        else:
            merged.append((side, list(words)))
    return tuple(Turn(side, tuple(words)) for side, words in merged)


def _utterances(words: Sequence[Word], pause_s: float) -> list[list[Word]]:
    found: list[list[Word]] = []
    end_s = 0.0
    for word in words:
        if found and word.start_s - end_s <= pause_s:
            found[-1].append(word)
            end_s = max(end_s, word.end_s)
        else:
            found.append([word])
            end_s = word.end_s
    return found


def join_words(words: Iterable[str]) -> str:
    """Words as they are read: a space between them, none between two Chinese ones."""
    text = ""
    for word in words:
        if text and not (_is_han(text[-1]) and _is_han(word[:1])):
            text += " "
        text += word
    return text


def _is_han(char: str) -> bool:
    return "\u3400" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or "\U00020000" <= char <= "\U0003ffff"


def clock(seconds: float) -> str:
    """m:ss.d, or h:mm:ss.d from an hour on."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes_left:02d}:{rest // 10:02d}.{rest % 10}"
    return f"{minutes}:{rest // 10:02d}.{rest % 10}"


def as_text(conversation: Iterable[Turn]) -> str:
    """One line for each turn: `0:03.4 caller: where is my parcel`."""
    return "\n".join(f"{clock(turn.start_s)} {turn.side}: {turn.text}" for turn in conversation)


def to_json(conversation: Iterable[Turn]) -> list[dict[str, Any]]:
    """The shape that is stored and served: side, start_s, end_s, text, confidence, words [[text, start, end, conf]]."""
    return [
        {
            "side": turn.side,
            "start_s": round(turn.start_s, 2),
            "end_s": round(turn.end_s, 2),
            "text": turn.text,
            "confidence": round(turn.confidence, 3),
            "words": [[w.text, round(w.start_s, 2), round(w.end_s, 2), round(w.confidence, 3)] for w in turn.words],
        }
        for turn in conversation
    ]


def from_json(stored: Iterable[Mapping[str, Any]]) -> tuple[Turn, ...]:
    """The turns of what `to_json` wrote."""
    return tuple(
        Turn(str(t["side"]), tuple(Word(float(s), float(e), str(text), float(c)) for text, s, e, c in t["words"]))
        for t in stored
    )
