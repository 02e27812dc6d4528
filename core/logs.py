"""Structured logs: one JSON object a line, with the interaction's id, without secrets and without personal data.

Masking is the last step before a line is written, so that no caller can forget it.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET_KEYS = re.compile(r"pass(word|wd)?|secret|token|authorization|cookie|second_factor|api_key", re.I)
# Eight digits and more in a row, with the usual separators: a phone or card number. Times and ids have letters or dots.
LONG_NUMBER = re.compile(r"(?<![\w.:-])\+?\d[\d ()]{6,}\d(?![\w.:])")


def masked(text: str) -> str:
    """Phone numbers and the like cut to their last four digits: `+8613800138000` → `…8000`."""
    return LONG_NUMBER.sub(lambda found: "…" + re.sub(r"\D", "", found.group())[-4:], text)


def mask(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: hides values under secret keys and masks long numbers in every text."""
    for key, value in entry.items():
        if SECRET_KEYS.search(key):
            entry[key] = "***"
        elif key in ("timestamp", "interaction_id", "level"):
            continue
        elif isinstance(value, str):
            entry[key] = masked(value)
        elif isinstance(value, dict):
            entry[key] = {k: "***" if SECRET_KEYS.search(str(k)) else _plain(v) for k, v in value.items()}
        elif isinstance(value, list | tuple):
            entry[key] = [_plain(item) for item in value]
    return entry


def _plain(value: Any) -> Any:
    return masked(value) if isinstance(value, str) else value


def set_up(level: str = "info", form: str = "json") -> None:
    """Once per process. `form`: json or text. The standard library's loggers speak the same way."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
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
