"""SQLite's driver, made to go to the connection's thread once for each statement.

SQLAlchemy's own adapter goes there four times (for a cursor, to execute, to fetch, to close) and once more to roll back what
was never begun; each time two threads wake each other, which costs more than most of our statements do. Everything else
is SQLAlchemy's and aiosqlite's. Invariant: what a statement answers is whole before it returns, so no cursor is left
open behind it.
"""

from __future__ import annotations

import collections
from typing import Any

from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
    SQLiteDialect_aiosqlite,
)
from sqlalchemy.util import EMPTY_DICT
from sqlalchemy.util.concurrency import await_

SCHEME = "sqlite+onevisit"


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ()

    def __init__(self, adapt_connection: Any) -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection
        self._cursor: Any = None  # the driver's, closed, once there was a statement: it knows what the answer was like
        self._rows = collections.deque()
        self._soft_closed_memoized = EMPTY_DICT

    def execute(self, operation: Any, parameters: Any = None) -> None:
        self._visit("execute", operation, () if parameters is None else parameters)

    def executemany(self, operation: Any, seq_of_parameters: Any) -> None:
        self._visit("executemany", operation, seq_of_parameters)

    def _visit(self, verb: str, operation: str, parameters: Any) -> None:
        connection: Any = self._connection

        def there() -> tuple[Any, list[Any]]:
            cursor = connection._conn.cursor()
            try:
                getattr(cursor, verb)(operation, parameters)
                return cursor, cursor.fetchall() if cursor.description else []
            finally:
                cursor.close()

        try:
            self._cursor, rows = await_(connection._execute(there))
        except Exception as error:
            self._adapt_connection._handle_exception(error)
        self._rows = collections.deque(rows)

    async def _async_soft_close(self) -> None:
        return

    def close(self) -> None:
        self._rows.clear()


class _Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()
    _cursor_cls = _Cursor

    def rollback(self) -> None:
        """Nothing is under way then: SQLAlchemy hangs up on a connection whose statement nobody waits for any more."""
        driver: Any = self._connection
        if driver._connection and driver.in_transaction:
            super().rollback()


class _Driver(AsyncAdapt_aiosqlite_dbapi):
    def connect(self, *arg: Any, **kw: Any) -> _Connection:
        return _Connection(self, super().connect(*arg, **kw)._connection)


class OneVisitDialect(SQLiteDialect_aiosqlite):
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> _Driver:
        return _Driver(__import__("aiosqlite"), __import__("sqlite3"))


registry.register(SCHEME.replace("+", "."), __name__, OneVisitDialect.__name__)
