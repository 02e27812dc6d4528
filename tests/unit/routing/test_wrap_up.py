"""After-call work: begins by itself, ends by the clock or by a word, is told with what came of the call, and keeps calls away."""

from __future__ import annotations

import pytest

from core.errors import BadInput, NotFound
from tests.unit.routing.house import WRAP_UP_S, House, house, queue
from tests.unit.routing.test_talks import IX, talking
from tests.virtual import never, until, virtual_time


async def wrapping_up(it: House, ix: str = IX) -> None:
    await talking(it, ix)
    it.switch.caller_hangs_up(ix)
    await until(lambda: it.state("101") == "WRAP_UP", within_s=1)


@virtual_time
async def test_it_ends_by_the_clock_and_nobody_is_offered_a_call_during_it() -> None:
    async with house("101") as it:
        await wrapping_up(it)
        it.switch.arrive("n1-2.2")
        assert it.agent("101").wrap_up_until is not None
        await never(lambda: it.acd.book.offers, for_s=WRAP_UP_S - 0.2)
        await until(lambda: it.switch.leg_of("101"), within_s=0.5)
        began, ended = it.told.last("WrapUpStarted"), it.told.last("WrapUpEnded")
        assert (began.interaction_id, began.seconds) == (IX, WRAP_UP_S)
        assert (ended.interaction_id, ended.wrap_up_s) == (IX, pytest.approx(WRAP_UP_S, abs=0.1))


@virtual_time
async def test_it_is_finished_with_what_came_of_the_call() -> None:
    async with house("101") as it:
        await wrapping_up(it)
        await it.live(4)
        it.acd.finish_wrap_up("101", disposition="refund", note="promised for Friday", actor="user:li")
        assert it.state("101") == "READY"
        ended = it.told.last("WrapUpEnded")
        assert (ended.interaction_id, ended.offer_id, ended.disposition, ended.note) == (
            IX, "o-1", "refund", "promised for Friday",
        )  # fmt: skip
        assert ended.wrap_up_s == pytest.approx(4, abs=0.1)
        await it.live(WRAP_UP_S)
        assert len(it.told.all("WrapUpEnded")) == 1, "the timer is gone"


@virtual_time
async def test_whoever_finishes_it_gets_the_next_caller_at_once() -> None:
    async with house("101") as it:
        await wrapping_up(it)
        it.switch.arrive("n1-2.2")
        await it.live(1)
        agent = it.acd.finish_wrap_up("101", actor="user:li")
        assert agent.state == "RESERVED"


@virtual_time
async def test_it_is_extended_from_now_and_still_belongs_to_its_call() -> None:
    async with house("101") as it:
        await wrapping_up(it)
        await it.live(15)
        it.acd.extend_wrap_up("101", 60, actor="user:li")
        until_then = it.agent("101").wrap_up_until
        assert until_then is not None and (until_then - it.clock.now()).total_seconds() == 60
        again = it.told.last("WrapUpStarted")
        assert (again.interaction_id, again.seconds) == (IX, 60)
        await never(lambda: it.state("101") != "WRAP_UP", for_s=59)
        await until(lambda: it.state("101") == "READY", within_s=1.5)
        assert it.told.last("WrapUpEnded").wrap_up_s == pytest.approx(75, abs=0.1)


@pytest.mark.parametrize("seconds", [0, -1, 3601, float("nan")])
@virtual_time
async def test_an_extension_without_measure_is_refused(seconds: float) -> None:
    async with house("101") as it:
        await wrapping_up(it)
        with pytest.raises(BadInput):
            it.acd.extend_wrap_up("101", seconds, actor="user:li")
        await until(lambda: it.state("101") == "READY", within_s=WRAP_UP_S + 1)


@virtual_time
async def test_there_is_nothing_to_finish_or_extend_outside_of_it() -> None:
    async with house("101") as it:
        for verb in (
            lambda: it.acd.finish_wrap_up("101", actor="u"),
            lambda: it.acd.extend_wrap_up("101", 5, actor="u"),
        ):
            with pytest.raises(BadInput, match="not in wrap-up"):
                verb()
        with pytest.raises(NotFound):
            it.acd.finish_wrap_up("999", actor="u")


@pytest.mark.parametrize(
    ("says", "lands"),
    [(("READY", ""), "READY"), (("NOT_READY", "lunch"), "NOT_READY(lunch)"), (("OFFLINE", ""), "OFFLINE")],
)
@virtual_time
async def test_whoever_says_something_has_ended_it(says: tuple[str, str], lands: str) -> None:
    async with house("101") as it:
        await wrapping_up(it)
        it.say("101", *says)
        assert it.state("101") == lands and len(it.told.all("WrapUpEnded")) == 1
        await it.live(WRAP_UP_S + 5)
        assert it.state("101") == lands and len(it.told.all("WrapUpEnded")) == 1


@virtual_time
async def test_what_was_asked_for_in_the_call_comes_after_the_work() -> None:
    async with house("101") as it:
        await talking(it)
        it.say("101", "NOT_READY", "lunch")
        assert it.state("101") == "ENGAGED"
        it.switch.caller_hangs_up(IX)
        await it.live()
        assert it.state("101") == "WRAP_UP"
        await until(lambda: it.state("101") == "NOT_READY(lunch)", within_s=WRAP_UP_S + 1)


@virtual_time
async def test_a_queue_without_after_call_work_frees_the_agent_at_once() -> None:
    async with house("101", queues=[queue(wrap_up_s=0)]) as it:
        await talking(it)
        it.switch.agent_hangs_up("101")
        await it.live()
        assert it.state("101") == "READY" and it.told.all("WrapUpStarted") == []


@virtual_time
async def test_a_clock_that_is_moved_neither_ends_nor_prolongs_it() -> None:
    for jump in (3600, -3600):
        async with house("101") as it:
            await wrapping_up(it)
            it.clock.jump(jump)
            await never(lambda: it.state("101") != "WRAP_UP", for_s=WRAP_UP_S - 1)
            await until(lambda: it.state("101") == "READY", within_s=2)
            assert it.told.last("WrapUpEnded").wrap_up_s == pytest.approx(WRAP_UP_S, abs=0.1)
