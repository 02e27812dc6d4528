"""The journal reaches the database exactly once, whatever happens to either and to the process between them."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from core.db.engine import Database
from core.db.outbox import EventLog, event_table
from core.errors import Unavailable
from core.events import DomainEvent
from core.events.orders import AlertCleared, AlertRaised
from core.events.pbx import CallEnded
from core.journal import flusher as flushing
from core.journal.flusher import Flusher, mark_table, quarantine_table
from core.journal.journal import Journal
from tests.suites.core import children
from tests.suites.core.children import Counting
from tests.suites.core.place import QUICK_S, Place, whats

LIVES = 8


class House:
    """A journal, a database and the flusher between them."""

    def __init__(self, place: Place, folder: Path, database: Database, *projectors: flushing.Projector) -> None:
        self.place, self.folder, self.database = place, folder, database
        self.journal = Journal(folder / "journal.sqlite", "j")
        self.flusher = Flusher(self.journal, database, [Counting(), *projectors])

    def tell(self, *names: object) -> None:
        for name in names:
            self.journal.emit(AlertCleared(at=self.place.clock.now(), what=str(name)))

    async def synced(self) -> None:
        async with asyncio.timeout(30):
            while self.journal.synced < self.journal.last_seq:
                await asyncio.sleep(0.002)

    async def flush(self) -> None:
        await self.synced()
        while await self.flusher.flush_once():
            continue

    async def stored(self) -> list[str]:
        return whats(await EventLog(await self.place.open()).after(0, 100_000))

    async def counted(self) -> int:
        marks = dict(await self.place.rows(mark_table, "journal_id", "seq"))
        return int(marks.get("counted", 0))

    async def mark(self) -> int:
        return int(dict(await self.place.rows(mark_table, "journal_id", "seq"))["j"])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            task = group.create_task(self.flusher.run())
            yield
            task.cancel()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.005)


class Refusing(flushing.Projector):
    """A projector that cannot take alarms called "poison"."""

    async def write(self, conn: AsyncConnection, events: Sequence[DomainEvent]) -> None:
        for event in events:
            assert getattr(event, "what", "") != "poison", "this one I cannot take"


class FlusherPromises:
    @pytest.fixture
    async def house(self, place: Place, tmp_path: Path) -> AsyncIterator[House]:
        it = House(place, tmp_path, await place.open())
        yield it
        await asyncio.to_thread(it.journal.close)

    @pytest.fixture
    async def quick_house(self, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
        monkeypatch.setattr(flushing, "BACKOFF_S", (0.02,))
        it = House(place, tmp_path, await place.open(statement_s=QUICK_S))
        yield it
        await asyncio.to_thread(it.journal.close)

    async def test_facts_rows_and_mark_come_together_and_the_journal_forgets_them(self, house: House) -> None:
        flushed: list[int] = []
        house.flusher.on_flush.append(lambda: flushed.append(house.journal.flushed))
        many = 2 * flushing.BATCH + 234
        house.tell(*range(many))
        await house.flush()
        assert await house.stored() == [str(n) for n in range(many)]
        assert (await house.counted(), await house.mark(), house.journal.behind) == (many, many, 0)
        assert await house.journal.read(0, 10) == []
        assert flushed == [flushing.BATCH, 2 * flushing.BATCH, many]
        assert await house.flusher.flush_once() == 0

    async def test_running_it_follows_what_is_emitted(self, house: House) -> None:
        async with house.running():
            for n in range(8):
                house.tell(n)
                await house.flusher.flushed_up_to(house.journal.last_seq)
                assert await house.counted() == n + 1
        assert house.journal.on_sync == [], "it leaves nothing behind"

    async def test_a_database_in_somebodys_hands_costs_time_and_no_fact(self, quick_house: House) -> None:
        house = quick_house
        house.tell("before")
        async with house.running():
            await house.flusher.flushed_up_to(1)
            with capture_logs() as logs:
                async with house.place.locked("event", "journal_mark"):
                    house.tell(*range(50))
                    await until(lambda: house.flusher.down)
                    house.tell(*range(50, 100))
                    await house.synced()
                    assert house.journal.behind == 100
                await house.flusher.flushed_up_to(101)
                await until(lambda: not house.flusher.down)
        assert await house.stored() == ["before", *map(str, range(100))]
        assert await house.counted() == 101
        said = [entry["event"] for entry in logs]
        assert (said[0], said[-1]) == ("facts_not_flushed", "facts_flushed_again")

    async def test_a_commit_whose_answer_was_lost_is_not_made_again(self, house: House) -> None:
        write = house.database.write

        @asynccontextmanager
        async def lose(**how: float) -> AsyncIterator[AsyncConnection]:
            async with write(**how) as conn:
                yield conn
            house.database.write = write  # type: ignore[method-assign]
            raise Unavailable("database")

        house.tell("a")
        await house.flush()
        house.tell("b", "c")
        await house.synced()
        house.database.write = lose  # type: ignore[method-assign,assignment]
        with pytest.raises(Unavailable):
            await house.flusher.flush_once()
        house.tell("d")
        await house.flush()
        assert await house.stored() == ["a", "b", "c", "d"]
        assert (await house.counted(), await house.mark(), house.journal.behind) == (4, 4, 0)

    async def test_killed_between_commit_and_forgetting_the_next_life_goes_on_behind_the_mark(
        self, house: House, tmp_path: Path
    ) -> None:
        forget = house.journal.forget_until

        async def die(_seq: int) -> None:
            raise asyncio.CancelledError

        house.tell("a", "b")
        await house.synced()
        house.journal.forget_until = die  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await house.flusher.flush_once()
        house.journal.forget_until = forget  # type: ignore[method-assign]
        await asyncio.to_thread(house.journal.close)
        again = House(house.place, tmp_path, house.database)
        assert again.journal.behind == 2, "the file knows nothing of the commit"
        again.tell("c")
        await again.flush()
        assert await again.stored() == ["a", "b", "c"]
        assert (await again.counted(), again.journal.behind) == (3, 0)
        await asyncio.to_thread(again.journal.close)

    async def test_a_second_flusher_of_the_same_journal_writes_nothing_twice(self, house: House) -> None:
        """The one before us was frozen in mid flight and goes on."""
        stale = Flusher(house.journal, await house.place.open(), [Counting()])
        house.tell("a")
        await house.flush()
        await stale.flush_once()  # knows the mark now
        house.tell("b", "c")
        await house.synced()
        rows = await house.journal.read(1, 10)
        await house.flush()
        with pytest.raises(flushing._MarkMoved):
            await stale._copy(1, rows)
        house.tell("d")
        await house.synced()
        await asyncio.gather(stale.flush_once(), house.flusher.flush_once())
        assert await house.stored() == ["a", "b", "c", "d"]
        assert (await house.counted(), await house.mark()) == (4, 4)

    async def test_a_fact_no_projector_can_take_is_set_aside_and_holds_up_nobody(
        self, place: Place, tmp_path: Path
    ) -> None:
        house = House(place, tmp_path, await place.open(), Refusing())
        house.tell("a", "poison", "b")
        await house.flush()
        assert await house.stored() == ["a", "poison", "b"], "the fact itself is kept in the timeline"
        assert (await house.counted(), await house.mark(), house.journal.behind) == (2, 3, 0)
        [(seq, record, reason)] = await place.rows(quarantine_table, "seq", "record", "reason")
        assert (seq, record["what"]) == (2, "poison")
        assert "this one I cannot take" in reason
        await asyncio.to_thread(house.journal.close)

    async def test_a_kind_of_another_release_is_set_aside_and_kept(self, house: House) -> None:
        house.tell("a")
        await house.synced()
        record = {"kind": "FromTheFuture", "interaction_id": "i", "at": house.place.clock.now().isoformat()}
        await asyncio.to_thread(house.journal._locked, lambda: house.journal._file._db.execute(
            "INSERT INTO fact VALUES (2, ?)", (json.dumps(record),)))  # fmt: skip
        house.journal._seq = house.journal.synced = 2
        house.journal._at_hand.clear()
        house.tell("b")
        await house.flush()
        assert await house.counted() == 2
        assert await house.place.rows(event_table, "kind") == [("AlertCleared",), ("FromTheFuture",), ("AlertCleared",)]
        assert await house.place.rows(quarantine_table, "seq") == [(2,)]

    async def test_a_value_the_database_cannot_hold_holds_up_nobody(self, house: House) -> None:
        """Whatever a caller's phone or a fault of ours puts into a fact: it stands in the log, or is set aside whole."""
        at, odd = house.place.clock.now(), [
            {"interaction_id": "nul\x00"}, {"interaction_id": "half\ud800"}, {"interaction_id": "long" * 100},
            {"talk_s": float("nan")}, {"talk_s": float("inf")}, {"cause": 2**80}, {"reason": "\ud800\x00"},
        ]  # fmt: skip
        for values in odd:
            house.tell("good")
            house.journal.emit(CallEnded(at=at, **{"reason": "odd", **values}))
        house.tell("last")
        with capture_logs():
            await house.flush()
        kinds = Counter(kind for (kind,) in await house.place.rows(event_table, "kind"))
        assert kinds["AlertCleared"] == len(odd) + 1
        aside = await house.place.count(quarantine_table, quarantine_table.c.seq.not_in(select(event_table.c.seq)))
        assert kinds["CallEnded"] + aside == len(odd)
        assert house.journal.behind == 0

    async def test_what_is_set_aside_is_logged_without_what_it_says(self, place: Place, tmp_path: Path) -> None:
        class Telling(flushing.Projector):
            async def write(self, conn: AsyncConnection, events: Sequence[DomainEvent]) -> None:
                for event in events:
                    if isinstance(event, AlertRaised):
                        raise ValueError(f"{event.message} is no name")

        house = House(place, tmp_path, await place.open(), Telling())
        house.journal.emit(AlertRaised(at=place.clock.now(), what="x", message="张伟"))
        with capture_logs() as logs:
            await house.flush()
        assert [entry["event"] for entry in logs] == ["projection_failed", "fact_set_aside"]
        assert "张伟" not in repr(logs)
        await asyncio.to_thread(house.journal.close)

    async def test_a_database_that_was_put_back_to_an_older_copy_is_told_and_gets_what_is_new(
        self, house: House
    ) -> None:
        house.tell("a", "b", "c")
        await house.flush()
        async with house.database.write() as conn:
            await conn.execute(update(mark_table).where(mark_table.c.journal_id == "j").values(seq=1))
        again = Flusher(house.journal, house.database, [Counting()])
        house.tell("d")
        await house.synced()
        with capture_logs() as logs:
            assert await again.flush_once() == 1
        assert await house.mark() == 4
        assert [entry["event"] for entry in logs] == ["database_behind_journal"]

    async def test_a_journal_that_cannot_forget_is_no_reason_to_write_twice(self, quick_house: House) -> None:
        house, forget = quick_house, quick_house.journal.forget_until
        failed = 0

        async def full(_seq: int) -> None:
            nonlocal failed
            failed += 1
            raise sqlite3.OperationalError("database or disk is full")

        async with house.running():
            house.journal.forget_until = full  # type: ignore[method-assign]
            house.tell("a", "b")
            await until(lambda: failed > 2 and "full" in house.flusher.down)
            assert await house.counted() == 2
            house.journal.forget_until = forget  # type: ignore[method-assign]
            await until(lambda: house.journal.behind == 0)
            house.tell("c")
            await house.flusher.flushed_up_to(3)
        assert await house.stored() == ["a", "b", "c"]
        assert await house.counted() == 3

    async def test_a_row_that_is_there_already_is_left_as_it_is(self, house: House) -> None:
        """(journal, sequence) is unique: the last fence, should all others fall."""
        house.tell("a")
        await house.synced()
        at = house.place.clock.now() + timedelta(seconds=1)
        row = {"journal_id": "j", "seq": 1, "interaction_id": "", "kind": "AlertCleared", "at": at,
               "body": {"kind": "AlertCleared", "at": at.isoformat(), "what": "first"}}  # fmt: skip
        async with house.database.write() as conn:
            await conn.execute(insert(event_table).values(row))
        await house.flush()
        assert await house.stored() == ["first"]

    async def test_killed_at_any_instant_every_synced_fact_is_there_once_and_in_order(
        self, place: Place, tmp_path: Path
    ) -> None:
        seed = random.randrange(1_000_000)
        chance, synced = random.Random(seed), 0
        for life in range(LIVES):
            reading, writing = children.pipe()
            process = children.start(children.journal_and_flush, tmp_path / "journal.sqlite", place.url, life, writing)
            writing.close()
            assert await asyncio.to_thread(reading.poll, 60)
            await asyncio.sleep(chance.random() * 0.08)
            process.kill()
            assert await children.ended(process) == -signal.SIGKILL
            while True:
                try:
                    synced = reading.recv()
                except EOFError:
                    break
            reading.close()
        house = House(place, tmp_path, await place.open())
        await house.flush()
        rows = await place.rows(event_table, "seq", "body")
        told = [body["what"] for _, body in rows]
        assert house.journal.last_seq >= synced > LIVES, f"seed {seed}"
        assert [seq for seq, _ in rows] == list(range(1, house.journal.last_seq + 1)), f"seed {seed}"
        assert told == [f"{life}/{n}" for life in range(LIVES) for n in range(Counter(
            what.partition("/")[0] for what in told)[str(life)])], f"seed {seed}"  # fmt: skip
        assert await house.counted() == len(rows), f"seed {seed}"
        assert {journal_id for (journal_id,) in await place.rows(event_table, "journal_id")} == {"first-opened-in-0"}
        await asyncio.to_thread(house.journal.close)
