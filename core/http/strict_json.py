"""Decides which bytes are a JSON body we accept: one value of plain JSON, without the traps that parsers let through.

Does not know HTTP, models or what the value means.

Invariants: whatever comes in, the answer is a value or one `BadJson`, in time linear in the length of the input; an
accepted value can be written back as UTF-8 JSON and stored as text in every database (no NUL, no lone surrogate).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from core.errors import AftercallError

MAX_DEPTH = 64
MAX_DIGITS = 64  # of one number; more is never a quantity of ours
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)


class BadJson(AftercallError):
    """The bytes are not a JSON value that we accept; the message says why in one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__("http:bad-json", f"The body is not acceptable JSON: {reason}.", status=400)


def parse(raw: bytes) -> Any:
    """The value of `raw`. Raises BadJson for anything else: invalid UTF-8, NaN, doubled keys, depth over 64, …"""
    _refuse_depth(raw)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJson(f"invalid UTF-8 at byte {error.start}") from error
    if text.startswith("\ufeff"):
        raise BadJson("it starts with a byte order mark")
    try:
        value = json.loads(
            text, object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        raise BadJson(f"{error.msg} at line {error.lineno} column {error.colno}") from error
    if "\\u" in text:
        _refuse_text(value)
    return value


def _refuse_depth(raw: bytes) -> None:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _TOKENS.finditer(raw):
        mark = token.group()
        if mark in (b"[", b"{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise BadJson(f"it is nested deeper than {MAX_DEPTH} levels")
        elif mark in (b"]", b"}"):
            depth -= 1


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadJson(f"the key '{twice[:40]}' stands twice in one object")
    return value


def _constant(name: str) -> Any:
    raise BadJson(f"{name} is not a JSON number")


def _float(digits: str) -> float | int:
    """JSON knows no integers apart: 5.0 is 5."""
    value = float(digits) if len(digits) <= MAX_DIGITS else math.inf
    if not math.isfinite(value):
        raise BadJson("a number is too large")
    return int(value) if value.is_integer() and abs(value) <= 2**53 else value


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise BadJson("a number is too large")
    return int(digits)


def _refuse_text(value: Any) -> None:
    """Escapes can smuggle in what UTF-8 itself forbids (lone surrogates) and what databases refuse (NUL)."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
            raise BadJson("a text holds NUL or half a surrogate pair")
    elif isinstance(value, list):
        for item in value:
            _refuse_text(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_text(key)
            _refuse_text(item)
