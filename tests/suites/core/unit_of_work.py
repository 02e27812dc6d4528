"""A decision with a lasting effect is whole or not at all, and nothing of it leaves before its commit."""

from __future__ import annotations

import asyncio
import signal

import pytest
from sqlalchemy import insert, select

from core.audit import audit_table
from core.db.engine import Database
from core.db.outbox import EventLog, event_table, write_events
from core.db.relay import Relay
from core.errors import Unavailable
from core.events import to_record
from core.events.orders import AlertCleared
from core.events.routing import CardPushed
from core.events.stream import EventStream, Subscription
from core.journal.flusher import mark_table
from tests.suites.core import children
from tests.suites.core.place import QUICK_S, Place, whats

MARK = {"journal_id": "j", "seq": 1}


def told(place: Place, what: str) -> AlertCleared:
    return AlertCleared(at=place.clock.now(), what=what)


class Listening:
    """A database whose stream and wake-ups are written down."""

    def __init__(self, database: Database, feed: Subscription) -> None:
        self.database = database
        self.feed = feed
        self.woken = 0
        database.on_commit.append(self._wake)

    def _wake(self) -> None:
        self.woken += 1

    def heard(self) -> list[str]:
        return whats(list(self.feed._events))

    @classmethod
    async def at(cls, place: Place, **how: float) -> Listening:
        stream = EventStream()
        return cls(await place.open(stream=stream, **how), stream.subscribe("test", asyncio.Event()))


class UnitOfWorkPromises:
    async def test_rows_audit_and_events_appear_together_and_are_told_after_the_commit(self, place: Place) -> None:
        here = await Listening.at(place)
        async with here.database.unit("user:anna") as unit:
            await unit.conn.execute(insert(mark_table).values(MARK))
            unit.emit(told(place, "first"))
            await unit.audit("test:do", "thing:1", before={"n": 1}, after={"n": 2})
            unit.emit(told(place, "second"))
            assert (here.heard(), here.woken) == ([], 0)
            assert [await place.count(t) for t in (mark_table, audit_table, event_table)] == [0, 0, 0]
        assert (here.heard(), here.woken) == (["first", "second"], 1)
        assert await place.rows(audit_table, "actor", "action", "subject", "before", "after") == [
            ("user:anna", "test:do", "thing:1", {"n": 1}, {"n": 2})
        ]
        assert whats(await EventLog(here.database).after(0)) == ["first", "second"]
        assert await place.count(mark_table) == 1

    @pytest.mark.parametrize("fault", [ValueError, asyncio.CancelledError, KeyboardInterrupt, Unavailable])
    async def test_a_block_that_raises_leaves_nothing_and_tells_nobody(
        self, place: Place, fault: type[BaseException]
    ) -> None:
        here = await Listening.at(place)
        raised = Unavailable("shop") if fault is Unavailable else fault()
        with pytest.raises(fault) as seen:
            async with here.database.unit("user:anna") as unit:
                await unit.conn.execute(insert(mark_table).values(MARK))
                unit.emit(told(place, "never"))
                await unit.audit("test:do", "thing:1")
                raise raised
        assert seen.value is raised
        assert (here.heard(), here.woken) == ([], 0)
        assert [await place.count(t) for t in (mark_table, audit_table, event_table)] == [0, 0, 0]

    async def test_an_event_that_cannot_be_written_takes_its_rows_with_it(self, place: Place) -> None:
        here = await Listening.at(place)
        unwritable = CardPushed(at=place.clock.now(), offer_id="o", extension="1", feeds=1, card={"x": object()})
        with pytest.raises(Exception, match="JSON serializable"):
            async with here.database.unit("user:anna") as unit:
                await unit.conn.execute(insert(mark_table).values(MARK))
                unit.emit(told(place, "before it"))
                unit.emit(unwritable)
        assert (here.heard(), here.woken) == ([], 0)
        assert [await place.count(t) for t in (mark_table, event_table)] == [0, 0]

    async def test_a_database_that_does_not_take_it_leaves_nothing_and_tells_nobody(self, place: Place) -> None:
        here = await Listening.at(place, statement_s=QUICK_S)
        async with place.locked("event"):
            with pytest.raises(Unavailable):
                async with here.database.unit("user:anna") as unit:
                    await unit.conn.execute(insert(mark_table).values(MARK))
                    unit.emit(told(place, "never"))
        assert (here.heard(), here.woken) == ([], 0)
        assert [await place.count(t) for t in (mark_table, event_table)] == [0, 0]

    async def test_a_unit_is_open_only_inside_its_block(self, place: Place) -> None:
        database = await place.open()
        unit = database.unit("user:anna")
        with pytest.raises(AssertionError, match="only inside"):
            _ = unit.conn
        async with unit:
            assert unit.conn is not None
        with pytest.raises(AssertionError, match="only inside"):
            _ = unit.conn
        broken = database.unit("user:anna")
        with pytest.raises(ValueError, match="x"):
            async with broken:
                raise ValueError("x")
        with pytest.raises(AssertionError, match="only inside"):
            _ = broken.conn

    async def test_a_unit_without_events_wakes_nobody(self, place: Place) -> None:
        here = await Listening.at(place)
        async with here.database.unit("user:anna") as unit:
            await unit.conn.execute(insert(mark_table).values(MARK))
        assert (here.heard(), here.woken, await place.count(mark_table)) == ([], 0, 1)

    async def test_killed_between_commit_and_telling_it_is_told_after_the_restart_once(self, place: Place) -> None:
        """A real process, a real kill: its outbox is what is left of it."""
        told_on: list[str] = []

        async def publish(_conn: object, events: object) -> None:
            told_on.extend(whats(events))  # type: ignore[arg-type]

        before = Relay(await place.open(), "ticks", publish)
        await before.step()  # the relay of the life before has come so far
        assert await children.ended(children.start(children.commit_and_die, place.url)) == -signal.SIGKILL
        assert told_on == []
        for _life in range(2):
            relay = Relay(await place.open(), "ticks", publish)
            while await relay.step():
                continue
        assert told_on == ["committed"]


