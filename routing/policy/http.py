"""Policies and the surge over HTTP: read, checked, tried dry, published, brought back, switched.

Decides who may: supervisors read, check, try and switch the surge; admins publish. Everything else is the desk's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from core.clock import Clock
from core.errors import NotFound
from core.http.paging import PageQuery, cursor, read_cursor
from core.http.problem import Fault, InvalidInput
from core.http.routes import Page, Request, Role, Route, Strict
from core.yaml_text import MAX_BYTES
from routing.book import NEVER_IDLE_S, Book
from routing.policy.desk import MOST_NOTE, PolicyDesk
from routing.policy.document import PolicyRefused, Problem
from routing.policy.dry_run import Change, Present, Side, Situation, Waiting, dry_run
from routing.policy.plain import plain
from routing.policy.schema import schema
from routing.policy.store import Version
from routing.policy.text import to_text
from routing.surge import MOST_S, USUAL_S, Surge, with_surge

TAG = "policies"
MOST_REVISION = 2**31 - 1
SUPERVISORS = frozenset({Role.SUPERVISOR})
ADMINS = frozenset({Role.ADMIN})
SituationNow = Callable[[], Awaitable[Situation]]
Text = Annotated[str, Field(max_length=MAX_BYTES)]
Note = Annotated[str, Field(max_length=MOST_NOTE)]
Revision = Annotated[int, Field(ge=0, le=MOST_REVISION)]


class PolicyHasProblems(InvalidInput):
    """The policy was not published; `errors` name every problem at its path in the text."""

    def __init__(self, refused: PolicyRefused) -> None:
        super().__init__([Fault(at=_at(one)[:200], message=_said(one)[:300]) for one in refused.problems])
        self.error_id, self.message, self.hint = refused.error_id, refused.message, refused.hint


class ProblemView(Strict):
    """`line` and `column` count from 1; 0 = the text as a whole. `path` such as `queues.service.rings[1].lower`."""

    line: int
    column: int
    path: str
    message: str
    suggestion: str


class VersionView(Strict):
    """`rollback_of`: the version whose text was brought back."""

    version: int
    sha256: str
    author: str
    at: datetime
    note: str
    rollback_of: int | None


class VersionTextView(VersionView):
    text: str


class SurgeView(Strict):
    """`until` null = off. `queues`: in which something is otherwise while it is on."""

    on: bool
    until: datetime | None
    left_s: float
    queues: list[str]
    author: str
    since: datetime | None
    note: str


class PolicyView(Strict):
    """`version` 0 and `published` null: nobody has published yet, and the text says what the settings say. `parsed`: every
    key with its value, also those that stand at their default. `fault`: why the newest version is not in force."""

    version: int
    published: VersionView | None
    text: str
    parsed: dict[str, Any]
    surge: SurgeView
    fault: str


class TextBody(Strict):
    """A policy's text (YAML)."""

    text: Text


class CheckView(Strict):
    good: bool
    problems: list[ProblemView]


class PublishBody(Strict):
    """`revision`: the version the text was made from; another one in force by now = 409."""

    text: Text
    revision: Revision
    note: Note = ""


class RollbackBody(Strict):
    """`revision`: the version that is in force, as you know it; another one by now = 409."""

    revision: Revision
    note: Note = ""


class SurgeBody(Strict):
    """`for_s`: how long it stays on from now; it ends by itself."""

    on: bool
    for_s: Annotated[float, Field(gt=0, le=MOST_S)] = USUAL_S
    note: Note = ""


class SideView(Strict):
    """`position` 1 = first. `could_take`: free agents, the best first. `free`, `ever`: how many could now; if they were free.
    `assigned`: who gets it at once. `leaves`: where the caller is sent at once."""

    position: int
    ring: int
    rings: int
    skills: dict[str, int]
    teams: list[str]
    only: str
    points: float
    priority: float
    widens_in_s: float | None
    could_take: list[str]
    free: int
    ever: int
    assigned: str
    leaves: str


class ChangeView(Strict):
    interaction_id: str
    queue: str
    waited_s: float
    changed: bool
    before: SideView
    after: SideView


