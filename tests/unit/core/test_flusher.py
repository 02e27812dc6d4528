"""From the journal into SQLite, exactly once; also over crashes at instants a killed process seldom meets."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from core.db.outbox import event_table
from core.errors import Unavailable
from core.journal.flusher import mark_table
from core.journal.journal import Journal
from tests.suites.core.flusher import FlusherPromises, House
from tests.suites.core.place import Place


class TestFlusher(FlusherPromises): ...


class Killed(BaseException):
    """The process ends here."""


def die(journal: Journal) -> None:
    """What a kill leaves of a journal: the file as it was synced last, and nobody who holds it."""
    with journal._lock:
        journal._file.close()
    journal._stop = True
    journal._news.set()
    journal._thread.join()


async def test_what_the_power_takes_from_the_database_is_still_in_the_journal(
    newest_sqlite: Path, tmp_path: Path
) -> None:
    """SQLite syncs when it tidies up and not at each commit; the journal syncs, and forgets a minute later."""
    shutil.copy(newest_sqlite, tmp_path / "a.sqlite")
    async with Place(f"sqlite:///{tmp_path}/a.sqlite") as place:
        database = await place.open()
        house = House(place, tmp_path, database)
        house.tell("a")
        await house.flush()
        house.tell("b", "c")
        await house.flush()
        die(house.journal)
        async with database.write() as conn:  # as it stood at the first commit
            await conn.execute(event_table.delete().where(event_table.c.seq > 1))
            await conn.execute(mark_table.update().values(seq=1))
        again = House(place, tmp_path, database)
        again.tell("d")
        with capture_logs() as logs:
            await again.flush()
        assert (await again.stored(), logs) == (["a", "b", "c", "d"], [])
        again.journal.close()


STEPS = st.lists(
    st.sampled_from(
        ["tell", "tell", "sync", "flush", "killed", "killed before commit", "killed after commit", "killed forgetting",
         "refused", "answer lost"]
    ),
    min_size=5, max_size=30,
)  # fmt: skip


@settings(max_examples=12)
@given(steps=STEPS)
def test_whatever_fails_or_dies_when_every_synced_fact_is_there_once_and_in_order(
    newest_sqlite: Path, steps: list[str]
) -> None:
    async def play(place: Place, folder: Path) -> None:
        database = await place.open()
        house = House(place, folder, database)
        write = database.write
        told: list[str] = []

        @asynccontextmanager
        async def failing(**how: float) -> AsyncIterator[AsyncConnection]:
            fault = Killed() if "killed" in step else Unavailable("database")
            async with write(**how) as conn:
                yield conn
                if step in ("killed before commit", "refused"):
                    raise fault
            raise fault

        async def killed(_seq: int) -> None:
            raise Killed

        for number, step in enumerate(steps):
            if step == "tell":
                told += [f"{number}.{n}" for n in range(3)]
                house.tell(*told[-3:])
            elif step == "sync":
                await house.synced()
            elif step == "flush":
                await house.flush()
            else:
                if step == "killed forgetting":
                    house.journal.forget_until = killed  # type: ignore[method-assign]
                elif step != "killed":
                    database.write = failing  # type: ignore[method-assign,assignment]
                try:
                    if step != "killed":
                        await house.flusher.flush_once()
                except (Killed, Unavailable):
                    pass
                database.write = write  # type: ignore[method-assign]
                if "killed" in step:
                    die(house.journal)
                    told = told[: house.journal.synced]
                    house = House(place, folder, database)
        with capture_logs() as logs:
            await house.flush()
        assert logs == []
        assert await house.stored() == told
        assert await house.counted() == len(told)
        assert house.journal.behind == 0
        house.journal.close()

    async def fresh() -> None:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(newest_sqlite, f"{folder}/a.sqlite")
            async with Place(f"sqlite:///{folder}/a.sqlite") as place:
                await play(place, Path(folder))

    with capture_logs():
        asyncio.run(fresh())
