"""Both sides of a comparison: a database that was told of calls, a switch's book, a folder of recordings."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, update

from app.reconcile.compare import Places, Report
from app.reconcile.run import Order, reconcile
from core.db.engine import Database
from core.db.outbox import write_events
from core.events import DomainEvent, from_record, pbx, routing, to_record
from core.journal.journal import Journal
from core.journal.projector import Projector
from pbx.cel import BookCall, calls_in
from pbx.store import InteractionProjector, interaction_table
from recordings.store import RecordingProjector, recording_table
from recordings.wav import header
from routing.store import RoutingProjector
from tests.suites.core.place import Place
from tests.unit.pbx.test_cel import ENTRIES, STORIES, lines, told

DAY = told(STORIES[0])[0].at.replace(hour=0, minute=0, second=0, microsecond=0)  # on which the stories were recorded
SINCE, UNTIL = DAY, DAY + timedelta(days=1)
PROJECTORS: list[Projector] = [InteractionProjector(), RoutingProjector(), RecordingProjector()]


def at(second: float) -> datetime:
    return DAY + timedelta(hours=12, seconds=second)


def lines_of(story: str) -> list[str]:
    """The story's lines in the book. Offers are named o1 in every story: here each story has its own."""
    return [text.replace("-o", f"-{STORIES.index(story)}o") for text in lines(story)]


def told_of(story: str) -> list[DomainEvent]:
    """What we told of it live."""
    return [from_record(_renamed(to_record(event), story)) for event in told(story)]


def _renamed(record: dict[str, Any], story: str) -> dict[str, Any]:
    offer_id = f"{STORIES.index(story)}{record.get('offer_id')}"
    return (
        {**record, "offer_id": offer_id, "leg_id": f"{record['interaction_id']}-{offer_id}"}
        if "leg_id" in record
        else record
    )


def wrote(file: Path, moment: datetime) -> None:
    """Makes it a file that was last written to then."""
    os.utime(file, (moment.timestamp(),) * 2)


class Desk:
    """`await play(story)` happens on both sides alike; then one side is changed, and `await compare()` looks."""

    def __init__(self, place: Place, folder: Path, database: Database) -> None:
        self.place, self.folder, self.database = place, folder, database
        self.places = Places(
            book=folder / "book", recordings=folder / "recordings", journals=folder / "journal", trunk="trunk",
            entries=ENTRIES,
        )  # fmt: skip
        for one in (self.places.book, self.places.recordings / "incoming", self.places.journals):
            one.mkdir(parents=True)
        self.written = 0

    @classmethod
    async def open(cls, place: Place, folder: Path) -> Desk:
        place.clock.jump((UNTIL - place.clock.now()).total_seconds())
        return cls(place, folder / "home", await place.open())

    async def tell(self, *events: DomainEvent) -> None:
        """As the journal's flusher does."""
        async with self.database.write() as conn:
            for projector in PROJECTORS:
                await projector.project(conn, events)
            rows = [(self.written + n, to_record(event)) for n, event in enumerate(events, 1)]
            await write_events(conn, "controller-1", rows)
        self.written += len(events)

    def write(self, *texts: str) -> None:
        with (self.places.book / "Master.csv").open("a", encoding="utf-8") as file:
            file.write("".join(texts))

    async def play(self, story: str) -> BookCall:
        """A real call, in the book and told by us; with what routing tells of its talks."""
        self.write(*lines_of(story))
        (call,) = calls_in(self.places.new_book(), lines_of(story))
        await self.tell(*told_of(story), *(segment(call, talk.offer_id) for talk in call.talks))
        return call

    async def play_all(self) -> dict[str, BookCall]:
        return {story: await self.play(story) for story in STORIES}

    def leave_behind(self, *events: DomainEvent) -> None:
        """A process that is gone wrote this down and did not copy it."""
        journal = Journal(self.places.journals / "controller-2.sqlite", "controller-2")
        for event in events:
            journal.emit(event)
        journal.close()

    async def change(self, interaction_id: str, **values: Any) -> None:
        async with self.database.write() as conn:
            await conn.execute(update(interaction_table).where(interaction_table.c.id == interaction_id).values(values))

    async def row(self, interaction_id: str) -> dict[str, Any]:
        rows = {row[0]: row for row in await self.place.rows(interaction_table)}
        return dict(zip((c.name for c in interaction_table.c), rows[interaction_id], strict=True))

    async def record(self, interaction_id: str, *, seconds: float = 2.0, name: str = "r1") -> Path:
        """A stored recording, with its file."""
        path = f"{DAY:%Y/%m/%d}/{name}.wav"
        sound = header(int(seconds * 8000), 8000, 2) + b"\1\0" * int(seconds * 16000)
        file = self.places.recordings / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(sound)
        wrote(file, at(60))
        row = {
            "id": name, "interaction_id": interaction_id, "state": "stored", "reason": "", "path": path,
            "sha256": hashlib.sha256(sound).hexdigest(), "seconds": seconds, "channels": 2, "sample_rate": 8000,
            "size": len(sound), "language": "en", "extensions": ["101"], "created_at": at(50), "stored_at": at(60),
            "legal_hold": False, "speech": "", "speech_reason": "",
        }  # fmt: skip
        async with self.database.write() as conn:
            await conn.execute(insert(recording_table).values(row))
        return file

    async def compare(self, *, repair: bool = False, rotate: bool = False, until: datetime = UNTIL) -> Report:
        order = Order(SINCE, until, repair=repair, rotate=rotate)
        return await reconcile(order, self.database, self.places, PROJECTORS, UTC, settle_s=0.0)

    def everything(self) -> tuple[list[str], dict[str, bytes]]:
        """The database as SQL, and every file by its name."""
        with closing(sqlite3.connect(self.place.url.removeprefix("sqlite:///"))) as db:
            dump = list(db.iterdump())
        return dump, {str(file): file.read_bytes() for file in sorted(self.folder.rglob("*")) if file.is_file()}

    async def kinds(self) -> list[str]:
        return sorted(str(difference.kind) for difference in (await self.compare()).differences)


def segment(call: BookCall, offer_id: str) -> routing.SegmentEnded:
    assert call.ended_at is not None
    return routing.SegmentEnded(
        interaction_id=call.id, at=call.ended_at, offer_id=offer_id, extension="101", queue="service", ring_s=1.0,
        talk_s=call.talk_s, hold_s=0.0, reason="talked",
    )  # fmt: skip


def without(events: Sequence[DomainEvent], *kinds: str) -> list[DomainEvent]:
    return [event for event in events if event.kind not in kinds]


def unseen(events: Sequence[DomainEvent], *, late_s: float = 3.0) -> list[DomainEvent]:
    """As a process tells it that took over and found the call gone."""
    return [
        replace(event, reason="unseen", cause=0, talk_s=0.0, at=event.at + timedelta(seconds=late_s))
        if isinstance(event, pbx.CallEnded)
        else event
        for event in events
    ]