class SummaryView(Strict):
    """Counts of those who wait now. `stuck_*`: whom nobody at work could take as their ring is."""

    waiting: int
    changed: int
    earlier: int
    later: int
    served_before: int
    served_after: int
    stuck_before: int
    stuck_after: int
    leaving: int
    unknown_queues: list[str]


class DryRunView(Strict):
    """In the order of the new rules; `more`: how many are not shown."""

    summary: SummaryView
    items: list[ChangeView]
    more: int


class SchemaView(Strict):
    """A JSON Schema, as it is."""

    model_config = ConfigDict(extra="allow", frozen=True)


class PolicyHttp:
    """`situation`: who waits and who is at work now, wherever the owner of the queues lives."""

    def __init__(self, desk: PolicyDesk, situation: SituationNow, clock: Clock) -> None:
        self._desk, self._situation, self._clock = desk, situation, clock

    async def current(self, _request: Request) -> PolicyView:
        await self._desk.load()
        desk = self._desk
        text = desk.version.text if desk.version is not None else to_text(desk.document)
        return PolicyView(
            version=desk.number, published=None if desk.version is None else _version(desk.version), text=text,
            parsed=plain(desk.document), surge=self._surge_view(), fault=desk.fault,
        )  # fmt: skip

    async def versions(self, request: Request) -> Page[VersionView]:
        query: PageQuery = request.query
        before = min(max(int(read_cursor(query.after, int)[0]), 0), MOST_REVISION) if query.after else None
        found = await self._desk.versions(limit=query.limit + 1, before=before)
        shown = found[: query.limit]
        following = cursor(shown[-1].number) if len(found) > query.limit else None
        return Page[VersionView](items=[_version(one) for one in shown], next=following)

    async def version(self, request: Request) -> VersionTextView:
        found = await self._desk.version_of(_number(request))
        return VersionTextView(**_version(found).model_dump(), text=found.text)

    async def check(self, request: Request) -> CheckView:
        problems = await self._desk.check(request.body.text)
        return CheckView(good=not problems, problems=[_problem(one) for one in problems])

    async def dry_run(self, request: Request) -> DryRunView:
        document, problems = await self._desk.read(request.body.text)
        if document is None or problems:
            raise PolicyHasProblems(PolicyRefused(problems))
        await self._desk.load()
        situation = await self._situation()
        surge = Surge(document.surge, self._desk.surge.until)
        after = with_surge(document.policy, surge, self._clock.now())
        told = await asyncio.to_thread(dry_run, situation, self._desk.policy, after)
        summary = {**asdict(told.summary), "unknown_queues": list(told.summary.unknown_queues)}
        return DryRunView(
            summary=SummaryView(**summary), items=[_change(one) for one in told.changes], more=told.more
        )  # fmt: skip

    async def publish(self, request: Request) -> PolicyView:
        body: PublishBody = request.body
        try:
            await self._desk.publish(body.text, revision=body.revision, actor=_actor(request), note=body.note)
        except PolicyRefused as refused:
            raise PolicyHasProblems(refused) from refused
        return await self.current(request)

    async def rollback(self, request: Request) -> PolicyView:
        body: RollbackBody = request.body
        number = _number(request)
        try:
            await self._desk.rollback(number, revision=body.revision, actor=_actor(request), note=body.note)
        except PolicyRefused as refused:
            raise PolicyHasProblems(refused) from refused
        return await self.current(request)

    async def schema(self, _request: Request) -> SchemaView:
        return SchemaView(**schema())

    async def surge(self, _request: Request) -> SurgeView:
        await self._desk.load()
        return self._surge_view()

    async def turn_surge(self, request: Request) -> SurgeView:
        body: SurgeBody = request.body
        await self._desk.load()
        if body.on:
            await self._desk.switch_on(actor=_actor(request), for_s=body.for_s, note=body.note)
        else:
            await self._desk.switch_off(actor=_actor(request), note=body.note)
        return self._surge_view()

    def _surge_view(self) -> SurgeView:
        now, surge, switch = self._clock.now(), self._desk.surge, self._desk.switch
        return SurgeView(
            on=surge.is_on(now), until=surge.until if surge.is_on(now) else None, left_s=surge.left_s(now),
            queues=sorted(surge.rules), author=switch.author if switch else "", since=switch.at if switch else None,
            note=switch.note if switch else "",
        )  # fmt: skip


