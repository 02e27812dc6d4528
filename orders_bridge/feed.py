"""Keeps the index and its rows up to date: reads what changed at the shop, and sweeps all of it once a day.

Does not answer callers (`service.py`). Nothing on a caller's path waits for it, nor it for a caller.

Invariants: the first reading takes everything; afterwards changes are read from a mark, and all orders are swept once a
day, because no feed of changes is to be trusted for ever; an order the sweep did not meet is forgotten; what could not
be written to the database is kept and written later; a failing shop or database slows this loop and ends nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from core.clock import Clock
from core.errors import Unavailable
from core.events.orders import OrderChanged
from core.events.stream import EventSink
from orders_bridge import store
from orders_bridge.adapter import ChangedPage, ShopAdapter, ShopError
from orders_bridge.copies import unpack
from orders_bridge.index import OrderIndex, Put
from orders_bridge.model import Order
from orders_bridge.store import Storage, Unit
from orders_bridge.transport import Sleep

PAGE = 50
ROWS = 200
WRITE_AT = 1000  # so many new orders are written down before more are read
PAGES_PER_ROUND = 20
SWEEP_EVERY_S = 24 * 3600.0
DATABASE_S = 10.0
SLOWEST_S = 10.0

log = structlog.get_logger("orders")


class OrderFeed:
    """`remember` takes orders in from anywhere; `run` is the background loop."""

    def __init__(
        self,
        adapter: ShopAdapter,
        index: OrderIndex,
        storage: Storage | None,
        events: EventSink,
        clock: Clock,
        *,
        heard: Callable[[ShopError | None], None],
        every_s: float = 3.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._adapter = adapter
        self._index = index
        self._storage = storage
        self._events = events
        self._clock = clock
        self._heard = heard
        self._every_s = every_s
        self._sleep = sleep
        self._cursor = ""
        self._limit = PAGE
        self._unsaved: dict[str, None] = {}  # ids, in order; the copies stand in the index
        self._gone: set[str] = set()
        self._sweep: str | None = ""  # the sweep's mark while one is under way
        self._sweep_began: datetime = clock.now()
        self._swept_s = 0.0
        self._met = 0
        self._sweep_unreadable = 0
        self._failures = 0
        self.loaded = False
        self.unreadable = 0
        self.unsaved_since: datetime | None = None

    # --- taking in

    def remember(self, orders: Iterable[Order], *, tell_new: bool = True) -> None:
        """Takes copies in; news is told (OrderChanged) and will be written down. `tell_new` = what is new to us too."""
        for order in orders:
            put = self._index.put(order)
            if put not in (Put.NEW, Put.CHANGED):
                continue
            self._unsaved[order.order_id] = None
            self._gone.discard(order.order_id)
            if put is Put.CHANGED or tell_new:
                changed = OrderChanged(at=self._clock.now(), order_id=order.order_id, version=str(order.version))
                self._events.emit(changed)

    def forget(self, order_ids: Iterable[str]) -> None:
        """Orders the shop no longer has."""
        for order_id in order_ids:
            if self._index.drop(order_id):
                self._unsaved.pop(order_id, None)
                self._gone.add(order_id)

    # --- the loop

    async def run(self) -> None:
        """Until cancelled."""
        await self._warm()
        while True:
            await self.round()
            await self._sleep(min(self._every_s * 2**self._failures, max(SLOWEST_S, self._every_s)))

    async def round(self) -> None:
        """One look at the shop, then at what is to be written. Raises nothing but cancellation."""
        try:
            await self._read()
            self._failures = 0
        except ShopError as error:
            self._failures = min(self._failures + 1, 4)
            self._heard(error)
        except Exception:
            # A fault of ours in one round must not end all later ones; the next round starts from the same mark.
            self._failures = min(self._failures + 1, 4)
            log.exception("orders.round_failed")
        await self._write()

    async def _read(self) -> None:
        if self._cursor:
            for _ in range(PAGES_PER_ROUND):
                page = await self._page(self._cursor)
                self.remember(page.orders)
                if page.cursor == self._cursor and page.more:
                    raise ShopError("shop-wrong-answer", "The shop's pages go round in circles.")
                self._cursor = page.cursor
                if not page.more:
                    break
        await self._sweep_on()

    async def _sweep_on(self) -> None:
        """The first sweep runs through; later ones take some pages each round."""
        if self._sweep is None:
            if self._clock.monotonic() - self._swept_s < SWEEP_EVERY_S:
                return
            self._sweep, self._sweep_began = "", self._clock.now()
        pages = 0
        while self._cursor == "" or pages < PAGES_PER_ROUND:
            if not self._sweep:
                self._sweep_began, self._met, self._sweep_unreadable = self._clock.now(), 0, 0
            page = await self._page(self._sweep)
            pages += 1
            self.remember(page.orders, tell_new=False)
            self._met += len(page.orders)
            self._sweep_unreadable += page.unreadable
            if page.more and page.cursor == self._sweep:
                raise ShopError("shop-wrong-answer", "The shop's pages go round in circles.")
            self._sweep = page.cursor
            if page.more:
                continue
            if self._met and not self._sweep_unreadable:
                # An empty or half-understood list is no proof that orders are gone.
                self.forget(list(self._index.not_seen_since(self._sweep_began)))
            self._cursor = self._cursor or page.cursor
            self._sweep, self._swept_s = None, self._clock.monotonic()
            self.loaded = True
            log.info("orders.swept", orders=len(self._index))
            return

    async def _page(self, cursor: str) -> ChangedPage:
        """One page; when it is too big for one answer, smaller ones are asked for."""
        while True:
            try:
                page = await self._adapter.changed_since(cursor, limit=self._limit)
            except ShopError as error:
                if error.error_id != "orders:shop-too-big" or self._limit == 1:
                    raise
                self._limit = max(self._limit // 4, 1)
                continue
            self._heard(None)
            if len(self._unsaved) >= WRITE_AT and self.unsaved_since is None:
                await self._write()
            if page.unreadable:
                self.unreadable += page.unreadable
                log.warning("orders.unreadable", count=page.unreadable)
            return page

    # --- rows

    async def _warm(self) -> None:
        """Fills the index from the rows, so that callers are known before (and without) the shop."""
        if self._storage is None:
            return
        try:
            async with asyncio.timeout(DATABASE_S), self._storage.read() as conn:
                async for copy in store.load(conn, self._adapter.shop, limit=self._index.bound):
                    order = unpack(copy)
                    if order is not None:
                        self._index.put(order)
                self._cursor = await store.cursor(conn, self._adapter.shop)
        except Exception as error:
            # Without the rows everything is read from the shop anew.
            _log_fault("orders.rows_not_read", error)
            self._cursor = ""
        self.loaded = bool(self._cursor)

    @asynccontextmanager
    async def _unit(self) -> AsyncIterator[Unit]:
        assert self._storage is not None
        async with asyncio.timeout(DATABASE_S), self._storage.unit("system:orders") as unit:
            yield unit

    async def _write(self) -> None:
        """Writes what is new; on failure it stays for the next round."""
        if self._storage is None:
            self._unsaved, self._gone = {}, set()
            return
        if not self._unsaved and not self._gone and self.unsaved_since is None:
            return
        batch, gone = self._unsaved, self._gone
        self._unsaved, self._gone = {}, set()
        try:
            await self._write_rows(list(batch), sorted(gone))
        except Exception as error:
            self._unsaved = batch | self._unsaved
            self._gone |= gone - self._unsaved.keys()
            self.unsaved_since = self.unsaved_since or self._clock.now()
            _log_fault("orders.rows_not_written", error, waiting=len(self._unsaved))
            return
        self.unsaved_since = None

    async def _write_rows(self, order_ids: list[str], gone: list[str]) -> None:
        """Many short transactions: others write to this database too. The mark last: it vouches for the rows."""
        for at in range(0, len(order_ids), ROWS):
            held = [self._index.get(order_id) for order_id in order_ids[at : at + ROWS]]
            async with self._unit() as unit:
                await store.save(unit.conn, [order for order in held if order is not None])
        for at in range(0, len(gone), ROWS):
            async with self._unit() as unit:
                await store.remove(unit.conn, gone[at : at + ROWS])
        if self._cursor:
            async with self._unit() as unit:
                await store.set_cursor(unit.conn, self._adapter.shop, self._cursor, self._clock.now())


def _log_fault(what: str, error: Exception, **more: int) -> None:
    """One line when the database is away, with the place when it may be our own fault."""
    if isinstance(error, Unavailable | TimeoutError | OSError):
        log.warning(what, error=type(error).__name__, **more)
    else:
        log.error(what, exc_info=error, **more)
