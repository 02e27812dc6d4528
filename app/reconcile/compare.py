"""One comparison: walks through the switch's book and through our rows and files, and collects what differs.

What a difference is, is decided in `rules.py`; what is done about it, in `mend.py`. Reads only. Invariants: memory grows
with the calls that are up, with ids and with differences, never with a day's lines or rows; what ended within the last
moments before `until` is left out by whoever chooses `until`; file work runs off the loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from app.reconcile import files, journals, ours, rules
from app.reconcile.mend import Truth
from app.reconcile.rules import Difference, OurCall
from core.db.engine import Database
from pbx import cel_files
from pbx.cel import Book, BookCall

LINES = 2000
LEGS_LEFT = timedelta(minutes=5)
LEGS_OLD = timedelta(days=14)
DEADLINE_S = 60.0  # for one page, read while others use the database


@dataclass(frozen=True)
class Places:
    """Where everything lies: the folder of the book, recordings, journals; whose channels are callers, by which doors."""

    book: Path
    recordings: Path
    journals: Path
    trunk: str
    entries: Mapping[str, str]

    def new_book(self) -> Book:
        return Book(trunk=self.trunk, entries=self.entries)


@dataclass
class Report:
    """What was compared and what differs. `truths` are the calls that can be mended."""

    since: datetime
    until: datetime
    calls: int = 0
    recordings: int = 0
    unreadable: int = 0
    differences: list[Difference] = field(default_factory=list)
    truths: list[Truth] = field(default_factory=list)

    def kinds(self) -> dict[str, int]:
        return dict(Counter(str(difference.kind) for difference in self.differences if not difference.mended))

    @property
    def left(self) -> int:
        """Differences that were not mended."""
        return sum(not difference.mended for difference in self.differences)


async def compare_calls(database: Database, calls: Sequence[BookCall]) -> list[Truth]:
    """These calls of the book against our rows of them, in the same order."""
    async with database.read(deadline_s=DEADLINE_S) as conn:
        known = await ours.calls(conn, [call.id for call in calls])
    return [Truth(call, known.get(call.id), tuple(rules.compare_call(call, known.get(call.id)))) for call in calls]


class Comparison:
    """`report = await Comparison(database, places, since, until).run()`. Raises Unavailable."""

    def __init__(self, database: Database, places: Places, since: datetime, until: datetime) -> None:
        self._database = database
        self._places = places
        self._book = places.new_book()
        self._from = since - ours.LONGEST_CALL
        self.report = Report(since, until)

    async def run(self) -> Report:
        await self._calls()
        await self._calls_of_ours()
        await self._sounds()
        await self._sounds_without_rows()
        await self._legs_left()
        await self._loose_ends()
        return self.report

    # --- calls

    async def _calls(self) -> None:
        lines = cel_files.lines(self._places.book, self._from)
        while (batch := await asyncio.to_thread(self._take, lines)) is not None:
            await self._compare([call for call in batch if self._counts(call)])
        rest = [call for call in self._book.rest() if self._counts(call)]
        for start in range(0, len(rest), ours.PAGE):
            await self._compare(rest[start : start + ours.PAGE])
        self.report.unreadable = self._book.unreadable

    def _take(self, lines: Iterator[str]) -> list[BookCall] | None:
        """The calls that the next lines complete; None when there are no more lines."""
        some = list(islice(lines, LINES))
        return [call for text in some for call in self._book.take_text(text)] if some else None

    def _counts(self, call: BookCall) -> bool:
        """Over within the time that is looked at; or without an end, and here for a while."""
        if call.over_at is None:
            return call.arrived_at < self.report.until
        return self.report.since <= call.over_at < self.report.until

    def _counts_ours(self, truth: Truth) -> bool:
        """Of a call without an end in the book: whether we told one, or it came, within the time that is looked at."""
        ended_at = truth.ours.ended_at if truth.ours is not None else None
        return self.report.since <= (ended_at or truth.book.arrived_at) < self.report.until

    async def _compare(self, calls: Sequence[BookCall]) -> None:
        for truth in await compare_calls(self._database, calls) if calls else ():
            if truth.book.over_at is None and not self._counts_ours(truth):
                continue
            self.report.calls += truth.book.over_at is not None
            self.report.differences += truth.differences
            if any(difference.mendable for difference in truth.differences):
                self.report.truths.append(truth)

    async def _calls_of_ours(self) -> None:
        """Calls that the book should have and has not."""
        begins_at, known = self._book.begins_at, self._book.known
        before_book = 0
        after: tuple[datetime, str] | None = None
        while page := await self._page_of_calls(after):
            after = (page[-1].arrived_at, page[-1].id)
            for call in page:
                if call.id in known:
                    continue
                if begins_at is None or call.arrived_at < begins_at:
                    before_book += 1
                else:
                    self.report.differences.append(rules.unknown_to_switch(call))
        if before_book and (begins_at is None or begins_at > self._from + timedelta(hours=1)):
            word = "no book" if begins_at is None else f"a book that begins {begins_at.isoformat(timespec='seconds')}"
            self.report.differences.append(rules.book_missing(before_book, word))

    async def _page_of_calls(self, after: tuple[datetime, str] | None) -> list[OurCall]:
        async with self._database.read(deadline_s=DEADLINE_S) as conn:
            return await ours.ended_calls(conn, self.report.since, self.report.until, after=after)

    # --- sound

    async def _sounds(self) -> None:
        after = ""
        while True:
            async with self._database.read(deadline_s=DEADLINE_S) as conn:
                page = await ours.stored_sounds(conn, self.report.since, self.report.until, after=after)
            for row, channels in page:
                place = self._places.recordings / row.path
                found = await asyncio.to_thread(files.look_at_sound, place, channels) if row.path else None
                self.report.recordings += 1
                self.report.differences += rules.compare_sound(row, found)
            if not page:
                return
            after = page[-1][0].recording_id

    async def _sounds_without_rows(self) -> None:
        report, folder = self.report, self._places.recordings
        found = files.sounds(folder, report.since, report.until, ours.LONGEST_CALL)
        while some := await asyncio.to_thread(lambda: list(islice(found, ours.PAGE))):
            async with self._database.read(deadline_s=DEADLINE_S) as conn:
                paths = await ours.paths_of(conn, [recording_id for recording_id, _ in some])
            report.differences += [
                rules.file_without_recording(path)
                for recording_id, path in some
                if paths.get(recording_id) != path and await asyncio.to_thread((folder / path).exists)
            ]

    async def _legs_left(self) -> None:
        """Sound of calls that are over, which should have been joined by now."""
        late = self.report.until - LEGS_LEFT
        legs = await asyncio.to_thread(files.legs, self._places.recordings / "incoming", late - LEGS_OLD, late)
        async with self._database.read(deadline_s=DEADLINE_S) as conn:
            known = await ours.calls(conn, list(legs))
        up = {call.id for call in self._book.rest() if call.over_at is None}
        for interaction_id, name in sorted(legs.items()):
            call = known.get(interaction_id)
            ended_at = call.ended_at if call is not None else self.report.since
            if interaction_id not in up and ended_at is not None and ended_at < late:
                self.report.differences.append(rules.file_without_recording(f"incoming/{name}", interaction_id))

    # --- the rest

    async def _loose_ends(self) -> None:
        since, until, found = self.report.since, self.report.until, self.report.differences
        async with self._database.read(deadline_s=DEADLINE_S) as conn:
            found += [rules.unfinished_sound(*it) for it in await ours.unfinished_sounds(conn, since, until)]
            found += [rules.offer_without_outcome(*it) for it in await ours.open_offers(conn, since, until)]
            for row in await ours.facts_set_aside(conn, since, until):
                kind, about = row.record.get("kind", "a fact"), row.record.get("interaction_id", "")
                found.append(rules.fact_set_aside(about, kind, row.reason, row.journal_id, row.seq))
        for left in await journals.left_behind(self._places.journals, self._database, until):
            found.append(rules.facts_not_copied(left.file.name, left.rows, left.oldest))
