"""After a time when nobody of ours heard the switch: what the switch's own book says of it is told, soon after.

Hears of ends that nobody saw, and of links that come (back) up; reads only what the book has of those calls and of that
time. Decides when to look; what is told is decided in `mend.py`. Invariants: runs for the owner of the queues alone; how a
call ended is told after seconds; that there was a call nobody told of, only when whoever may have heard of it has had the
time to copy what they wrote down, and the call was over before the link was up; a database that is away is asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

import structlog

from app.reconcile import ours
from app.reconcile.compare import Places, compare_calls
from app.reconcile.mend import Mender
from app.reconcile.rules import UNSEEN, Kind
from core.db.engine import Database
from core.errors import Unavailable
from core.events.pbx import CallEnded, SwitchLinkChanged
from core.events.stream import EventStream
from core.journal.projector import Projector
from core.metrics import Metrics
from pbx import cel_files
from pbx.cel import BookCall

WAIT_S = 3.0  # the switch has written its line long before; what was heard is being copied
LATE_S = 30.0  # a process that froze is killed, started again, and has copied what it had written down
AGAIN_S = 10.0
FLUSH_S = 15.0
PART = 500  # lines read in one go, so that calls never wait for it
BREATH_S = 0.02
BEFORE = timedelta(minutes=1)


class Gaps:
    """`await begin()` before the first fact is told, then `run()` for ever. `flushed` waits until what was told until now
    stands in the database."""

    def __init__(
        self, *, database: Database, projectors: Sequence[Projector], places: Places, stream: EventStream,
        flushed: Callable[[], Awaitable[None]], metrics: Metrics, wait_s: float = WAIT_S, late_s: float = LATE_S,
        again_s: float = AGAIN_S,
    ) -> None:  # fmt: skip
        self._database = database
        self._places = places
        self._flushed = flushed
        self._mender = Mender(database, projectors)
        self._feed = stream.subscribe("gaps", asyncio.Event(), only=("CallEnded", "SwitchLinkChanged"))
        self._wait_s, self._late_s, self._again_s = wait_s, late_s, again_s
        self._unseen_end, self._linked = asyncio.Event(), asyncio.Event()
        self._deaf_since: datetime | None = None
        self._linked_at: datetime | None = None
        self._mended = metrics.counter("calls_mended", "Calls whose record was mended from the switch's own book")

    async def begin(self) -> None:
        """Finds out since when nobody may have listened: since the newest call anybody of ours told of."""
        async with self._database.read() as conn:
            newest = await ours.newest_arrival(conn)
        self._deaf_since = newest - BEFORE if newest is not None else self._database.clock.now()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._ever(self._unseen_end, self._wait_s, self.look_for_ends))
            group.create_task(self._ever(self._linked, self._late_s, self.look_for_calls))

    async def _listen(self) -> None:
        async for event in self._feed:
            if isinstance(event, CallEnded) and event.reason in UNSEEN:
                self._unseen_end.set()
            elif isinstance(event, SwitchLinkChanged) and event.up:
                self._linked_at = event.at
                self._unseen_end.set()
                self._linked.set()
            elif isinstance(event, SwitchLinkChanged):
                self._deaf_since, self._linked_at = self._deaf_since or event.at - BEFORE, None

    async def _ever(self, news: asyncio.Event, wait_s: float, look: Callable[[], Awaitable[int]]) -> None:
        while True:
            await news.wait()
            await asyncio.sleep(wait_s)
            news.clear()
            try:
                mended = await look()
            except (Unavailable, TimeoutError, OSError) as error:
                structlog.get_logger().warning("gap_not_mended", reason=str(error) or type(error).__name__)
                await asyncio.sleep(self._again_s)
                news.set()
            except Exception as error:  # the night finds it, too; calls do not suffer for a book
                structlog.get_logger().error("gap_not_mended", reason=repr(error))
            else:
                if mended:
                    structlog.get_logger().info("gap_mended", calls=mended)
                    self._mended.inc(mended)

    async def look_for_ends(self) -> int:
        """Mends the ends that nobody saw. Returns of how many calls. Raises Unavailable, TimeoutError, OSError."""
        await self._copied()
        since = self._database.clock.now() - ours.LONGEST_CALL
        async with self._database.read() as conn:
            calls = await ours.unseen_calls(conn, since)
        if not calls:
            return 0
        books = await self._read(min(call.arrived_at for call in calls) - BEFORE, {call.id for call in calls})
        return await self._mend(books, {Kind.REASON_UNSEEN})

    async def look_for_calls(self) -> int:
        """Tells of calls that were over before the link was up, and of which nobody told, or not the end. Returns how many.
        Raises Unavailable, TimeoutError, OSError."""
        deaf_since, linked_at = self._deaf_since, self._linked_at
        if deaf_since is None or linked_at is None:
            return 0
        self._deaf_since = None  # the link may go away again while we look
        try:
            await self._copied()
            books = await self._read(max(deaf_since, self._database.clock.now() - ours.LONGEST_CALL))
            over = [book for book in books if book.over_at is not None and book.over_at < linked_at]
            return await self._mend(over, {Kind.CALL_UNKNOWN_TO_US, Kind.END_MISSING})
        except BaseException:
            self._deaf_since = deaf_since
            raise

    async def _copied(self) -> None:
        async with asyncio.timeout(FLUSH_S):
            await self._flushed()

    async def _mend(self, books: Sequence[BookCall], kinds: Collection[Kind]) -> int:
        mended = 0
        for start in range(0, len(books), ours.PAGE):
            truths = await compare_calls(self._database, books[start : start + ours.PAGE])
            wanted = [truth for truth in truths if any(it.kind in kinds for it in truth.differences)]
            mended += await self._mender.mend(wanted, owned=True)
        return mended

    async def _read(self, since: datetime, about: Collection[str] = ()) -> list[BookCall]:
        """The calls of the book whose arrival stands behind `since`."""
        book, lines = self._places.new_book(), cel_files.lines(self._places.book, since, about=about)

        def take(some: Iterator[str]) -> list[BookCall] | None:
            texts = list(islice(some, PART))
            return [call for text in texts for call in book.take_text(text)] if texts else None

        found: list[BookCall] = []
        while (part := await asyncio.to_thread(take, lines)) is not None:
            found += part
            await asyncio.sleep(BREATH_S)
        return [*found, *book.rest()]