def situation_of(book: Book) -> Situation:
    """Who waits and who is at work, as the owner of the queues knows it."""
    now = book.clock.now()
    return Situation(
        tuple(Waiting(item, book.waited_s(item)) for item in book.waiting.values()),
        tuple(
            Present(
                agent.extension, agent.name, dict(agent.skills), agent.teams, agent.available,
                (now - agent.idle_since).total_seconds() if agent.idle_since is not None else NEVER_IDLE_S,
                book.occupancy.share(agent.extension, book.clock.monotonic()),
            )
            for agent in book.agents.values() if agent.state != "OFFLINE"
        ),
    )  # fmt: skip


def routes(desk: PolicyDesk, situation: SituationNow, clock: Clock) -> list[Route]:
    http = PolicyHttp(desk, situation, clock)
    return [
        Route("GET", "/api/policies/current", http.current, "The rules of routing in force, as text and read",
              PolicyView, roles=SUPERVISORS, tag=TAG),
        Route("GET", "/api/policies", http.versions, "Versions of the policy, newest first", Page[VersionView],
              query=PageQuery, roles=SUPERVISORS, tag=TAG),
        Route("POST", "/api/policies/check", http.check, "What is wrong with a policy's text; nothing is changed", CheckView,
              body=TextBody, roles=SUPERVISORS, tag=TAG),
        Route("POST", "/api/policies/dry-run", http.dry_run, "What a policy would mean for those who wait now", DryRunView,
              body=TextBody, roles=SUPERVISORS, tag=TAG),
        Route("POST", "/api/policies", http.publish, "Publishes a policy; it is in force at once", PolicyView,
              body=PublishBody, roles=ADMINS, errors=(409,), tag=TAG),
        Route("POST", "/api/policies/{n}/rollback", http.rollback, "Publishes the text of an old version again", PolicyView,
              body=RollbackBody, roles=ADMINS, errors=(409,), tag=TAG),
        Route("GET", "/api/policies/schema", http.schema, "The JSON Schema of a policy's text", SchemaView,
              roles=SUPERVISORS, tag=TAG),
        Route("GET", "/api/policies/{n}", http.version, "An old version of the policy, with its text", VersionTextView,
              roles=SUPERVISORS, tag=TAG),
        Route("GET", "/api/surge", http.surge, "Whether the surge is on, and until when", SurgeView, tag=TAG),
        Route("POST", "/api/surge", http.turn_surge, "Switches the surge on for a time, or off", SurgeView,
              body=SurgeBody, roles=SUPERVISORS, errors=(409,), tag=TAG),
    ]  # fmt: skip


def _number(request: Request) -> int:
    """Raises NotFound for what is no number of a version."""
    number = request.path["n"]
    if not (number.isascii() and number.isdecimal() and len(number) <= 9):
        raise NotFound("policy version", number[:20])
    return int(number)


def _actor(request: Request) -> str:
    return f"user:{request.caller.name}"


def _at(problem: Problem) -> str:
    return problem.path or "text"


def _said(problem: Problem) -> str:
    place = f"line {problem.line}, column {problem.column}: " if problem.line else ""
    return f"{place}{problem.message}" + (f"; {problem.suggestion}" if problem.suggestion else "")


def _problem(one: Problem) -> ProblemView:
    return ProblemView(line=one.line, column=one.column, path=one.path, message=one.message, suggestion=one.suggestion)


def _version(one: Version) -> VersionView:
    return VersionView(
        version=one.number, sha256=one.sha256, author=one.author, at=one.at, note=one.note, rollback_of=one.rollback_of
    )


def _change(one: Change) -> ChangeView:
    return ChangeView(
        interaction_id=one.interaction_id, queue=one.queue, waited_s=one.waited_s, changed=one.changed,
        before=_side(one.before), after=_side(one.after),
    )  # fmt: skip


def _side(side: Side) -> SideView:
    return SideView(**{**asdict(side), "teams": list(side.teams), "could_take": list(side.could_take)})
