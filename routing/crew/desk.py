"""What agents can do, in this process: read at start, changed by people, in force at once wherever the queues are owned.

The shell around `model.py` and `store.py`; knows no queue and no caller: the owner of the queues is told by `apply`.
Invariants: nothing is told or applied before it is committed; of two who change the same agent on the same revision the
second is refused; a database that is away changes nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

from core.bus.lookout import Lookout
from core.bus.model import Bus
from core.clock import Clock
from core.db.engine import Database
from core.db.unit_of_work import UnitOfWork
from core.errors import NotFound
from core.events.routing import AgentAbilityChanged
from routing.crew import store
from routing.crew.model import Ability, AbilityChanged, check_skills, check_teams
from routing.model import AgentRecord

TOPIC = "crew"  # on the bus: "look now"
LOOK_S = 2.0
Names = Callable[[], Awaitable[Mapping[str, str]]]


class CrewDesk:
    """`await load()` once; `run()` for ever. `names`: the people who have a phone, by extension. `apply` is called with each
    agent whose abilities have become others."""

    def __init__(
        self, database: Database, clock: Clock, names: Names, *, bus: Bus | None = None,
        apply: Callable[[AgentRecord], None] | None = None,
    ) -> None:  # fmt: skip
        self.apply = apply
        self._database, self._clock, self._names, self._bus = database, clock, names, bus
        self._known: dict[str, int] = {}  # extension → the revision in force here
        self._lookout = Lookout(TOPIC, bus)

    async def load(self) -> list[AgentRecord]:
        """All agents as the database knows them, in order of their extensions. Raises Unavailable."""
        names = await self._names()
        async with self._database.read() as conn:
            known = await store.abilities(conn)
        self._known = {extension: ability.revision for extension, ability in known.items()}
        return [_record(known.get(extension, Ability(extension)), names) for extension in sorted(names)]

    async def run(self) -> None:
        """Looks whether others have changed somebody, when told so and every `LOOK_S`."""
        await self._lookout.run(self._look, lambda: LOOK_S)

    async def _look(self) -> None:
        async with self._database.read() as conn:
            if await store.changes(conn) == sum(self._known.values()):
                return
            found = await store.abilities(conn)
        names = await self._names()
        for _, ability in sorted(found.items()):
            self._take(ability, names)

    def _take(self, ability: Ability, names: Mapping[str, str]) -> None:
        extension = ability.extension
        if ability.revision <= self._known.get(extension, 0):
            return
        self._known[extension] = ability.revision
        if self.apply is not None and extension in names:
            self.apply(_record(ability, names))

    # --- what people ask and do

    async def ability_of(self, extension: str) -> Ability:
        """Raises NotFound for who has no phone here."""
        if extension not in await self._names():
            raise NotFound("agent", extension)
        async with self._database.read() as conn:
            return (await store.abilities(conn, [extension])).get(extension, Ability(extension))

    async def all(self) -> list[Ability]:
        """Of everybody who has a phone."""
        names = await self._names()
        async with self._database.read() as conn:
            known = await store.abilities(conn)
        return [known.get(extension, Ability(extension)) for extension in sorted(names)]

    async def change(
        self, extension: str, *, actor: str, skills: Mapping[str, int] | None = None,
        teams: Iterable[str] | None = None, revision: int | None = None,
    ) -> Ability:  # fmt: skip
        """These skills, or these teams, and no others, from now on. `revision`: what it was made from (None = whatever there
        is). The same again is no change. Raises NotFound, BadInput, AbilityChanged, Unavailable."""
        asked_skills = None if skills is None else check_skills(skills)
        asked_teams = None if teams is None else check_teams(teams)
        names = await self._names()
        if extension not in names:
            raise NotFound("agent", extension)
        async with self._database.unit(actor) as unit:
            before = (await store.abilities(unit.conn, [extension])).get(extension, Ability(extension))
            if revision is not None and revision != before.revision:
                raise AbilityChanged(extension, before.revision)
            made = replace(
                before, skills=before.skills if asked_skills is None else asked_skills,
                teams=before.teams if asked_teams is None else asked_teams,
            )  # fmt: skip
            if made == before:
                return before
            made = replace(made, revision=before.revision + 1)
            await self._write(unit, before, made)
        self._take(made, names)
        if self._bus is not None:
            self._bus.publish(TOPIC, {"extension": extension})
        return made

    async def _write(self, unit: UnitOfWork, before: Ability, made: Ability) -> None:
        if not await store.save(unit.conn, made):
            raise AbilityChanged(made.extension, made.revision)
        await unit.audit("routing:ability", f"agent:{made.extension}", before=_told(before), after=_told(made))
        unit.emit(AgentAbilityChanged(
            at=self._clock.now(), extension=made.extension, skills=dict(made.skills), teams=tuple(sorted(made.teams)),
            actor=unit.actor,
        ))  # fmt: skip


def _record(ability: Ability, names: Mapping[str, str]) -> AgentRecord:
    return AgentRecord(ability.extension, names[ability.extension], ability.skills, ability.teams)


def _told(ability: Ability) -> dict[str, object]:
    return {"skills": dict(ability.skills), "teams": sorted(ability.teams), "revision": ability.revision}
