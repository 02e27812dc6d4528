"""Ids and random numbers come in as parameters, so that rules stay deterministic and tests can name what they expect.

A voice interaction's id is not made here: the dialplan mints it (the caller channel's UNIQUEID under a system name
unique to the node). Everything else gets a UUIDv7, which sorts by the time of its making.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import uuid_utils

IdMaker = Callable[[], str]


def new_id() -> str:
    """A UUIDv7 as text."""
    return str(uuid_utils.uuid7())


def new_secret(length: int = 32) -> str:
    """A random secret of letters and digits, safe in every configuration file and URL. At least 16 characters."""
    alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
    if length < 16:
        raise ValueError("a secret has at least 16 characters")
    return "".join(secrets.choice(alphabet) for _ in range(length))


class CountingIds:
    """For tests: `t-1`, `t-2`, …"""

    def __init__(self, prefix: str = "t") -> None:
        self._prefix = prefix
        self._count = 0

    def __call__(self) -> str:
        self._count += 1
        return f"{self._prefix}-{self._count}"
