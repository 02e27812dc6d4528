"""`aftercall reconcile` as a whole: compare, mend when asked, move finished days of the book aside when asked.

Joins the parts; used by the command line and, as a process of its own, by whoever owns the queues at night. Reads only
unless it is asked to mend. Invariant: what is mended is looked at once more before it is told, so that facts which are
just being copied are not told twice.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

import structlog
from sqlalchemy import select

from app.reconcile import journals
from app.reconcile.compare import Comparison, Places, Report, compare_calls
from app.reconcile.mend import Mender
from app.reconcile.ours import PAGE
from app.reconcile.rules import Difference, facts_not_copied
from app.world.plan import WorldPlan
from app.world.process import ProcessId
from core.db.engine import Database
from core.journal.projector import Projector
from core.lease import OWNER, lease_table
from pbx import cel_files

GRACE = timedelta(seconds=30)
SETTLE_S = 6.0  # longer than a flusher waits before it tries again


@dataclass(frozen=True)
class Order:
    """What is asked for. `until` is left out of account itself."""

    since: datetime
    until: datetime
    repair: bool = False
    rotate: bool = False


def places_of(plan: WorldPlan) -> Places:
    dids = plan.dids
    return Places(
        book=plan.folders.book, recordings=plan.folders.recordings, journals=plan.folders.journal, trunk=plan.trunk.user,
        entries={dids.menu: "menu", dids.queue: "queue"},
    )  # fmt: skip


async def reconcile(
    order: Order, database: Database, places: Places, projectors: Sequence[Projector], zone: tzinfo,
    *, settle_s: float = SETTLE_S,
) -> Report:  # fmt: skip
    """Compares, and does what else is ordered. Raises Unavailable when the database does not answer."""
    copied = await _copy_journals(order, database, places, projectors) if order.repair else []
    report = await Comparison(database, places, order.since, order.until).run()
    report.differences += copied
    if order.repair and report.truths:
        owned = await _owned(database)
        if owned:
            await asyncio.sleep(settle_s)
        await _mend(report, database, projectors, owned=owned)
    if order.rotate:
        await asyncio.to_thread(cel_files.rotate, places.book, database.clock.now(), zone)
    return report


async def _owned(database: Database) -> bool:
    """Whether a process that may be alive owns the queues."""
    async with database.read() as conn:
        holder = (await conn.execute(select(lease_table.c.holder).where(lease_table.c.name == OWNER))).scalar() or ""
    return bool(holder) and not ProcessId.holder_is_dead(holder)


async def _copy_journals(
    order: Order, database: Database, places: Places, projectors: Sequence[Projector]
) -> list[Difference]:
    copied = []
    for left in await journals.left_behind(places.journals, database, order.until):
        try:
            await journals.copy(left, database, projectors)
        except sqlite3.Error as error:
            structlog.get_logger().warning("journal_not_copied", file=left.file.name, reason=str(error))
        else:
            copied.append(replace(facts_not_copied(left.file.name, left.rows, left.oldest), mended=True))
    return copied


async def _mend(report: Report, database: Database, projectors: Sequence[Projector], *, owned: bool) -> None:
    """Tells what the book knows better; what has settled by itself meanwhile is no difference any more."""
    mender = Mender(database, projectors)
    for start in range(0, len(report.truths), PAGE):
        page = report.truths[start : start + PAGE]
        books, before = [truth.book for truth in page], {id(it) for truth in page for it in truth.differences}
        still = await compare_calls(database, books)
        await mender.mend(still, owned=owned)
        after = {truth.book.id: truth.differences for truth in await compare_calls(database, books)}
        others = [difference for difference in report.differences if id(difference) not in before]
        about = [difference for truth in still for difference in truth.differences]
        for difference in about:
            same = any(left.kind is difference.kind for left in after[difference.interaction_id])
            others.append(difference if same else replace(difference, mended=True))
        known = {(difference.interaction_id, difference.kind) for difference in about}
        others += [it for left in after.values() for it in left if (it.interaction_id, it.kind) not in known]
        report.differences = others
