"""Structured logs: one JSON object a line, with the interaction's id, without secrets and without personal data.

Does not decide what is worth a line. Masking is the last step before a line is written, so that no caller can forget it;
it goes through every value, whatever its type and however deep, and what ends a thread or the process is logged the same
way instead of being printed bare.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Collection, Mapping, MutableMapping
from types import TracebackType
from typing import Any

import structlog

SECRET_KEYS = re.compile(r"pass(word|wd)?|secret|token|authorization|cookie|second_factor|api_key", re.I)
PERSONAL_KEYS = frozenset({"caller_name", "customer", "email", "address", "note"})
WHOLE = frozenset({"timestamp", "interaction_id", "level"})
DEPTH = 8
LONGEST = 32_000  # characters of one value: logging must not take long, whatever somebody sends us

# `scheme://user:secret@host`, `Bearer secret`, `token=secret`, `'password': 'secret'`. Every repetition is bounded, so that
# no text makes them slow.
_IN_URL = re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@]{0,200}:)[^\s/@]{1,500}(?=@)", re.I)
_SCHEME = re.compile(r"\b(Bearer|Basic|Digest)\s+[^\s,;'\"]+", re.I)
_NAMED = re.compile(
    rf"((?:{SECRET_KEYS.pattern})\w{{0,40}}[\"']?\s{{0,3}}[:=]\s{{0,3}}[\"']?)([^\s\"',;&)}}\]]+)", re.I
)
_MAIL = re.compile(r"[\w.+%-]{1,64}(?=@[\w-]{1,63}(?:\.[\w-]{1,63}){0,5}\.[a-z]{2,})", re.I)
# Eight digits and more with the usual separators: a phone or card number. Dates are told apart first. Not numbers: digits
# inside a word, and behind or before a point with digits (fractions, ids such as n1-1764000000.12).
_NUMBER = re.compile(
    r"(?P<date>\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?)|(?<!\w)(?<!\d\.)\+?\(?\d(?:[ ()-]{0,3}\d){7,}(?!\w)(?!\.\d)"
)


def masked(text: str) -> str:
    """The text without passwords, tokens and mail names; long numbers cut to their last four: `+8613800138000` → `…8000`."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text)} characters)"
    text = _IN_URL.sub(r"\1***", text)
    text = _SCHEME.sub(r"\1 ***", text)
    text = _NAMED.sub(lambda found: f"{found[1]}***", text)
    text = _MAIL.sub("***", text)
    return _NUMBER.sub(lambda found: found[0] if found["date"] else "…" + re.sub(r"\D", "", found[0])[-4:], text)


def mask(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: hides values under secret and personal keys and masks every text, however deep it lies."""
    for key, value in entry.items():
        if key not in WHOLE and not key.startswith("_"):  # `_record` is the standard library's own, taken out later
            entry[key] = _hidden(key, value, DEPTH)
    return entry


def _hidden(key: str, value: Any, depth: int) -> Any:
    if SECRET_KEYS.search(key) or key.lower() in PERSONAL_KEYS:
        return "***"
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return masked(value)
    if depth > 0 and isinstance(value, Mapping):
        return {masked(str(name)): _hidden(str(name), inner, depth - 1) for name, inner in value.items()}
    if depth > 0 and isinstance(value, Collection) and not isinstance(value, bytes | bytearray | memoryview):
        return [_hidden("", inner, depth - 1) for inner in value]
    if isinstance(value, BaseException):
        return masked(f"{type(value).__name__}: {value}")
    return masked(repr(value))


def set_up(level: str = "info", form: str = "json") -> None:
    """Once per process. `form`: json or text. The standard library's loggers speak the same way."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        mask,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    number = getattr(logging, level.upper())
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
                                            foreign_pre_chain=shared)
    )  # fmt: skip
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))
    logging.captureWarnings(True)
    sys.excepthook = _died
    threading.excepthook = lambda end: _died(end.exc_type, end.exc_value, end.exc_traceback)


def _died(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """What nobody caught. Ctrl-C is no fault."""
    if not issubclass(kind, KeyboardInterrupt):
        structlog.get_logger().critical("died", exc_info=(kind, error, trace))
