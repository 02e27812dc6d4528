"""Quarters of an hour over HTTP: what happened in each, per queue and per agent, with the local clock beside UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field
from sqlalchemy import Table

from core.db.engine import Database
from core.errors import BadInput
from core.http.paging import PageQuery, cursor, read_place
from core.http.routes import Page, Request, Role, Route, Strict
from routing.quarters import store

SUPERVISORS = frozenset({Role.SUPERVISOR})
LONGEST = timedelta(days=31)
TAG = "measures"


class IntervalsQuery(PageQuery):
    """From `from` on, before `to`: moments, of UTC or with an offset; without one they are of the house's clock, or of `zone`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    since: Annotated[datetime, Field(alias="from")]
    until: Annotated[datetime, Field(alias="to")]
    zone: Annotated[str, Field(max_length=60)] = ""


class QueueIntervalsQuery(IntervalsQuery):
    queue: Annotated[str, Field(max_length=80)] = ""


class AgentIntervalsQuery(IntervalsQuery):
    agent: Annotated[str, Field(max_length=20)] = ""


class QueueInterval(Strict):
    """`since` in UTC, `local` by the clock of the zone. Items count where they came, segments where they ended; offered is
    answered + abandoned + overflowed + those who wait still."""

    queue: str
    since: datetime
    local: str
    offered: int
    answered: int
    abandoned: int
    overflowed: int
    answered_in_t: int
    abandoned_in_t: int
    short_abandoned: int
    answered_wait_s: float
    abandoned_wait_s: float
    longest_wait_s: float
    segments: int
    interactions: int
    talk_s: float
    hold_s: float
    wrap_up_s: float


class AgentInterval(Strict):
    """Seconds by state, cut at the interval's edges; segments that ended in it. Time while OFFLINE is nobody's."""

    extension: str
    since: datetime
    local: str
    ready_s: float
    reserved_s: float
    engaged_s: float
    wrap_up_s: float
    not_ready_s: dict[str, float]
    segments: int
    talk_s: float
    hold_s: float
    worked_after_s: float
    ronas: int
    declined: int


class IntervalsHttp:
    def __init__(self, database: Database, zone: ZoneInfo) -> None:
        self._database, self._zone = database, zone

    async def queues(self, request: Request) -> Page[QueueInterval]:
        found, following = await self._rows(request, store.queue_table, "queue", request.query.queue)
        return Page[QueueInterval](items=[QueueInterval(**row) for row in found], next=following)

    async def agents(self, request: Request) -> Page[AgentInterval]:
        found, following = await self._rows(request, store.agent_table, "extension", request.query.agent)
        return Page[AgentInterval](items=[AgentInterval(**row) for row in found], next=following)

    async def _rows(
        self, request: Request, table: Table, key: str, only: str
    ) -> tuple[list[dict[str, Any]], str | None]:
        query: IntervalsQuery = request.query
        zone = self._zone_of(query.zone)
        since, until = _moment(query.since, zone), _moment(query.until, zone)
        if not since < until or until - since > LONGEST:
            raise BadInput("routing:interval-span", "From has to be before to, and at most 31 days.")
        after = read_place(query.after) if query.after else None
        async with self._database.read() as conn:
            found = await store.rows(
                conn, table, key, since, until, only=only, limit=query.limit + 1, after=after
            )  # fmt: skip
        shown = found[: query.limit]
        following = cursor(shown[-1][0].isoformat(), shown[-1][1]) if len(found) > query.limit else None
        return [
            {key: name, "since": at, "local": at.astimezone(zone).isoformat(timespec="minutes"), **figures}
            for at, name, figures in shown
        ], following

    def _zone_of(self, name: str) -> ZoneInfo:
        if not name:
            return self._zone
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise BadInput(
                "routing:zone", f"There is no time zone '{name}'.", hint="Such as Europe/Berlin or Asia/Shanghai."
            ) from error


def _moment(at: datetime, zone: ZoneInfo) -> datetime:
    try:
        return (at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadInput("routing:interval-span", "There is no such moment.") from error


def routes(database: Database, zone: ZoneInfo) -> list[Route]:
    http = IntervalsHttp(database, zone)
    return [
        Route("GET", "/api/intervals", http.queues, "What happened in each queue in each quarter of an hour",
              Page[QueueInterval], query=QueueIntervalsQuery, roles=SUPERVISORS, tag=TAG),
        Route("GET", "/api/intervals/agents", http.agents, "What each agent did in each quarter of an hour",
              Page[AgentInterval], query=AgentIntervalsQuery, roles=SUPERVISORS, tag=TAG),
    ]  # fmt: skip
