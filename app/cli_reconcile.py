"""`aftercall reconcile`: our calls against the switch's own book and the recordings' files, told as a table or as JSON lines.

Decides how differences are told and with which exit status: 0 none is left, 1 some are, 2 wrong usage. What a difference
is, is decided in `app/reconcile`.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import typer

from app.cli_home import asynchronously, become_owner

if TYPE_CHECKING:
    from app.reconcile.compare import Report
    from app.reconcile.run import Order

UNITS = {"m": "minutes", "h": "hours", "d": "days"}
MOST_ROWS = 200
DAY = timedelta(days=1)


def moment_of(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """`90m`, `24h`, `7d` ago, or a moment in ISO 8601 (of the house's time zone when it names none)."""
    if span := re.fullmatch(r"(\d{1,6})([mhd])", text):
        return now - timedelta(**{UNITS[span[2]]: int(span[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is no moment; write 24h, 7d or 2026-11-24T03:30") from error
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)


def run(home: Path, since: str, until: str, *, as_json: bool, repair: bool, rotate: bool) -> int:
    """Compares and prints. `since` "" = a day before `until`, `until` "" = half a minute ago. Exit status 0 when no
    difference is left."""
    from app.reconcile.run import GRACE, Order, places_of
    from app.world.plan import read_plan
    from core.clock import SystemClock
    from core.settings import load_settings

    become_owner(home)
    plan = read_plan(home)
    zone = ZoneInfo(load_settings(home / "aftercall.toml").time_zone)
    now = SystemClock().now()
    end = moment_of(until, now, zone) if until else now - GRACE
    order = Order(moment_of(since, now, zone) if since else end - DAY, end, repair=repair, rotate=rotate)
    if order.since >= order.until:
        raise typer.BadParameter("there is nothing to compare: this begins after it ends (the last 30 s are left out)")
    report = asynchronously(_reconcile(order, plan.database, places_of(plan), zone))
    if as_json:
        _tell_json(report)
    else:
        _tell(report, zone)
    return 1 if report.left else 0


async def _reconcile(order: Order, url: str, places: Any, zone: ZoneInfo) -> Report:
    from app.cli_data import existing
    from app.reconcile.compare import DEADLINE_S
    from app.reconcile.run import reconcile
    from core.clock import SystemClock
    from core.db.engine import Database
    from core.ids import new_id
    from core.journal.projector import Projector
    from pbx.store import InteractionProjector
    from recordings.store import RecordingProjector
    from routing.store import RoutingProjector

    database = await Database.open(existing(url), clock=SystemClock(), ids=new_id, pool=1, statement_s=DEADLINE_S)
    try:
        projectors: list[Projector] = [InteractionProjector(), RoutingProjector(), RecordingProjector()]
        return await reconcile(order, database, places, projectors, zone)
    finally:
        await database.close()


def _tell_json(report: Report) -> None:
    """One line for each difference, and one that sums up."""
    for difference in report.differences:
        print(json.dumps(difference.record(), ensure_ascii=False))
    print(json.dumps(summary(report), ensure_ascii=False))


def summary(report: Report) -> dict[str, Any]:
    return {
        "kind": "summary", "since": report.since.isoformat(), "until": report.until.isoformat(), "calls": report.calls,
        "recordings": report.recordings, "differences": report.left, "kinds": report.kinds(),
        "mended": len(report.differences) - report.left, "unreadable_lines": report.unreadable,
    }  # fmt: skip


def _tell(report: Report, zone: ZoneInfo) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if report.differences:
        table = Table("what", "about", "we say", "the switch, or the disk", "likely cause")
        for difference in report.differences[:MOST_ROWS]:
            what = str(difference.kind).replace("_", " ") + (" (mended)" if difference.mended else "")
            about = [difference.interaction_id, *(f"{name} {value}" for name, value in difference.ids.items())]
            words = (what, "\n".join(filter(None, about)), difference.ours, difference.theirs, difference.cause)
            table.add_row(*(Text(word) for word in words))
        console.print(table)
        if (more := len(report.differences) - MOST_ROWS) > 0:
            console.print(f"and {more} more; --json lists all")
    since, until = (moment.astimezone(zone).isoformat(" ", "seconds") for moment in (report.since, report.until))
    mended = len(report.differences) - report.left
    console.print(
        f"{report.left or 'no'} difference{'' if report.left == 1 else 's'}" + (f", {mended} mended" if mended else "")
        + f"; {report.calls} calls and {report.recordings} recordings compared, {since} to {until}"
        + (f"; {report.unreadable} lines of the switch's book could not be read" if report.unreadable else ""),
        markup=False, soft_wrap=True,
    )  # fmt: skip
