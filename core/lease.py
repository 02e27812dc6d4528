"""Who owns what only one may own at a time: a row in the database with a holder, an epoch that only grows, and a beat.

Decides ownership; does not know what is owned. Counters, not clocks: a claimant takes over when it has itself seen, on its
own monotonic clock and with the row readable and writable all along, that the beat stood still for `ttl_s`. So no clock
that jumps and no database that was away or locked makes anybody lose anything. Invariants: an epoch is held by one holder
for ever; who was paused does not act before it has looked again (`holds`); a database that does not answer takes nothing
away, because nobody else can claim in it either (the switch's own copy of the epoch is the judge between two sides of a
split).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import structlog
from sqlalchemy import BigInteger, Column, String, Table, bindparam, cast, func, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.engine import Database
from core.db.metadata import metadata
from core.db.plain import fenced_upserts
from core.db.upsert import upsert
from core.errors import Unavailable

lease_table = Table(
    "lease",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(128), nullable=False),  # "" = given back
    Column("epoch", BigInteger, nullable=False),
    Column("beat", BigInteger, nullable=False),
)
OWNER = "controller"  # of everything that only one controller may do
TTL_S, BEAT_S, LOOK_S = 3.0, 0.75, 0.2
ANSWER_S = 1.0
SILENT = 0.4  # of `ttl_s`: from then on the one who watches tries whether the owner could beat
KNOCK_S = 0.3
BLIND_S = 2.0  # so long between two looks is a sleep, less is a busy machine
FENCE = "fence_epoch"
NOT_OLDER = f"coalesce((SELECT epoch FROM lease WHERE name = '{OWNER}'), 0) <= {{epoch:d}}"  # noqa: S608 (a number)


class LeaseLost(Exception):
    """Somebody else holds it under a newer epoch. Whoever is told this drops its plans before anything else."""


@dataclass(frozen=True)
class Seen:
    """The row as it stood at one look."""

    holder: str
    epoch: int
    beat: int


async def _nothing() -> None:
    return None


async def fenced_upsert(
    conn: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]], key: str, *, epoch: int
) -> int:
    """Writes `rows` (all with the same columns) unless the lease is held under a newer epoch: that is compared inside the
    very statement that writes. Returns how many were refused."""
    if conn.dialect.name == "sqlite":
        written = 0
        for text, values in fenced_upserts(table, rows, key, fence=NOT_OLDER.format(epoch=epoch)):
            written += (await conn.exec_driver_sql(text, values)).rowcount
        return len(rows) - written
    statement = _fenced(table, tuple(rows[0]), key)
    await conn.execute(statement, [{**row, FENCE: epoch} for row in rows])
    newest = (await conn.execute(select(lease_table.c.epoch).where(lease_table.c.name == OWNER))).scalar()
    return len(rows) if (newest or 0) > epoch else 0


@lru_cache(maxsize=50)
def _fenced(table: Table, names: tuple[str, ...], key: str) -> Any:
    """Made once for each shape: making it takes longer than writing a row with it."""
    newest = select(lease_table.c.epoch).where(lease_table.c.name == OWNER).scalar_subquery()
    not_older = func.coalesce(newest, 0) <= bindparam(FENCE, type_=BigInteger)
    given = [bindparam(name, type_=table.c[name].type) for name in names]
    typed = [cast(it, it.type) for it in given]  # Postgres cannot guess the type of a bare parameter
    values = select(*typed).where(not_older)
    statement: Any = postgresql.insert(table).from_select(list(names), values)
    others = {name: statement.excluded[name] for name in names if name != key}
    return statement.on_conflict_do_update(index_elements=[key], set_=others, where=not_older)


def _nobody_is_proved_dead(_holder: str) -> bool:
    return False


class Lease:
    """`epoch = await claim()`, then `await keep()` for ever (raises LeaseLost); `holds()` before each act.

    `is_dead(holder)` may prove that a holder is gone (a lock the kernel has let go of): then nobody waits for `ttl_s`.
    """

    def __init__(
        self, database: Database, name: str, holder: str, *,
        is_dead: Callable[[str], bool] = _nobody_is_proved_dead, ttl_s: float = TTL_S,
    ) -> None:  # fmt: skip
        self._database = database
        self.name = self._name = name
        self._holder = holder
        self._is_dead = is_dead
        self._ttl_s = ttl_s
        self._monotonic = database.clock.monotonic
        self._awake_at = 0.0
        self._lost = False
        self.epoch = 0

    # --- getting it

    async def claim(self, before: Callable[[], Awaitable[object]] = _nothing) -> int:
        """Waits until it is ours, for as long as it takes. Returns our epoch.

        `before` runs when nobody seems to hold it any more, under the old epoch: what the one before us had written down
        is copied while it may still be written.
        """
        seen: Seen | None = None
        since = looked = self._monotonic()
        while True:
            try:
                now_seen = await self._look()
            except Unavailable:
                seen = None
                await asyncio.sleep(LOOK_S)
                continue
            now = self._monotonic()
            if now_seen != seen or now - looked > BLIND_S:  # news, or we slept and saw nothing of what went on
                seen, since = now_seen, now
            looked = now
            assert seen is not None
            free = seen.holder in ("", self._holder) or self._is_dead(seen.holder)
            if not free and now - since >= SILENT * self._ttl_s and not await self._writable():
                since = self._monotonic()  # the owner could not beat, either
                continue
            if free or now - since >= self._ttl_s:
                try:
                    await before()
                except Unavailable:
                    seen = None
                    continue
                if await self._take(seen):
                    return self.epoch
                seen = None
                continue
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> Seen:
        statement = select(lease_table).where(lease_table.c.name == self._name)
        async with self._database.read(deadline_s=ANSWER_S) as conn:
            row = (await conn.execute(statement)).first()
        return Seen("", 0, 0) if row is None else Seen(row.holder, row.epoch, row.beat)

    async def _writable(self) -> bool:
        """Whether a beat could be written now, and at once; nothing is changed."""
        loop = asyncio.get_running_loop()
        begun, mine = loop.time(), lease_table.c.name == self._name
        try:
            async with self._database.write(deadline_s=ANSWER_S) as conn:
                await conn.execute(update(lease_table).where(mine).values(beat=lease_table.c.beat))
        except Unavailable:
            return False
        return loop.time() - begun < KNOCK_S

    async def _take(self, seen: Seen) -> bool:
        """Ours, if nothing moved since it was seen: compared in the statement that writes."""
        mine = {"holder": self._holder, "epoch": seen.epoch + 1, "beat": seen.beat + 1}
        try:
            async with self._database.write(deadline_s=ANSWER_S * 2) as conn:
                await upsert(
                    conn,
                    lease_table,
                    [{"name": self._name, "holder": "", "epoch": 0, "beat": 0}],
                    ["name"],
                    update=False,
                )
                same = (
                    (lease_table.c.name == self._name)
                    & (lease_table.c.epoch == seen.epoch)
                    & (lease_table.c.beat == seen.beat)
                )
                taken = (await conn.execute(update(lease_table).where(same).values(**mine))).rowcount == 1
        except Unavailable:
            return False
        if taken:
            self.epoch, self._lost, self._awake_at = seen.epoch + 1, False, self._monotonic()
            structlog.get_logger().info("lease_taken", lease=self._name, epoch=self.epoch, before=seen.holder)
        return taken

    # --- keeping it

    async def keep(self) -> None:
        """Beats until somebody else has it. Raises LeaseLost."""
        while True:
            await self.prove()
            await asyncio.sleep(BEAT_S)

    async def prove(self) -> None:
        """One beat. A database that does not answer proves nothing and takes nothing. Raises LeaseLost."""
        if self._lost:
            raise LeaseLost(f"{self._name}: superseded")
        mine = (lease_table.c.name == self._name) & (lease_table.c.epoch == self.epoch)
        statement = update(lease_table).where(mine).values(beat=lease_table.c.beat + 1, holder=self._holder)
        try:
            async with self._database.write(deadline_s=ANSWER_S) as conn:
                kept = (await conn.execute(statement)).rowcount == 1
        except Unavailable:
            kept = True
        if not kept:
            self._lost = True
            raise LeaseLost(f"{self._name}: epoch {self.epoch} was replaced")
        self._awake_at = self._monotonic()

    def holds(self) -> bool:
        """Whether we may act now: it is ours as far as anybody told us, and we did not sleep past our time since then."""
        return self.epoch > 0 and not self._lost and self._monotonic() - self._awake_at < self._ttl_s

    def superseded(self) -> None:
        """The switch knows a newer epoch: ours is over, whatever the database says."""
        self._lost = True

    async def release(self) -> None:
        """Gives it back, so that the next one need not wait. Nothing happens when it is not ours, or the database is away."""
        mine = (lease_table.c.name == self._name) & (lease_table.c.epoch == self.epoch)
        self._lost = True
        with contextlib.suppress(Unavailable):
            async with self._database.write(deadline_s=ANSWER_S) as conn:
                await conn.execute(update(lease_table).where(mine).values(holder="", beat=lease_table.c.beat + 1))
