"""The background reading: everything once, then changes, a sweep a day; no failure ends it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import create_async_engine

from core.clock import ManualClock
from core.db.metadata import metadata
from orders_bridge import store
from orders_bridge.adapter import ShopError
from orders_bridge.copies import pack
from orders_bridge.feed import SWEEP_EVERY_S, WRITE_AT, OrderFeed
from orders_bridge.index import OrderIndex
from tests.unit.orders_bridge.build import PHONE, order
from tests.unit.orders_bridge.fakes import ClockSleep, EventList, FakeShop
from tests.unit.orders_bridge.rows import Rows, opened

BROKEN = ShopError("shop-failing", "The shop failed (500).")


class Room:
    def __init__(self, count: int, rows: Rows | None = None) -> None:
        self.clock = ManualClock()
        self.shop = FakeShop(self.clock, *[order(no=str(10000000 + at), version=at) for at in range(count)])
        self.index = OrderIndex()
        self.events = EventList()
        self.heard: list[str] = []
        self.sleep = ClockSleep(self.clock)
        self.rows = rows
        self.feed = self._feed()

    def _feed(self) -> OrderFeed:
        return OrderFeed(
            self.shop,
            self.index,
            self.rows,
            self.events,
            self.clock,
            heard=lambda error: self.heard.append(error.error_id if error else "good"),
            sleep=self.sleep,
        )

    def restart(self) -> None:
        self.index = OrderIndex()
        self.feed = self._feed()
        self.shop.asked.clear()
        self.events.events.clear()


async def test_the_first_round_reads_everything_however_many_pages_and_tells_nobody() -> None:
    room = Room(2500)
    await room.feed.round()
    assert len(room.index) == 2500
    assert room.feed.loaded
    assert room.events.events == []


async def test_later_rounds_read_changes_only_and_tell_them() -> None:
    room = Room(120)
    await room.feed.round()
    room.shop.asked.clear()
    room.shop.orders["20000000"] = order(no="20000000", version=900)
    await room.feed.round()
    assert [e.order_id for e in room.events.events] == ["pu_20000000"]  # type: ignore[attr-defined]
    assert len(room.shop.asked) == 1


async def test_a_page_too_big_for_one_answer_is_asked_for_in_smaller_ones() -> None:
    room = Room(40)
    room.shop.too_big_above = 5
    await room.feed.round()
    assert len(room.index) == 40


async def test_a_failing_shop_slows_the_loop_and_ends_nothing() -> None:
    room = Room(10)
    room.shop.error = BROKEN

    class Enough(Exception):
        pass

    async def sleep(seconds: float) -> None:
        room.sleep.slept.append(seconds)
        if len(room.sleep.slept) == 3:
            room.shop.error = None
        if len(room.sleep.slept) == 4:
            raise Enough

    room.feed._sleep = sleep
    with pytest.raises(Enough):
        await room.feed.run()
    assert room.sleep.slept == [6.0, 10.0, 10.0, 3.0]
    assert len(room.index) == 10
    assert room.heard == ["orders:shop-failing"] * 3 + ["good"]


async def test_a_first_reading_that_broke_off_goes_on_where_it_stood() -> None:
    room = Room(150)
    reads = 0
    honest = room.shop.changed_since

    async def breaking(cursor: str, *, limit: int = 50, budget_s: float = 3.0) -> object:
        nonlocal reads
        reads += 1
        if reads == 3:
            raise BROKEN
        return await honest(cursor, limit=limit, budget_s=budget_s)

    room.shop.changed_since = breaking  # type: ignore[assignment,method-assign]
    await room.feed.round()
    assert (len(room.index), room.feed.loaded) == (100, False)
    await room.feed.round()
    assert (len(room.index), room.feed.loaded, reads) == (150, True, 4)


async def test_pages_that_go_round_in_circles_are_an_error_and_not_an_endless_loop() -> None:
    room = Room(10)
    honest = room.shop.changed_since

    async def circling(cursor: str, *, limit: int = 50, budget_s: float = 3.0) -> object:
        page = await honest("", limit=limit, budget_s=budget_s)
        return replace(page, cursor="@1", more=True)

    room.shop.changed_since = circling  # type: ignore[assignment,method-assign]
    await room.feed.round()
    assert room.heard[-1] == "orders:shop-wrong-answer"


async def test_a_fault_of_our_own_in_one_round_does_not_end_the_next() -> None:
    room = Room(10)
    room.feed._heard = lambda error: 1 / 0  # type: ignore[assignment]
    await room.feed.round()
    room.feed._heard = lambda error: None
    await room.feed.round()
    assert room.feed.loaded


async def test_the_daily_sweep_forgets_what_the_shop_no_longer_has() -> None:
    room = Room(30)
    await room.feed.round()
    del room.shop.orders["10000003"]
    room.clock.advance(SWEEP_EVERY_S + 1)
    await room.feed.round()
    assert len(room.index) == 29
    assert room.index.by_no("10000003") is None


@pytest.mark.parametrize("glitch", ["empty", "unreadable"])
async def test_an_empty_or_half_understood_list_is_no_proof_that_orders_are_gone(glitch: str) -> None:
    room = Room(30)
    await room.feed.round()
    if glitch == "empty":
        room.shop.orders.clear()
    else:
        del room.shop.orders["10000003"]
        room.shop.unreadable = 1
    room.clock.advance(SWEEP_EVERY_S + 1)
    await room.feed.round()
    assert len(room.index) == 30


# --- with rows


async def test_what_was_read_is_there_after_a_restart_before_the_shop_answers(tmp_path: Path) -> None:
    async with opened(tmp_path) as rows:
        room = Room(60, rows)
        await room.feed.round()
        room.restart()
        room.shop.error = BROKEN
        await room.feed._warm()
        assert len(room.index) == 60
        assert room.feed.loaded
        assert len(room.index.by_phone(PHONE)) == 20
        await room.feed.round()
        assert len(room.index) == 60
        room.shop.error = None
        room.shop.orders["20000000"] = order(no="20000000", version=900)
        room.shop.asked.clear()
        await room.feed.round()
        assert room.shop.asked[0].startswith("changes @60 ")
        assert room.events.kinds() == ["OrderChanged"]


async def test_rows_that_cannot_be_written_wait_for_the_next_round(tmp_path: Path) -> None:
    async with opened(tmp_path) as rows:
        room = Room(5, rows)
        rows.broken = True
        await room.feed.round()
        assert room.feed.unsaved_since is not None
        assert len(room.index) == 5
        rows.broken = False
        await room.feed.round()
        assert room.feed.unsaved_since is None
        async with rows.read() as conn:
            assert len((await conn.execute(select(store.shop_order))).all()) == 5


async def test_a_database_that_never_answers_does_not_hold_the_reading_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orders_bridge.feed.DATABASE_S", 0.01)
    async with opened(tmp_path) as rows:
        room = Room(5, rows)
        rows.hangs = asyncio.Event()
        await room.feed._warm()
        await room.feed.round()
        assert room.feed.loaded
        assert room.feed.unsaved_since is not None


async def test_forgotten_orders_leave_the_rows_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as rows:
        room = Room(5, rows)
        await room.feed.round()
        room.feed.forget(["pu_10000002"])
        await room.feed.round()
        async with rows.read() as conn:
            assert len((await conn.execute(select(store.shop_order))).all()) == 4
            assert await store.orders_of_phone(conn, PHONE) == [f"pu_1000000{at}" for at in (0, 1, 3, 4)]


async def test_an_older_copy_does_not_overwrite_its_row_and_phones_follow_the_copy(tmp_path: Path) -> None:
    async with opened(tmp_path) as rows:
        async with rows.unit(actor="test") as unit:
            await store.save(
                unit.conn, [order(version=5), order(version=7, phones=("+12125550142",)), order(version=6)]
            )
        async with rows.unit(actor="test") as unit:
            await store.save(unit.conn, [order("cancelled", version=6)])
        async with rows.read() as conn:
            assert [copy async for copy in store.load(conn, "lantern", limit=9)] == [
                pack(order(version=7, phones=("+12125550142",))).decode()
            ]
            assert await store.orders_of_phone(conn, PHONE) == []
            assert await store.orders_of_phone(conn, "+12125550142") == ["pu_61827868"]


async def test_the_tables_can_be_made_and_the_mark_is_kept_for_each_shop(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/other.sqlite")
    async with engine.begin() as conn:
        await conn.run_sync(metadata.create_all)
        assert await store.cursor(conn, "lantern") == ""
        await store.set_cursor(conn, "lantern", "@1", ManualClock().now())
        await store.set_cursor(conn, "lantern", "@2", ManualClock().now())
        await store.set_cursor(conn, "other", "@9", ManualClock().now())
        assert await store.cursor(conn, "lantern") == "@2"
    await engine.dispose()


async def test_a_first_reading_of_many_is_written_down_as_it_goes(tmp_path: Path) -> None:
    async with opened(tmp_path) as rows:
        room = Room(2600, rows)
        waiting: list[int] = []
        room.feed._heard = lambda error: waiting.append(len(room.feed._unsaved))
        await room.feed.round()
        assert max(waiting) <= WRITE_AT
        async with rows.read() as conn:
            assert (await conn.execute(select(func.count()).select_from(store.shop_order))).scalar() == 2600
            assert await store.cursor(conn, "lantern") == "@2600"


async def test_a_database_that_is_away_is_tried_once_or_twice_a_round_and_not_for_every_page(tmp_path: Path) -> None:
    async with opened(tmp_path) as rows:
        room = Room(2600, rows)
        rows.broken = True
        await room.feed.round()
        assert len(room.index) == 2600
        assert rows.tried == 2
        rows.broken = False
        await room.feed.round()
        async with rows.read() as conn:
            assert (await conn.execute(select(func.count()).select_from(store.shop_order))).scalar() == 2600
