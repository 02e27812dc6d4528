"""What a process that starts finds in the database after these events: projected into a real SQLite, read as at start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import StaticPool

from core.db.metadata import metadata
from core.db.outbox import event_table, write_events
from core.events import DomainEvent, to_record
from core.lease import lease_table
from pbx.store import interaction_table
from routing import store
from routing.callbacks.store import callback_table
from routing.model import Unfinished

TABLES = [
    store.said_table, store.offer_table, store.segment_table, store.skill_table, event_table, lease_table, callback_table,
    interaction_table,
]  # fmt: skip
Found = tuple[dict[str, tuple[str, str]], Unfinished]


@asynccontextmanager
async def sqlite() -> AsyncIterator[AsyncConnection]:
    """A database of the test's own, with the tables of routing."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    try:
        async with engine.begin() as conn:
            await conn.run_sync(lambda sync: metadata.create_all(sync, tables=TABLES))
            yield conn
    finally:
        await engine.dispose()


async def copy(conn: AsyncConnection, events: Sequence[DomainEvent]) -> None:
    """What the journal's flusher does with them."""
    await write_events(conn, "j", [(seq, to_record(event)) for seq, event in enumerate(events, 1)])
    await store.RoutingProjector().project(conn, events)


def rebuilt(events: Sequence[DomainEvent], now: datetime) -> Found:
    """What people said, and what was under way. From outside a loop."""

    async def reading() -> Found:
        async with sqlite() as conn:
            await copy(conn, events)
            return await store.said_by_agents(conn), await store.unfinished(conn, now)

    return asyncio.run(reading())
