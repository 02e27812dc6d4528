"""What is handed on from the outbox: all of it, in order, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from core.db import relay as relays
from core.db.engine import Database
from core.db.outbox import StoredEvent
from core.db.relay import Relay
from core.errors import Unavailable
from core.events.orders import AlertCleared
from core.users.store import user_table
from tests.suites.core.place import QUICK_S, Place, whats


async def tell(database: Database, *names: str) -> None:
    for name in names:
        async with database.unit("rule:test") as unit:
            unit.emit(AlertCleared(at=database.clock.now(), what=name))


class Taker:
    """Writes a row for each event and remembers it outside; fails when told to, before or after its row."""

    def __init__(self, place: Place) -> None:
        self.told: list[str] = []
        self.fails = ""
        self._place = place

    async def __call__(self, conn: AsyncConnection, events: Sequence[StoredEvent]) -> None:
        for event in events:
            what = whats([event])[0]
            row = {"id": f"{event.position}", "login": what, "name": what, "roles": [], "language": "en",
                   "password_hash": "", "active": True, "created_at": self._place.clock.now()}  # fmt: skip
            await conn.execute(insert(user_table).values(row))
            if self.fails == what:
                raise RuntimeError(f"no {what}")
            self.told.append(what)

    async def rows(self) -> list[str]:
        return [login for (login,) in await self._place.rows(user_table, "login")]


async def drained(relay: Relay) -> int:
    count = 0
    while moved := await relay.step():
        count += moved
    return count


class RelayPromises:
    async def test_a_new_one_begins_behind_the_newest_and_one_from_the_start_at_the_first(self, place: Place) -> None:
        database = await place.open()
        await tell(database, "old")
        now, all_of_it = Taker(place), Taker(place)
        assert await drained(Relay(database, "now", now)) == 0
        assert await drained(Relay(database, "all", all_of_it, from_start=True)) == 1
        await tell(database, "new")
        await drained(Relay(database, "now", now))
        assert (now.told, all_of_it.told) == (["new"], ["old"])

    async def test_events_come_once_and_in_order_over_several_lives(self, place: Place) -> None:
        taker, wanted = Taker(place), [f"e{n}" for n in range(12)]
        for start in range(0, 12, 3):
            database = await place.open()
            await tell(database, *wanted[start : start + 3])
            await drained(Relay(database, "r", taker, from_start=True))
        assert taker.told == wanted
        assert sorted(await taker.rows()) == sorted(wanted)

    async def test_a_taker_that_fails_leaves_nothing_and_gets_the_same_again(self, place: Place) -> None:
        database, taker = await place.open(), Taker(place)
        relay = Relay(database, "r", taker, from_start=True)
        await tell(database, "a", "b")
        taker.fails = "b"
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no b"):
                await relay.step()
            assert await taker.rows() == []
        taker.fails = ""
        await drained(relay)
        assert await taker.rows() == ["a", "b"]

    async def test_two_of_one_name_hand_on_nothing_twice(self, place: Place) -> None:
        taker = Taker(place)
        one, other = await place.open(), await place.open()
        both = [Relay(database, "r", taker, from_start=True) for database in (one, other)]
        wanted = [f"e{n}" for n in range(40)]

        async def write() -> None:
            await tell(one, *wanted)

        async def hand_on(relay: Relay) -> None:
            while len(taker.told) < len(wanted):
                await relay.step()

        async with asyncio.timeout(60):
            await asyncio.gather(write(), *(hand_on(relay) for relay in both))
        assert taker.told == wanted
        assert len(await taker.rows()) == len(wanted)

    async def test_more_than_a_batch_is_handed_on_whole(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(relays, "BATCH", 4)
        database, taker = await place.open(), Taker(place)
        async with database.unit("rule:test") as unit:
            for n in range(10):
                unit.emit(AlertCleared(at=place.clock.now(), what=f"e{n}"))
        assert await drained(Relay(database, "r", taker, from_start=True)) == 10
        assert taker.told == [f"e{n}" for n in range(10)]

    async def test_running_it_hands_on_what_is_committed_and_bears_a_taker_and_a_database_that_fail(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(relays, "BACKOFF_S", (0.01,))
        monkeypatch.setattr(relays, "POLL_S", 0.05)
        database, taker = await place.open(statement_s=QUICK_S), Taker(place)
        relay = Relay(database, "r", taker, from_start=True)
        taker.fails = "b"
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            running = group.create_task(relay.run())
            await tell(database, "a", "b")
            while "no b" not in relay.fault:
                await asyncio.sleep(0.005)
            taker.fails = ""
            while taker.told[-1:] != ["b"]:
                await asyncio.sleep(0.005)
            async with place.locked("event_relay", "event"):
                with pytest.raises(Unavailable):
                    await tell(database, "not yet")
            await tell(database, "c")
            while await taker.rows() != ["a", "b", "c"] or relay.fault:
                await asyncio.sleep(0.01)
            running.cancel()
        assert taker.told[-1] == "c"