class EventLogPromises:
    async def test_a_reader_who_remembers_its_place_misses_no_event_however_writers_overlap(self, place: Place) -> None:
        """The first writer commits last: on Postgres its positions must not become visible behind the reader's back."""
        database = await place.open()
        written, go = asyncio.Event(), asyncio.Event()
        log, seen, position = EventLog(database), [], 0

        async def slow() -> None:
            async with database.write() as conn:
                await write_events(conn, "slow", [(1, to_record(told(place, "slow")))])
                written.set()
                await go.wait()

        async def quick() -> None:
            await written.wait()
            async with database.unit("rule:quick") as unit:
                unit.emit(told(place, "quick"))

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            tasks = [group.create_task(slow()), group.create_task(quick())]
            for turn in range(60):
                for event in await log.after(position):
                    position, seen = event.position, [*seen, *whats([event])]
                if turn == 20:
                    go.set()
                if turn > 20 and all(task.done() for task in tasks):
                    break
                await asyncio.sleep(0.01)
            await asyncio.gather(*tasks)
            for event in await log.after(position):
                seen = [*seen, *whats([event])]
        assert sorted(seen) == ["quick", "slow"]

    async def test_a_timeline_is_by_time_then_by_order_in_the_process_that_told_it(self, place: Place) -> None:
        database = await place.open()
        log = EventLog(database)
        at = place.clock.now()
        place.clock.advance(1)
        later = place.clock.now()
        for what, moment in (("late", later), ("a", at), ("b", at)):
            async with database.unit("x") as unit:
                unit.emit(AlertCleared(interaction_id="i", at=moment, what=what))
                unit.emit(AlertCleared(interaction_id="i", at=moment, what=what + "2"))
                unit.emit(AlertCleared(interaction_id="other", at=at, what="other"))
        assert whats(await log.for_interaction("i")) == ["a", "a2", "b", "b2", "late", "late2"]
        assert whats(await log.latest(["AlertCleared"], limit=3)) == ["b", "b2", "other"]
        assert await log.latest(["CallEnded"]) == []
        assert await log.for_interaction("nobody") == []

    async def test_one_unit_may_emit_more_events_than_a_statement_takes(self, place: Place) -> None:
        database = await place.open()
        async with database.unit("x") as unit:
            for n in range(1203):
                unit.emit(told(place, str(n)))
        assert whats(await EventLog(database).after(0, limit=2000)) == [str(n) for n in range(1203)]
        async with database.read() as conn:
            places = (await conn.execute(select(event_table.c.journal_id, event_table.c.seq))).all()
        assert len(set(places)) == 1203
