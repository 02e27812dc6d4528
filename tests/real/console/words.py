"""Which texts of a page are in the wrong language, or no texts at all but keys and ids.

Data stays as it is in every language: names, places, what was said. It is known by its field's name in the server's
JSON; whatever else a page shows has to be in the language that was chosen.
"""

from __future__ import annotations

import re
from typing import Any

DATA = frozenset({
    "name", "id", "title", "carrier", "place", "sku", "tracking_no", "order_no", "text", "model", "queue", "node", "flow",
    "dnis", "entry", "caller_name", "note", "customer", "wait", "digits", "zh",
})  # fmt: skip
"""Fields whose texts are somebody's, not ours. "zh": the shop's own Chinese of a text it has in both languages."""
ALWAYS = frozenset({"Aftercall", "Redis", "Admin", "ms", "sl", "offered"})  # a figure names its variant
KEY = re.compile(r"^[a-z][A-Za-z]*\.[A-Za-z_][A-Za-z_.-]*$")
LATIN = re.compile(r"[A-Za-z][A-Za-z'’-]+")
HAN = re.compile(r"[\u3400-\u9fff]+")


def data_of(value: Any, *, named: bool = False) -> set[str]:
    """All texts in a JSON value that stand in fields of data, in one set."""
    if isinstance(value, str):
        return {value} if named else set()
    if isinstance(value, list):
        return {text for item in value for text in data_of(item, named=named)}
    if isinstance(value, dict):
        both = value.keys() == {"en", "zh"}
        return {
            text
            for key, item in value.items()
            if not (both and key == "en")
            for text in data_of(item, named=key in DATA or (named and both))
        }
    return set()


def keys_in(texts: list[str]) -> list[str]:
    """What looks like a key of our texts, or like a hole in one."""
    return [text for text in texts if KEY.match(text) or "{" in text or text in ("undefined", "null", "NaN")]


def not_chinese(texts: list[str], data: set[str]) -> list[str]:
    """Texts of a Chinese page with Latin words in them that are nobody's data."""
    known = {word for text in data for word in LATIN.findall(text)} | ALWAYS | {"English"}
    return [text for text in texts if [word for word in LATIN.findall(text) if word not in known]]


def not_english(texts: list[str], data: set[str]) -> list[str]:
    """Texts of an English page with Chinese in them that are nobody's data."""
    known = "\n".join(data | {"中文"})
    return [text for text in texts if any(word not in known for word in HAN.findall(text))]
