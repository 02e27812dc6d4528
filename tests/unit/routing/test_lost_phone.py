"""An agent's phone that vanishes in a talk: the caller is served by somebody else, first; the agent is away, not to blame."""

from __future__ import annotations

from routing.talks import VANISHED
from tests.unit.routing.house import house
from tests.virtual import until, virtual_time

IX, IY = "n1-1.1", "n1-2.2"


@virtual_time
async def test_a_caller_whose_agents_phone_vanished_is_offered_first_and_the_agent_is_unreachable() -> None:
    async with house("101") as it:
        it.switch.arrive(IX)
        await until(lambda: it.switch.leg_of("101") is not None, within_s=1)
        it.switch.answer("101")
        await until(lambda: it.state("101") == "ENGAGED", within_s=1)
        it.switch.arrive(IY)
        await it.live(5)
        leg = it.switch.leg_of("101")
        assert leg is not None
        it.switch.callers[IX].stage = "after"  # the dialplan keeps the caller
        it.switch._end(leg, VANISHED)
        it.switch.tell()
        await it.live(2)
        it.switch.callers[IX].stage = "wait"
        it.switch.callers[IX].visits.append(it.clock.now())
        it.switch.tell()
        await it.live()
        assert it.told.last("SegmentEnded").reason == "phone_lost"
        order = [item.interaction_id for item in sorted(it.acd.book.waiting.values(), key=lambda item: item.order)]
        assert order == [IX, IY]
        await it.live(60)  # wrap-up is over
        agent = it.agent("101")
        assert (agent.state, agent.reason, agent.misses) == ("NOT_READY", "unreachable", 0)
