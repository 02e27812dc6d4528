"""What the desk of agents' abilities promises, on SQLite and on Postgres alike."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.audit import audit_table
from core.bus.memory import MemoryBus
from core.errors import BadInput, NotFound, Unavailable
from core.events import DomainEvent
from core.events.routing import AgentAbilityChanged
from core.events.stream import EventStream
from routing import store as routing_store
from routing.crew.desk import CrewDesk
from routing.crew.model import AbilityChanged
from routing.model import AgentRecord
from tests.suites.core.place import QUICK_S, Place
from tests.suites.routing.policies import reached

NAMES = {"101": "Li Na", "102": "Wang"}


class Crew:
    """A desk in one process, whom it told the owner of the queues about, and what it told the house."""

    @classmethod
    async def at(cls, place: Place, bus: MemoryBus | None = None, **how: float) -> Crew:
        self, stream = cls(), EventStream()
        self.database = await place.open(stream=stream, **how)
        self.heard = stream.subscribe("test", asyncio.Event())
        self.applied: list[AgentRecord] = []

        async def names() -> dict[str, str]:
            return NAMES

        self.desk = CrewDesk(self.database, place.clock, names, bus=bus, apply=self.applied.append)
        self.records = await self.desk.load()
        return self

    async def change(self, extension: str = "101", **what: Any) -> Any:
        return await self.desk.change(extension, actor="user:chen", **what)

    def told(self) -> list[DomainEvent]:
        return self.heard.take()


class CrewPromises:
    async def test_a_change_is_kept_audited_told_and_in_force_at_once(self, place: Place) -> None:
        crew = await Crew.at(place)
        await crew.change(skills={"service": 3, "express": 1})
        made = await crew.change(teams=["vip"])
        assert (made.skills, made.teams, made.revision) == ({"express": 1, "service": 3}, {"vip"}, 2)
        assert crew.applied[-1] == AgentRecord("101", "Li Na", {"express": 1, "service": 3}, frozenset({"vip"}))
        assert crew.told()[-1] == AgentAbilityChanged(
            at=place.clock.now(),
            extension="101",
            skills={"express": 1, "service": 3},
            teams=("vip",),
            actor="user:chen",
        )
        actor, action, subject, before, after = (
            await place.rows(audit_table, "actor", "action", "subject", "before", "after")
        )[-1]
        assert (actor, action, subject) == ("user:chen", "routing:ability", "agent:101")
        assert (before["teams"], after["teams"], after["skills"]) == ([], ["vip"], {"express": 1, "service": 3})

    async def test_what_was_changed_is_there_after_a_restart_and_so_is_what_was_given_before(
        self, place: Place
    ) -> None:
        crew = await Crew.at(place)
        async with crew.database.write() as conn:
            await routing_store.set_skills(conn, {"102": {"zh": 5}})
        await crew.change(skills={"service": 2}, teams=["vip"])
        await crew.change("102", teams=["vip", "night"])
        again = await Crew.at(place)
        assert again.records == [
            AgentRecord("101", "Li Na", {"service": 2}, frozenset({"vip"})),
            AgentRecord("102", "Wang", {"zh": 5}, frozenset({"vip", "night"})),
        ]

    async def test_the_same_again_changes_and_tells_nothing(self, place: Place) -> None:
        crew = await Crew.at(place)
        first = await crew.change(skills={"service": 2})
        crew.told()
        assert await crew.change(skills={"service": 2}, revision=1) == first
        assert crew.told() == [] and await place.count(audit_table) == 1 and len(crew.applied) == 1

    async def test_of_two_who_change_the_same_agent_the_second_is_refused(self, place: Place) -> None:
        one, other = await Crew.at(place), await Crew.at(place)
        await one.change(skills={"service": 2}, revision=0)
        with pytest.raises(AbilityChanged):
            await other.change(skills={"service": 5}, revision=0)
        assert (await other.desk.ability_of("101")).skills == {"service": 2} and other.applied == []

    async def test_many_at_once_leave_one_after_the_other_or_are_refused(self, place: Place) -> None:
        crew = await Crew.at(place)
        done = await asyncio.gather(
            *(crew.change(skills={"service": 1 + n % 5}) for n in range(6)), return_exceptions=True
        )
        made = [one for one in done if not isinstance(one, AbilityChanged)]
        assert made and not any(isinstance(one, BaseException) for one in made)
        kept = await crew.desk.ability_of("101")
        assert kept.revision == await place.count(audit_table) and crew.applied[-1].skills == kept.skills

    async def test_an_owner_elsewhere_hears_of_it(self, place: Place) -> None:
        bus = MemoryBus()
        here, owner = await Crew.at(place, bus), await Crew.at(place, bus)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(owner.desk.run())
            await here.change(skills={"service": 4})
            await here.change("102", teams=["vip"])
            await reached(lambda: len(owner.applied) >= 2)
            running.cancel()
        assert [(one.extension, dict(one.skills), one.teams) for one in owner.applied] == [
            ("101", {"service": 4}, frozenset()), ("102", {}, frozenset({"vip"})),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("what", "error_id"),
        [
            ({"skills": {"service": 6}}, "routing:skill-level"),
            ({"skills": {"service": 0}}, "routing:skill-level"),
            ({"skills": {"two words": 1}}, "routing:skill-name"),
            ({"teams": ["-"]}, "routing:team-name"),
            ({"teams": [f"t{n}" for n in range(101)]}, "routing:team-many"),
        ],
    )
    async def test_what_cannot_be_is_refused_with_what_to_do(
        self, place: Place, what: dict[str, Any], error_id: str
    ) -> None:
        crew = await Crew.at(place)
        with pytest.raises(BadInput) as refused:
            await crew.change(**what)
        assert refused.value.error_id == error_id and crew.told() == []

    async def test_who_has_no_phone_here_is_not_found(self, place: Place) -> None:
        crew = await Crew.at(place)
        with pytest.raises(NotFound):
            await crew.change("999", skills={"service": 1})
        with pytest.raises(NotFound):
            await crew.desk.ability_of("999")

    async def test_without_the_database_nothing_changes(self, place: Place) -> None:
        crew = await Crew.at(place, statement_s=QUICK_S)
        async with place.locked(routing_store.skill_table.name):
            with pytest.raises(Unavailable):
                await crew.change(skills={"service": 1})
        assert crew.applied == [] and crew.told() == []
