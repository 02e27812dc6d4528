"""Agents' skills and teams, changed while callers wait; and what the desk of them promises, on SQLite."""

from __future__ import annotations

from routing.model import AgentRecord
from tests.suites.core.place import Place
from tests.suites.routing.crew import CrewPromises
from tests.unit.core.conftest import newest_sqlite, place
from tests.unit.routing.house import house, queue, record
from tests.virtual import virtual_time

__all__ = ["Place", "newest_sqlite", "place"]


class TestCrew(CrewPromises): ...


@virtual_time
async def test_a_caller_who_waits_is_served_as_soon_as_an_agent_is_given_the_skill() -> None:
    async with house("101", agents=[record("101", other=1)]) as it:
        it.switch.arrive("a")
        await it.live(5)
        assert "a" in it.acd.book.waiting
        it.acd.add_agent(AgentRecord("101", "Agent 101", {"service": 1}))
        await it.live()
        assert (it.state("101"), it.told.last("OfferMade").extension) == ("RESERVED", "101")


@virtual_time
async def test_whose_skill_is_taken_away_is_not_offered_such_callers_any_more() -> None:
    async with house("101", "102") as it:
        it.acd.add_agent(AgentRecord("101", "Agent 101", {"other": 5}))
        it.switch.arrive("a")
        await it.live()
        assert it.told.last("OfferMade").extension == "102", "101 was idle for longer"


@virtual_time
async def test_who_comes_into_a_team_helps_those_who_wait_for_it() -> None:
    async with house("101", queues=[queue(teams=frozenset({"vip"}))]) as it:
        it.switch.arrive("a")
        await it.live(5)
        assert it.told.all("OfferMade") == []
        it.acd.add_agent(AgentRecord("101", "Agent 101", {"service": 1}, frozenset({"vip"})))
        await it.live()
        assert it.told.last("OfferMade").extension == "101"


@virtual_time
async def test_a_change_during_a_call_takes_nothing_from_the_call() -> None:
    async with house("101") as it:
        it.switch.arrive("a")
        await it.live(2)
        it.switch.answer("101")
        await it.live(5)
        assert it.state("101") == "ENGAGED"
        it.acd.add_agent(AgentRecord("101", "Agent 101", {"other": 1}))
        await it.live(1)
        assert it.state("101") == "ENGAGED" and it.agent("101").skills == {"other": 1}
