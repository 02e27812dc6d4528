"""Expressions in flows: CEL, compiled once, evaluated over a session's facts.

Decides how the library's errors read; the engine gets `Expressions.evaluate` as a parameter and knows no library.
Invariants: no expression can change anything or reach outside its facts; a bounded number of compiled ones is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import cel

from core.yaml_text.words import did_you_mean
from ivr.flow.model import FlowFault

KNOWN = frozenset({"call", "caller", "order", "queue", "time", "vars", "language", "level", "did", "failed"})
MOST_KEPT = 1000
_POSITION = re.compile(r"<input>:1:(\d+): (?:Syntax error: )?(.*)")

_BOUND = re.compile(r"\.(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_]\w*)\s*,")  # names that a macro brings along


class Expressions:
    """One for a process."""

    def __init__(self) -> None:
        self._compiled: dict[str, Any] = {}

    def check(self, text: str) -> str:
        """ "" when the expression is good, else what is wrong with it, in one sentence."""
        try:
            program = self._program(text)
        except FlowFault as fault:
            return str(fault)
        unknown = sorted(set(program.variables()) - KNOWN - set(_BOUND.findall(text)))
        if unknown:
            return f"'{unknown[0]}' is not known; {did_you_mean(unknown[0], KNOWN)}"
        return ""

    def evaluate(self, text: str, facts: Mapping[str, object]) -> object:
        """The value over these facts. Raises FlowFault."""
        try:
            result: object = self._program(text).execute(dict(facts))
        except (ValueError, TypeError, RuntimeError, KeyError) as error:
            reason = f"{error} is not known here" if isinstance(error, KeyError) else str(error).splitlines()[0]
            raise FlowFault(f"'{text}' cannot be evaluated: {reason}") from error
        return result

    def _program(self, text: str) -> Any:
        program = self._compiled.get(text)
        if program is None:
            try:
                program = cel.compile(text)
            except ValueError as error:
                raise FlowFault(_reason(text, str(error))) from error
            if len(self._compiled) >= MOST_KEPT:
                self._compiled = {}
            self._compiled[text] = program
        return program


def _reason(text: str, message: str) -> str:
    found = _POSITION.search(message)
    if found is None:
        return f"'{text}' is not an expression: {message.splitlines()[0]}"
    what = found.group(2).split(" expecting ")[0].rstrip(". ")
    return f"'{text}' is not an expression: {what} at character {found.group(1)}"
