"""What a screen shows of a real call, patch by patch, is what the events in the database say, at every point of the call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.live.board import apply
from app.live.hub import Hub
from app.live.model import Board, new_board
from core.clock import ManualClock
from core.db.outbox import EventLog
from core.events.stream import EventStream
from core.ids import CountingIds
from core.journal.flusher import Flusher
from core.journal.journal import Journal
from pbx.store import InteractionProjector
from pbx.switchboard import Switchboard
from tests.suites.core.place import Place
from tests.unit.live.test_hub import BOSS, LI, WANG, Client, Sitting, settle
from tests.unit.pbx.told import STORIES, events
from tests.unit.pbx.truth import ENTRIES, EXTENSIONS

PARTS = 4


def empty() -> Board:
    return new_board(agents=dict.fromkeys(EXTENSIONS, ""), queues=["service"], zone="Asia/Shanghai")


class Owner:
    """The switch's facts go to the journal and to the screens, and from the journal into the database."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder / "controller-1.sqlite", "controller-1")
        self.stream = EventStream(self.journal)
        self.switch = Switchboard(
            node="n1", trunk="trunk", entries=ENTRIES, extensions=EXTENSIONS, events=self.stream, clock=ManualClock()
        )
        self.hub = Hub(empty(), clock=ManualClock(), ids=CountingIds("feed"))
        self._feed = self.stream.subscribe("live", asyncio.Event())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self.hub.run(self._feed))
                yield
                task.cancel()
        finally:
            self.journal.close()

    async def copied(self, flusher: Flusher) -> None:
        """Returns when everything that was told stands in the database."""
        async with asyncio.timeout(15):
            while self.journal.flushed < self.journal.last_seq:
                if not await flusher.flush_once():
                    await asyncio.sleep(0.002)  # the journal's thread is syncing


async def fresh(log: EventLog) -> Hub:
    """A screen that nobody watched until now: made of nothing but the event table."""
    board, position = empty(), 0
    while stored := await log.after(position):
        position = stored[-1].position
        for one in stored:
            board, _ = apply(board, one.event())
    return Hub(board, clock=ManualClock(), ids=CountingIds("feed"))


@pytest.mark.parametrize("story", STORIES)
async def test_the_screen_is_what_the_event_table_says(story: str, place: Place, tmp_path: Path) -> None:
    database = await place.open()
    owner, log = Owner(tmp_path), EventLog(database)
    flusher = Flusher(owner.journal, database, [InteractionProjector()])
    told = events(story)
    shown: list[set[str]] = []
    async with owner.running(), Sitting(owner.hub) as sitting:
        clients: list[tuple[object, Client]] = [(who, await sitting.open(who)) for who in (LI, WANG, BOSS)]
        for part in range(PARTS):
            for event in told[part * len(told) // PARTS : (part + 1) * len(told) // PARTS]:
                owner.switch.on_event(event)
            await owner.copied(flusher)
            await settle()
            clients.append((BOSS, await sitting.open(BOSS)))  # somebody who comes now, and stays
            truth = await fresh(log)
            for who, client in clients:
                assert client.board == truth.snapshot(who)["board"]  # type: ignore[arg-type]
            shown.append({call["state"] for call in clients[2][1].board["calls"].values()})
    assert shown[-1] == set() and set.union(*shown) & {"waiting", "talking"}, "the story was seen in the making"
