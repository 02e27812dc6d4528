"""What the desk of policies promises, on SQLite and on Postgres alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import insert, select

from core.audit import audit_table, verify
from core.bus.memory import MemoryBus
from core.db.engine import Database
from core.errors import BadInput, NotFound, Unavailable
from core.events import DomainEvent
from core.events.routing import PolicyPublished, SurgeChanged
from core.events.stream import EventStream
from routing import store as routing_store
from routing.policy import desk as desk_module
from routing.policy import store
from routing.policy.desk import ENDED, PolicyChanged, PolicyDesk
from routing.policy.document import Document, PolicyRefused
from routing.policy.model import Policy, QueuePolicy
from routing.policy.store import Version
from routing.policy.text import sha256_of
from tests.suites.core.place import QUICK_S, Place
from tests.unit.routing.policy.documents import SAMPLE

FALLBACK = Document(Policy({"service": QueuePolicy("service", {"service": 1}, wrap_up_s=7)}))
FIRST = "queues: {service: {wrap_up_s: 20}}\nsurge: {service: {max_waiting: 9}}\n"
SECOND = "queues: {service: {wrap_up_s: 30}, express: {}}\nsurge: {service: {max_waiting: 9}}\n"


class Office:
    """A desk, what it put into force, and what it told."""

    def __init__(self, database: Database, stream: EventStream, place: Place, bus: MemoryBus | None = None) -> None:
        self.database = database
        self.heard = stream.subscribe("test", asyncio.Event())
        self.applied: list[Policy] = []
        self.desk = PolicyDesk(database, place.clock, FALLBACK, apply=self.applied.append, bus=bus)

    @classmethod
    async def at(cls, place: Place, bus: MemoryBus | None = None, **how: float) -> Office:
        stream = EventStream()
        office = cls(await place.open(stream=stream, **how), stream, place, bus)
        await office.desk.load()
        return office

    def told(self) -> list[DomainEvent]:
        return self.heard.take()

    async def publish(self, text: str, revision: int, **more: Any) -> Version:
        return await self.desk.publish(text, revision=revision, actor="user:chen", **more)


async def audits(place: Place) -> list[tuple[Any, ...]]:
    return await place.rows(audit_table, "actor", "action", "subject", "before", "after")


@asynccontextmanager
async def running(*offices: Office) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(office.desk.run()) for office in offices]
        yield
        for task in tasks:
            task.cancel()


async def reached(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


class PolicyPromises:
    async def test_until_anybody_publishes_the_rules_are_those_of_the_settings(self, place: Place) -> None:
        office = await Office.at(place)
        assert office.applied == [FALLBACK.policy] and office.desk.number == 0

    async def test_a_published_policy_is_in_force_told_and_audited_with_what_it_changes(self, place: Place) -> None:
        office = await Office.at(place)
        made = await office.publish(FIRST, 0, note="longer wrap-up")
        assert (made.number, made.text, made.sha256, made.author) == (1, FIRST, sha256_of(FIRST), "user:chen")
        assert [policy.version for policy in office.applied] == [0, 1]
        assert office.applied[-1].queues["service"].wrap_up_s == 20
        (event,) = office.told()
        assert event == PolicyPublished(
            at=place.clock.now(), version=1, sha256=made.sha256, actor="user:chen", note="longer wrap-up"
        )
        ((actor, action, subject, before, after),) = await audits(place)
        assert (actor, action, subject) == ("user:chen", "routing:publish-policy", "policy:1")
        assert before["values"]["queues.service.wrap_up_s"] == 7 and after["values"]["queues.service.wrap_up_s"] == 20
        assert "queues.service.ring_s" not in after["values"], "what stays the same is not listed"
        async with office.database.read() as conn:
            assert await verify(conn) is None

    async def test_a_text_with_a_problem_is_never_published(self, place: Place) -> None:
        office = await Office.at(place)
        with pytest.raises(PolicyRefused):
            await office.publish("queues: {service: {wrap_up: 20}}", 0)
        assert await place.count(store.policy_table) == 0 and office.told() == [] and await audits(place) == []
        assert office.applied == [FALLBACK.policy]

    async def test_skills_that_no_agent_has_are_refused_and_can_be_declared(self, place: Place) -> None:
        office = await Office.at(place)
        async with office.database.write() as conn:
            await routing_store.set_skills(conn, {"101": {"service": 3}})
        with pytest.raises(PolicyRefused, match="1 problem"):
            await office.publish("queues: {service: {skills: {servce: 1}}}", 0)
        assert (await office.publish("skills: [new]\nqueues: {service: {skills: {service: 2, new: 1}}}", 0)).number == 1

    async def test_of_two_who_publish_on_the_same_version_the_second_is_refused(self, place: Place) -> None:
        one, other = await Office.at(place), await Office.at(place)
        await one.publish(FIRST, 0)
        with pytest.raises(PolicyChanged) as caught:
            await other.publish(SECOND, 0)
        assert caught.value.status == 409 and await place.count(store.policy_table) == 1
        made = await asyncio.gather(one.publish(SECOND, 1), other.publish(SECOND + "#\n", 1), return_exceptions=True)
        assert sorted(type(it).__name__ for it in made) == ["PolicyChanged", "Version"]

    async def test_the_text_in_force_published_again_is_no_new_version(self, place: Place) -> None:
        office = await Office.at(place)
        await office.publish(FIRST, 0)
        assert (await office.publish(FIRST, 0)).number == 1, "whoever lost the answer may ask again"
        assert await place.count(store.policy_table) == 1 and len(office.told()) == 1

    async def test_an_old_version_comes_back_as_a_new_one(self, place: Place) -> None:
        office = await Office.at(place)
        await office.publish(FIRST, 0)
        await office.publish(SECOND, 1)
        made = await office.desk.rollback(1, revision=2, actor="user:root", note="too slow")
        assert (made.number, made.text, made.rollback_of) == (3, FIRST, 1)
        assert office.applied[-1].queues.keys() == {"service"}
        assert [version.number for version in await office.desk.versions(limit=9)] == [3, 2, 1]
        assert [version.number for version in await office.desk.versions(limit=1, before=3)] == [2]
        with pytest.raises(NotFound):
            await office.desk.rollback(9, revision=3, actor="user:root")
        told = office.told()[-1]
        assert isinstance(told, PolicyPublished) and told.rollback_of == 1

    async def test_a_new_process_begins_with_the_newest_version(self, place: Place) -> None:
        await (await Office.at(place)).publish(FIRST, 0)
        later = await Office.at(place)
        assert [policy.version for policy in later.applied] == [1]

    async def test_a_version_that_this_release_cannot_read_leaves_the_rules_and_says_so(self, place: Place) -> None:
        office = await Office.at(place)
        await office.publish(FIRST, 0)
        newer = Version(2, "queues: {service: {teleport: true}}", "x", "user:chen", place.clock.now())
        async with office.database.write() as conn:
            await store.add_version(conn, newer)
        await office.desk.load()
        assert office.desk.policy.version == 1 and "'teleport' is not a key" in office.desk.fault
        await office.publish(SECOND, 2)
        assert office.desk.policy.version == 3 and office.desk.fault == ""

    async def test_what_one_process_publishes_is_put_into_force_in_the_others_at_once(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk_module, "LOOK_S", 60.0)
        bus = MemoryBus()
        one, other = await Office.at(place, bus), await Office.at(place, bus)
        async with running(one, other):
            await asyncio.sleep(0.05)
            await one.publish(FIRST, 0)
            await reached(lambda: other.applied[-1].version == 1)
            await other.desk.switch_on(actor="user:chen")
            await reached(lambda: one.applied[-1].queues["service"].max_waiting == 9)

    async def test_without_a_bus_it_is_found_at_the_next_look(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk_module, "LOOK_S", 0.05)
        one, other = await Office.at(place), await Office.at(place)
        async with running(other):
            await one.publish(FIRST, 0)
            await reached(lambda: other.applied[-1].version == 1)
        assert other.told() == [], "told once, by whoever published"

    async def test_a_database_that_is_away_leaves_the_rules_and_is_read_when_it_is_back(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk_module, "LOOK_S", 0.05)
        one = await Office.at(place)
        await one.publish(FIRST, 0)
        broken = one.database.read

        def away(**_how: Any) -> Any:
            raise Unavailable("database")

        monkeypatch.setattr(one.database, "read", away)
        async with running(one):
            await asyncio.sleep(0.2)
            with pytest.raises(Unavailable):
                await one.publish(SECOND, 1)
            monkeypatch.setattr(one.database, "read", broken)
            other = await Office.at(place)
            await other.publish(SECOND, 1)
            await reached(lambda: one.applied[-1].version == 2)
        assert [policy.version for policy in one.applied] == [0, 1, 2]

    async def test_nothing_is_told_or_in_force_when_the_commit_fails(self, place: Place) -> None:
        office = await Office.at(place, statement_s=QUICK_S)
        async with place.locked(store.policy_table.name):
            with pytest.raises(Unavailable):
                await office.publish(FIRST, 0)
        assert office.told() == [] and office.applied == [FALLBACK.policy]

    async def test_the_surge_is_switched_audited_and_told_and_ends_by_itself_once(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(desk_module, "LOOK_S", 0.05)
        one, other = await Office.at(place), await Office.at(place)
        await one.publish(FIRST, 0)
        one.told()
        async with running(one, other):
            switch = await one.desk.switch_on(actor="user:chen", for_s=600, note="sale")
            assert switch.until is not None and (switch.until - place.clock.now()).total_seconds() == 600
            assert one.applied[-1].queues["service"].max_waiting == 9
            await reached(lambda: other.applied[-1].queues["service"].max_waiting == 9)
            place.clock.advance(599)
            await asyncio.sleep(0.2)
            assert one.desk.surge.is_on(place.clock.now())
            place.clock.advance(1)
            for office in (one, other):
                await reached(lambda office=office: office.applied[-1].queues["service"].max_waiting == 0)
            await reached(lambda: one.desk.switch is not None and one.desk.switch.number == 2)
            await reached(lambda: other.desk.switch is not None and other.desk.switch.number == 2)
            await asyncio.sleep(0.2)
        told = [*one.told(), *other.told()]
        assert [(e.on, e.actor) for e in told if isinstance(e, SurgeChanged)] == [(True, "user:chen"), (False, ENDED)]
        rows = [row for row in await audits(place) if row[1] == "routing:surge"]
        assert [(actor, before["until"], after["until"]) for actor, _, _, before, after in rows] == [
            ("user:chen", None, switch.until.isoformat(timespec="milliseconds")),
            (ENDED, switch.until.isoformat(timespec="milliseconds"), None),
        ]

    async def test_a_surge_can_be_prolonged_and_ended_by_hand(self, place: Place) -> None:
        office = await Office.at(place)
        with pytest.raises(BadInput, match="does not say what is otherwise"):
            await office.desk.switch_on(actor="user:chen")
        assert await office.desk.switch_off(actor="user:chen") is None
        await office.publish(FIRST, 0)
        await office.desk.switch_on(actor="user:chen", for_s=60)
        place.clock.advance(30)
        await office.desk.switch_on(actor="user:chen", for_s=60)
        assert office.desk.surge.left_s(place.clock.now()) == 60
        later = await Office.at(place)
        assert later.applied[-1].queues["service"].max_waiting == 9, "a surge survives a restart"
        await office.desk.switch_off(actor="user:chen")
        assert office.applied[-1].queues["service"].max_waiting == 0
        with pytest.raises(BadInput):
            await office.desk.switch_on(actor="user:chen", for_s=86_401)

    async def test_rows_are_added_and_never_changed(self, place: Place) -> None:
        office = await Office.at(place)
        await office.publish(FIRST, 0)
        async with office.database.write() as conn:
            assert not await store.add_version(conn, Version(1, "other", "y", "user:x", place.clock.now()))
            assert (await conn.execute(select(store.policy_table.c.text))).scalar() == FIRST
            await conn.execute(insert(store.policy_table).values(vars(Version(2, SECOND, "z", "u", place.clock.now()))))
            newest = await store.newest_version(conn)
            assert newest is not None and newest.number == 2

    async def test_the_sample_can_be_published_in_a_house_without_agents(self, place: Place) -> None:
        office = await Office.at(place)
        assert (await office.publish(SAMPLE, 0)).number == 1
