"""What agents can do over HTTP: their skills and teams, and all there are with who has them and which queue asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated

from pydantic import Field

from core.http.routes import Page, Request, Role, Route, Strict
from core.prompts.catalogue import LANGUAGES
from routing.crew.desk import CrewDesk
from routing.crew.model import MOST, Ability
from routing.http import own_or_supervised
from routing.policy.document import Document

Name = Annotated[str, Field(min_length=1, max_length=64)]
Level = Annotated[int, Field(ge=1, le=5)]
Revision = Annotated[int | None, Field(ge=0, le=2_000_000_000)]
SUPERVISORS = frozenset({Role.SUPERVISOR})
TAG = "routing"


class SkillsBody(Strict):
    """All skills of the agent, by name, with a level from 1 to 5; what is left out is taken away. `revision`: what it was made
    from; without it, whatever somebody else has done meanwhile is replaced."""

    skills: Annotated[dict[Name, Level], Field(max_length=MOST)]
    revision: Revision = None


class TeamsBody(Strict):
    """All teams of the agent."""

    teams: Annotated[list[Name], Field(max_length=MOST)]
    revision: Revision = None


class SkillsView(Strict):
    extension: str
    skills: dict[str, int]
    revision: int


class TeamsView(Strict):
    extension: str
    teams: list[str]
    revision: int


class SkillView(Strict):
    """`agents`: who has it, extension → level. `queues`: whose rules ask for it. `declared`: named in the rules beforehand."""

    name: str
    agents: dict[str, int]
    queues: list[str]
    declared: bool


class TeamView(Strict):
    """`queues`: which it serves, or helps after a while."""

    name: str
    agents: list[str]
    queues: list[str]
    declared: bool


class CrewHttp:
    def __init__(self, desk: CrewDesk, rules: Callable[[], Document]) -> None:
        self._desk, self._rules = desk, rules

    async def skills(self, _request: Request) -> Page[SkillView]:
        crew, rules = await self._desk.all(), self._rules()
        queues = _by_name(
            {
                name: (
                    *queue.skills,
                    *(language for language in LANGUAGES if queue.by_language and language not in queue.skills),
                )
                for name, queue in rules.policy.queues.items()
            }
        )
        names = sorted({*(skill for one in crew for skill in one.skills), *queues, *rules.skills})
        return Page[SkillView](items=[
            SkillView(
                name=name, agents={one.extension: one.skills[name] for one in crew if name in one.skills},
                queues=queues.get(name, []), declared=name in rules.skills,
            )
            for name in names
        ])  # fmt: skip

    async def teams(self, _request: Request) -> Page[TeamView]:
        crew, rules = await self._desk.all(), self._rules()
        queues = _by_name({
            name: queue.teams.union(*(ring.teams for ring in queue.rings)) for name, queue in rules.policy.queues.items()
        })  # fmt: skip
        names = sorted({*(team for one in crew for team in one.teams), *queues, *rules.teams})
        return Page[TeamView](items=[
            TeamView(
                name=name, agents=[one.extension for one in crew if name in one.teams], queues=queues.get(name, []),
                declared=name in rules.teams,
            )
            for name in names
        ])  # fmt: skip

    async def skills_of(self, request: Request) -> SkillsView:
        return _skills(await self._desk.ability_of(_asked(request)))

    async def teams_of(self, request: Request) -> TeamsView:
        return _teams(await self._desk.ability_of(_asked(request)))

    async def set_skills(self, request: Request) -> SkillsView:
        body: SkillsBody = request.body
        return _skills(await self._desk.change(
            request.path["ext"], skills=body.skills, revision=body.revision, actor=_actor(request)
        ))  # fmt: skip

    async def set_teams(self, request: Request) -> TeamsView:
        body: TeamsBody = request.body
        return _teams(await self._desk.change(
            request.path["ext"], teams=body.teams, revision=body.revision, actor=_actor(request)
        ))  # fmt: skip


def routes(desk: CrewDesk, rules: Callable[[], Document]) -> list[Route]:
    """`rules`: the document in force now."""
    http = CrewHttp(desk, rules)
    return [
        Route("GET", "/api/skills", http.skills, "Skills there are: who has them, which queues ask for them",
              Page[SkillView], roles=SUPERVISORS, tag=TAG),
        Route("GET", "/api/teams", http.teams, "Teams there are: who is in them, which queues they serve",
              Page[TeamView], roles=SUPERVISORS, tag=TAG),
        Route("GET", "/api/agents/{ext}/skills", http.skills_of, "What this agent can do, with levels", SkillsView, tag=TAG),
        Route("PUT", "/api/agents/{ext}/skills", http.set_skills, "Changes what this agent can do, at once", SkillsView,
              body=SkillsBody, roles=SUPERVISORS, errors=(409,), tag=TAG),
        Route("GET", "/api/agents/{ext}/teams", http.teams_of, "The teams of this agent", TeamsView, tag=TAG),
        Route("PUT", "/api/agents/{ext}/teams", http.set_teams, "Changes the teams of this agent, at once", TeamsView,
              body=TeamsBody, roles=SUPERVISORS, errors=(409,), tag=TAG),
    ]  # fmt: skip


def _asked(request: Request) -> str:
    return own_or_supervised(request, "You may ask only about yourself.")


def _actor(request: Request) -> str:
    return f"user:{request.caller.name}"


def _skills(one: Ability) -> SkillsView:
    return SkillsView(extension=one.extension, skills=dict(one.skills), revision=one.revision)


def _teams(one: Ability) -> TeamsView:
    return TeamsView(extension=one.extension, teams=sorted(one.teams), revision=one.revision)


def _by_name(asked: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Which queues name what."""
    found: dict[str, list[str]] = {}
    for queue, names in sorted(asked.items()):
        for name in names:
            found.setdefault(name, []).append(queue)
    return found
