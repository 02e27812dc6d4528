"""Frozen values, changed: for the paths that every event of the telephone takes."""

from __future__ import annotations

from typing import Any, TypeVar

Frozen = TypeVar("Frozen")


def changed(value: Frozen, **fields: Any) -> Frozen:
    """The frozen dataclass `value` with these fields changed: `dataclasses.replace`, several times as fast.

    `replace` runs `__init__`, which sets every field of a frozen class the slow way. So this is for classes without
    `__post_init__` and without slots, and nobody looks whether the names are right.
    """
    copy = object.__new__(type(value))
    copy.__dict__.update(value.__dict__, **fields)
    return copy
