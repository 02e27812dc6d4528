"""One decision with a lasting effect: rows, audit and events in one transaction; nothing leaves before the commit.

Invariants: when the block raises, no row, no audit and no event of it exists; after the commit its events are spread to
the listeners of this process and readers elsewhere are woken.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from core.audit import write_audit
from core.db.engine import Database
from core.db.outbox import write_events
from core.events import DomainEvent, to_record

OUTBOX = "outbox"


class UnitOfWork:
    """`async with database.unit(actor="user:anna") as unit:`; then `unit.conn`, `unit.emit`, `unit.audit`."""

    def __init__(self, database: Database, actor: str) -> None:
        self.actor = actor
        self._database = database
        self._events: list[DomainEvent] = []
        self._transaction: AbstractAsyncContextManager[AsyncConnection] | None = None
        self._conn: AsyncConnection | None = None

    @property
    def conn(self) -> AsyncConnection:
        assert self._conn is not None, "the unit of work is open only inside its block"
        return self._conn

    def emit(self, event: DomainEvent) -> None:
        """The event is told when, and only when, the transaction is committed."""
        self._events.append(event)

    async def audit(self, action: str, subject: str, before: Any = None, after: Any = None) -> None:
        """An audit row in this transaction. Secrets never go in."""
        await write_audit(
            self.conn, at=self._database.clock.now(), actor=self.actor, action=action, subject=subject,
            before=before, after=after,
        )  # fmt: skip

    async def __aenter__(self) -> UnitOfWork:
        self._transaction = self._database.write()
        self._conn = await self._transaction.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        assert self._transaction is not None
        try:
            if kind is None and self._events:
                # Each unit is a journal of its own: its id and a running number make its events unique.
                journal_id = f"{OUTBOX}-{self._database.ids()}"
                await write_events(self.conn, journal_id, [(n, to_record(e)) for n, e in enumerate(self._events)])
        except BaseException as fault:
            await self._transaction.__aexit__(type(fault), fault, fault.__traceback__)
            raise
        else:
            await self._transaction.__aexit__(kind, error, trace)
        finally:
            self._conn = None
        if kind is None and self._events:
            if self._database.stream is not None:
                for event in self._events:
                    self._database.stream.spread(event)
            for wake in self._database.on_commit:
                wake()
