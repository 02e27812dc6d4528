"""Hands what stands in the event table on to somebody outside, and remembers how far it has come.

Does not know what the taker does with it. Invariants: nothing is handed on before its transaction is committed; events come
in the order of their positions and none is left out, whoever crashes when; what the taker writes through the connection it
is given, it writes exactly once; what it does elsewhere it does at least once, and can tell a repetition by the position;
several relays of one name never hand on the same event twice. A taker that fails is asked again, later and later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from sqlalchemy import BigInteger, Column, Select, String, Table, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.engine import Database
from core.db.metadata import metadata
from core.db.outbox import StoredEvent, event_table, events_after, hold_positions
from core.db.upsert import upsert
from core.errors import Unavailable

relay_table = Table(
    "event_relay",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("position", BigInteger, nullable=False),
)
BATCH = 500
POLL_S = 2.0
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
Take = Callable[[AsyncConnection, Sequence[StoredEvent]], Awaitable[None]]


class Relay:
    """`run()` for ever; `wake()` when something may have come; `fault` says why it does not get on.

    A name that is new begins behind the newest event, or at the first with `from_start`. Woken, it waits `gather_s` for
    more to come.
    """

    def __init__(
        self, database: Database, name: str, take: Take, *, from_start: bool = False, gather_s: float = 0.0
    ) -> None:  # fmt: skip
        self._database = database
        self._name = name
        self._take = take
        self._from_start = from_start
        self._gather_s = gather_s
        self._news = asyncio.Event()
        self.fault = ""
        database.on_commit.append(self.wake)

    def wake(self) -> None:
        self._news.set()

    async def run(self) -> None:
        failures, told = 0, True
        while True:
            self._news.clear()
            try:
                while await self.step(look=not told) >= BATCH:
                    continue
                failures, self.fault = 0, ""
            except Exception as error:
                if not failures and not isinstance(error, Unavailable):
                    structlog.get_logger().exception("relay_taker_failed", relay=self._name)
                self.fault = f"{type(error).__name__}: {error}"
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
                failures += 1
                continue
            told = True
            try:
                async with asyncio.timeout(POLL_S):
                    await self._news.wait()
            except TimeoutError:
                told = False
            else:
                await asyncio.sleep(self._gather_s)

    async def step(self, *, look: bool = True) -> int:
        """Hands on one batch; returns how many. With `look` it is asked first, without keeping anybody from writing, whether
        there is any. Raises Unavailable, or what the taker raises: then nothing has moved."""
        if look:
            async with self._database.read() as conn:
                position = (await conn.execute(self._mine())).scalar()
                if position is not None and not await events_after(conn, position, 1):
                    return 0
        async with self._database.write() as conn:
            # Held until the commit, so that another relay of this name goes on behind us.
            held = (await conn.execute(self._mine().with_for_update())).scalar()
            if held is None:
                await self._begin(conn)
                held = (await conn.execute(self._mine().with_for_update())).scalar_one()
            events = await events_after(conn, held, BATCH)
            if events:
                await self._take(conn, events)
                mark = update(relay_table).where(relay_table.c.name == self._name)
                await conn.execute(mark.values(position=events[-1].position))
        return len(events)

    def _mine(self) -> Select[Any]:
        return select(relay_table.c.position).where(relay_table.c.name == self._name)

    async def _begin(self, conn: AsyncConnection) -> None:
        start = 0
        if not self._from_start:
            await hold_positions(conn)  # nothing below what we see as the newest may still be under way
            start = (await conn.execute(select(func.max(event_table.c.position)))).scalar() or 0
        await upsert(conn, relay_table, [{"name": self._name, "position": start}], ["name"], update=False)
