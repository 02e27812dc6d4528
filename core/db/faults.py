"""Whose fault is it: the database's (away, locked, full, slow), or ours (a wrong statement, a value that does not fit)?

The first is told as `Unavailable("database")` and may be tried again; the second passes as it is, because trying again
would fail again. Knows both drivers' ways of saying so and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.errors import Unavailable

# Postgres' SQLSTATE: https://www.postgresql.org/docs/15/errcodes-appendix.html
OUTSIDE_CLASSES = frozenset({
    "08",  # connection
    "28", "3D",  # not let in, no such database
    "40",  # rolled back: deadlock, serialisation
    "53", "57", "58",  # resources, an operator (also statement_timeout), the system
    "F0", "XX",  # the server's own configuration, its own fault
})  # fmt: skip
OUTSIDE_STATES = frozenset({
    "25006",  # read-only: a standby
    "55P03",  # lock_timeout
    "55006",  # object in use
})  # fmt: skip
# SQLite's result codes: damaged and no database come as a general error, a statement of ours that is wrong as operational.
SQLITE_OUTSIDE, SQLITE_OURS = frozenset({11, 26}), 1


def is_outside(error: BaseException) -> bool:
    """Whether the database itself is at fault."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        state = getattr(error.orig, "sqlstate", None)
        if state:
            return state[:2] in OUTSIDE_CLASSES or state in OUTSIDE_STATES
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        operational = isinstance(error, (OperationalError, InterfaceError)) and code != SQLITE_OURS
        return operational or code in SQLITE_OUTSIDE
    return isinstance(error, (PoolTimeout, OSError)) or "asyncpg" in type(error).__module__


class outside_faults:
    """`with outside_faults() as faults:` around the use of a connection, `with faults.block():` around the user's part."""

    def __init__(self) -> None:
        self._ours: BaseException | None = None

    @contextmanager
    def block(self) -> Iterator[None]:
        """What is done with the connection: a file that is missing there is not the database's fault."""
        try:
            yield
        except OSError as error:
            if not isinstance(error, (ConnectionError, TimeoutError)):
                self._ours = error
            raise

    def __enter__(self) -> outside_faults:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or error is self._ours or isinstance(error, Unavailable):
            return
        if is_outside(error):
            raise Unavailable("database") from error
