"""One form for one telephone number: E.164 where that can be told, else as dialled (cleaned, so that it can be stored).

Does not look up places or carriers (those tables take seconds to load) and does not judge whether a number is in use.

Invariants: `normalise` never raises, whatever a trunk delivers; it is idempotent; two spellings of one number give one
text; anything with letters, or hidden, stays as dialled and matches nothing but itself.
"""

from __future__ import annotations

import re
import unicodedata

import phonenumbers

_SPELLING = re.compile(r"\+?[0-9 ().\-/]{5,40}")
_HIDDEN = frozenset({"", "anonymous", "restricted", "unavailable", "private", "unknown", "asterisk", "withheld"})
MAX_LENGTH = 40


def preload(*countries: str) -> None:
    """Reads the number plans of these countries now, so that the first caller does not wait for it."""
    for country in countries:
        phonenumbers.PhoneMetadata.metadata_for_region(country)


def clean(text: str) -> str:
    """Plain signs only (full-width digits become digits), no control signs, at most `MAX_LENGTH`."""
    plain = unicodedata.normalize("NFKC", text[: 4 * MAX_LENGTH])
    return "".join(c for c in plain if c.isprintable()).strip()[:MAX_LENGTH].strip()


def _parsed(text: str, country: str | None, *, lenient: bool = False) -> str | None:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    # With its country written out, a number of a plan newer than our tables is still one: its length decides.
    known = phonenumbers.is_possible_number if lenient else phonenumbers.is_valid_number
    if not known(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def e164(text: str, country: str) -> str | None:
    """The number in E.164, or None when it is none. `country` (CN, US, …) is where numbers without a prefix are from.

    Tried in this order: with its own prefix (+, 00); as a number of `country`; as a trunk delivers it, the country
    code in front without a plus.
    """
    plain = clean(text)
    if not _SPELLING.fullmatch(plain) or not plain.isascii():
        return None
    digits = re.sub(r"[^0-9]", "", plain)
    if plain.startswith("+"):
        return _parsed("+" + digits, None, lenient=True)
    if digits.startswith("00"):
        return _parsed("+" + digits[2:], None, lenient=True)
    return _parsed(digits, country) or _parsed("+" + digits, None)


def normalise(text: str, country: str) -> str:
    """E.164, else the cleaned text as dialled; "" when the caller hides the number."""
    plain = clean(text)
    if plain.lower() in _HIDDEN:
        return ""
    return e164(plain, country) or plain
