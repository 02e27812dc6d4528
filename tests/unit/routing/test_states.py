"""What people say and what phones can do: by word, by feature code, and how long it stands."""

from __future__ import annotations

import pytest

from core.errors import BadInput, NotFound
from core.events import pbx
from tests.unit.routing.house import house, record
from tests.unit.routing.test_talks import IX, talking
from tests.virtual import until, virtual_time


@virtual_time
async def test_by_word_an_agent_is_ready_away_or_offline_and_it_is_told_who_said_so() -> None:
    async with house() as it:
        assert it.state("101") == "OFFLINE"
        for state, reason, becomes in [
            ("READY", "", "READY"), ("NOT_READY", "lunch", "NOT_READY(lunch)"), ("NOT_READY", "", "NOT_READY(other)"),
            ("OFFLINE", "ignored", "OFFLINE"), ("READY", "ignored", "READY"),
        ]:  # fmt: skip
            it.acd.set_state("101", state, reason, actor="user:chen")
            assert it.state("101") == becomes
        assert {event.actor for event in it.told.all("AgentStateChanged")} == {"user:chen"}
        assert len(it.told.all("AgentStateChanged")) == 5


@pytest.mark.parametrize("state", ["ENGAGED", "WRAP_UP", "ready", ""])
@virtual_time
async def test_nobody_is_put_into_a_state_that_only_calls_make(state: str) -> None:
    async with house("101") as it:
        with pytest.raises(BadInput):
            it.say("101", state)
        with pytest.raises(NotFound):
            it.say("999", "READY")
        assert it.state("101") == "READY"


@virtual_time
async def test_a_reason_is_cut_to_what_a_wallboard_can_show() -> None:
    async with house() as it:
        it.say("101", "NOT_READY", "x" * 500)
        assert it.agent("101").reason == "x" * 60


@virtual_time
async def test_feature_codes_do_what_the_page_does() -> None:
    async with house() as it:
        it.switch.feature("101", "ready")
        await it.live()
        assert it.state("101") == "READY" and it.told.last("AgentStateChanged").actor == "phone:101"
        it.switch.feature("101", "not_ready", "break")
        it.switch.feature("999", "ready")
        await it.live()
        assert it.state("101") == "NOT_READY(break)"


@virtual_time
async def test_a_word_during_the_ring_or_the_talk_takes_effect_afterwards() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await until(lambda: it.switch.leg_of("101"), within_s=1)
        it.say("101", "NOT_READY", "lunch")
        assert it.state("101") == "RESERVED" and it.agent("101").wanted == "NOT_READY"
        it.switch.answer("101")
        await it.live(5)
        assert it.state("101") == "ENGAGED"
        it.switch.agent_hangs_up("101")
        await until(lambda: it.state("101") == "NOT_READY(lunch)", within_s=30)
        asked = it.told.all("AgentStateAsked")
        assert [(e.state, e.reason, e.actor) for e in asked] == [("NOT_READY", "lunch", "user:test")]


@virtual_time
async def test_who_said_away_while_it_rang_is_away_when_the_caller_gives_up() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await until(lambda: it.switch.leg_of("101"), within_s=1)
        it.say("101", "OFFLINE")
        it.switch.caller_hangs_up(IX)
        await it.live()
        assert it.state("101") == "OFFLINE"


@virtual_time
async def test_a_phone_s_flags_stand_beside_what_was_said() -> None:
    async with house("101") as it:
        it.stream.emit(pbx.AgentDeviceChanged(at=it.clock.now(), extension="101", reachable=False, in_use=True))
        it.stream.emit(pbx.AgentDeviceChanged(at=it.clock.now(), extension="999", reachable=True))
        await it.live()
        agent = it.agent("101")
        assert (agent.state, agent.reachable, agent.in_use, agent.available) == ("READY", False, True, False)


@virtual_time
async def test_new_skills_count_at_once_and_leave_everything_else_as_it_is() -> None:
    async with house("101") as it:
        await talking(it)
        it.acd.add_agent(record("101", zh=5))
        agent = it.agent("101")
        assert (agent.state, agent.skills, agent.offer_id, agent.reachable) == ("ENGAGED", {"zh": 5}, "o-1", True)
        it.acd.add_agent(record("104"))
        assert it.state("104") == "OFFLINE" and not it.agent("104").reachable


@virtual_time
async def test_a_sooner_ready_agent_has_been_idle_longer_and_saying_it_twice_does_not_change_that() -> None:
    async with house("102", "101") as it:
        it.say("102", "READY")
        it.switch.arrive(IX)
        await until(lambda: it.switch.leg_of("102"), within_s=1)
