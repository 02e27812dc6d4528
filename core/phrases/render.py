"""Phrases become the names of prompts to be played one after the other, for one language.

Does not find the sounds (`core/prompts/library.py`) and plays nothing.

Invariants: pure and total for the languages in `LANGUAGES`; every name is `{language}/{name}` where the name is a part
(`parts.py`), a silence, or a `Prompt`'s own name; a number too large to be said is read digit by digit.
"""

from __future__ import annotations

from types import ModuleType

from core.phrases import chinese, english
from core.phrases.model import Counted, Day, Digits, Money, Number, Pause, Phrase, Phrases, Prompt
from core.phrases.parts import CURRENCIES, NOUNS, OTHER_DECIMALS, SILENCES_MS

LANGUAGES = ("en", "zh")
GROUP = 4  # long digit strings are read in groups, as people write them down
GROUP_PAUSE_MS = 200


def render(phrases: Phrases, language: str) -> list[str]:
    """Names such as `en/number-20`, in order. Raises ValueError for a language or a counted noun that is not known."""
    tongue = _tongue(language)
    return [f"{language}/{name}" for phrase in phrases for name in _names(phrase, tongue)]


def _tongue(language: str) -> ModuleType:
    if language == "en":
        return english
    if language == "zh":
        return chinese
    raise ValueError(f"there is no wording for the language '{language}'")


def _names(phrase: Phrase, tongue: ModuleType) -> list[str]:
    match phrase:
        case Prompt(name):
            return [name]
        case Number(value):
            return _number(value, tongue)
        case Counted(value, noun):
            if noun not in NOUNS:
                raise ValueError(f"'{noun}' is not a noun that can be counted")
            if abs(value) > tongue.LARGEST:
                return [*_number(value, tongue), f"noun-{noun}-many"]
            return list(tongue.counted(value, noun))
        case Digits(text):
            return _characters(text, tongue)
        case Money(minor, currency):
            return _money(minor, currency, tongue)
        case Day(when, today):
            return list(tongue.day(when, with_year=today is None or today.year != when.year))
        case Pause(ms):
            return silence(ms)


def _number(value: int, tongue: ModuleType) -> list[str]:
    if abs(value) <= tongue.LARGEST:
        return list(tongue.cardinal(value))
    return (["number-minus"] if value < 0 else []) + _characters(str(abs(value)), tongue)


def _characters(text: str, tongue: ModuleType) -> list[str]:
    """Digits, letters, * and #; a blank or hyphen between them is a short pause, anything else is not read."""
    length = sum(character.isascii() and character.isdigit() for character in text)
    grouped = text.isascii() and text.isdigit() and length > GROUP + 1
    said: list[str] = []
    for at, character in enumerate(text.lower()):
        if grouped and at and at % GROUP == 0 and length - at > 1:
            said += silence(GROUP_PAUSE_MS)
        if character.isascii() and character.isdigit():
            said.append(tongue.digit(character, length))
        elif character.isascii() and character.isalpha():
            said.append(f"letter-{character}")
        elif character in "*#":
            said.append("digit-star" if character == "*" else "digit-hash")
        elif character in " -" and said:
            said += silence(GROUP_PAUSE_MS)
    return said


def _money(minor: int, currency: str, tongue: ModuleType) -> list[str]:
    code = currency.upper()
    known = CURRENCIES.get(code)
    decimals = known.decimals if known else OTHER_DECIMALS.get(code, 2)
    whole, rest = divmod(abs(minor), 10**decimals)
    said = ["number-minus"] if minor < 0 else []
    if known and whole <= tongue.LARGEST:
        return [*said, *tongue.money(whole, rest, code)]
    said += _number(whole, tongue)
    if rest:
        said += ["number-point", *(f"number-{character}" for character in f"{rest:0{decimals}d}")]
    return said + ([f"money-{code.lower()}-many"] if known else _characters(code, tongue))


def silence(ms: int) -> list[str]:
    """Silences that last `ms`, rounded up to the shortest one; none for 0 and less."""
    said: list[str] = []
    for length in reversed(SILENCES_MS):
        while ms >= length:
            said.append(f"silence-{length}")
            ms -= length
    return [*said, f"silence-{SILENCES_MS[0]}"] if ms > 0 else said
