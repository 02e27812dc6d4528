"""Independent readers: what was said, back into numbers. They know nothing of the code that wrote it."""

from __future__ import annotations

import re

from core.phrases.model import Phrase
from core.phrases.parts import PARTS, SILENCES
from core.phrases.render import render

_ZH_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"两": 2}
_ZH_UNITS = {"十": 10, "百": 100, "千": 1000}
_EN = {
    word: n
    for n, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
} | {
    w: 10 * n
    for n, w in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2)
}


def said(phrase: Phrase, language: str) -> str:
    """The words that are heard; a silence is a comma."""
    words = []
    for name in render((phrase,), language):
        spoken_in, _, part = name.partition("/")
        assert spoken_in == language
        words.append("," if part in SILENCES else getattr(PARTS[part], language))
    text = ("" if language == "zh" else " ").join(words)
    return re.sub(r"(?<=ty) (?=(one|two|three|four|five|six|seven|eight|nine|first|second|third|\w+th)\b)", "-", text)


def read_chinese(text: str) -> int:
    """By the rules of a schoolbook: sections of 亿 and 万, inside them units, 零 is nothing."""
    if text.startswith("负"):
        return -read_chinese(text[1:])
    total = section = digit = 0
    for character in text:
        if character in _ZH_DIGITS:
            digit = _ZH_DIGITS[character]
        elif character in _ZH_UNITS:
            section += (digit or 1) * _ZH_UNITS[character]
            digit = 0
        elif character == "万":
            total += (section + digit) * 10**4
            section = digit = 0
        elif character == "亿":
            total += (section + digit) * 10**8
            section = digit = 0
        else:
            raise AssertionError(f"not a numeral: {character}")
    return total + section + digit


def read_english(text: str) -> int:
    if text.startswith("minus "):
        return -read_english(text.removeprefix("minus "))
    total = section = 0
    for word in text.replace("-", " ").split():
        if word == "hundred":
            section *= 100
        elif word in ("thousand", "million", "billion"):
            total += section * {"thousand": 10**3, "million": 10**6, "billion": 10**9}[word]
            section = 0
        else:
            section += _EN[word]
    return total + section
