"""Values as JSON text, and moments within it: what every fact and every row passes through, so it is made quickly.

Decides the form, not what is written. Pure.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import msgspec

_quickly = msgspec.json.Encoder().encode
_slowly = json.JSONEncoder(check_circular=False).encode  # what holds itself is found out by the depth of it
_read_quickly = msgspec.json.Decoder().decode
_WITH_FRACTION, _ZULU = len('"2026-11-24T09:00:00.123000Z"'), ord("Z")


def json_text(value: Any) -> str:
    """`value` as JSON. Raises TypeError, ValueError or RecursionError for what cannot be written so."""
    try:
        return _quickly(value).decode()
    except (TypeError, ValueError):  # half a character, a key that is no text: not every encoder minds
        return _slowly(value)


def from_json(text: str | bytes) -> Any:
    """The value that a JSON text holds. Raises ValueError."""
    try:
        return _read_quickly(text)
    except (msgspec.DecodeError, UnicodeError):  # half a character, a number that is none: not every decoder minds
        return json.loads(text)


def moment_text(moment: datetime) -> str:
    """ISO 8601 with milliseconds (cut, not rounded) and the offset: `isoformat`, in a fifth of its time."""
    text = _quickly(moment)  # in its quotes; whole seconds come without a fraction, naive moments without an offset
    if len(text) == _WITH_FRACTION and text[-2] == _ZULU:
        return text[1:24].decode() + "+00:00"
    return moment.isoformat(timespec="milliseconds")
