"""The rows of orders: copies, their phones, and where the reading of changes stands. SQLite and Postgres alike.

Does not decide what is worth a row. Invariants: a row is replaced only by a higher version (the guard is in the
statement itself, so two writers cannot undo each other); phones of an order are those of the copy in its row.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from sqlalchemy import BigInteger, Column, Index, String, Table, Text, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db.metadata import metadata
from core.db.types import Moment
from core.db.upsert import upsert
from orders_bridge.copies import pack
from orders_bridge.model import Order

shop_order = Table(
    "shop_order",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("shop", String(64), nullable=False),
    Column("order_no", String(20), nullable=False),
    Column("status", String(20), nullable=False),
    Column("placed_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("fetched_at", Moment, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("copy", Text, nullable=False),
    Index(None, "order_no"),
    Index(None, "changed_at"),
)
order_phone = Table(
    "order_phone",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("phone", String(40), primary_key=True),
    Index(None, "phone"),
)
shop_cursor = Table(
    "shop_cursor",
    metadata,
    Column("shop", String(64), primary_key=True),
    Column("mark", Text, nullable=False),
    Column("at", Moment, nullable=False),
)


class Unit(Protocol):
    @property
    def conn(self) -> AsyncConnection: ...


class Storage(Protocol):
    """What we need of `core.db.engine.Database`."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]: ...

    def unit(self, actor: str) -> AbstractAsyncContextManager[Unit]: ...


def _row(order: Order) -> dict[str, object]:
    return {
        "order_id": order.order_id,
        "shop": order.shop,
        "order_no": order.order_no,
        "status": order.status.value,
        "placed_at": order.placed_at,
        "changed_at": order.changed_at,
        "fetched_at": order.fetched_at,
        "version": order.version,
        "copy": pack(order).decode(),
    }


async def save(conn: AsyncConnection, orders: Iterable[Order]) -> None:
    """Writes copies; those that are not newer than their row change nothing. One order at most once per call."""
    newest: dict[str, Order] = {}
    for order in orders:
        if order.order_id not in newest or newest[order.order_id].version < order.version:
            newest[order.order_id] = order
    if not newest:
        return
    ordered = [newest[order_id] for order_id in sorted(newest)]  # one order for all writers: no deadlocks
    # Not `core.db.upsert`: the guard belongs into the statement.
    postgres = conn.dialect.name == "postgresql"
    statement = postgresql.insert(shop_order) if postgres else sqlite.insert(shop_order)
    written = {column.name: statement.excluded[column.name] for column in shop_order.c if not column.primary_key}
    guarded = statement.on_conflict_do_update(
        index_elements=["order_id"], set_=written, where=shop_order.c.version < statement.excluded.version
    )
    await conn.execute(guarded, [_row(order) for order in ordered])
    held = await conn.execute(
        select(shop_order.c.order_id, shop_order.c.version).where(shop_order.c.order_id.in_(list(newest)))
    )
    ours = [order_id for order_id, version in held if newest[order_id].version == version]
    await conn.execute(delete(order_phone).where(order_phone.c.order_id.in_(ours)))
    phones = [{"order_id": i, "phone": phone[:40]} for i in ours for phone in dict.fromkeys(newest[i].phones)]
    if phones:
        await conn.execute(insert(order_phone), phones)


async def remove(conn: AsyncConnection, order_ids: Sequence[str]) -> None:
    """Takes orders out that the shop no longer has."""
    await conn.execute(delete(order_phone).where(order_phone.c.order_id.in_(order_ids)))
    await conn.execute(delete(shop_order).where(shop_order.c.order_id.in_(order_ids)))


async def load(conn: AsyncConnection, shop: str, *, limit: int) -> AsyncIterator[str]:
    """The copies of the `limit` orders that changed last, the oldest change first."""
    newest = (
        select(shop_order.c.copy, shop_order.c.changed_at)
        .where(shop_order.c.shop == shop)
        .order_by(shop_order.c.changed_at.desc())
        .limit(limit)
        .subquery()
    )
    result = await conn.stream(select(newest.c.copy).order_by(newest.c.changed_at))
    async for (copy,) in result:
        yield copy


async def orders_of_phone(conn: AsyncConnection, phone: str) -> list[str]:
    """Ids of the orders of a phone, for reports and searches that may wait for the database."""
    rows = await conn.execute(select(order_phone.c.order_id).where(order_phone.c.phone == phone))
    return [order_id for (order_id,) in rows]


async def cursor(conn: AsyncConnection, shop: str) -> str:
    """Where the reading of changes stands; "" at the very beginning."""
    found = (await conn.execute(select(shop_cursor.c.mark).where(shop_cursor.c.shop == shop))).scalar()
    return str(found or "")


async def set_cursor(conn: AsyncConnection, shop: str, mark: str, at: datetime) -> None:
    await upsert(conn, shop_cursor, [{"shop": shop, "mark": mark, "at": at}], ["shop"])
