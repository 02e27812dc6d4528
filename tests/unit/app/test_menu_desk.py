"""A menu's callback reaches the owner of the queues, and nobody is promised anything without one."""

from __future__ import annotations

import pytest

from app.menu_desk import MenuCallbacks, MenuQueues, QueueOwner
from app.roles.acd import Verbs
from core.errors import NotFound
from ivr.ports import CallbackRequest, QueueStanding
from routing.calls.model import OutsideRules
from tests.unit.routing.house import house
from tests.virtual import until, virtual_time


def request(number: str = "13900000001", queue: str = "service") -> CallbackRequest:
    return CallbackRequest("n1-1.1", queue, number, "zh", "late")


@virtual_time
async def test_a_callback_of_a_menu_stands_in_its_queue_and_names_the_call_in_which_it_was_asked() -> None:
    async with house() as it:
        it.acd.calls.outside = OutsideRules(("1390",), 100, 30)

        desk = MenuCallbacks(QueueOwner(Verbs(it.acd).ask))
        assert await desk.refusal(request()) == "" and it.acd.callbacks.entries() == []
        assert await desk.book(request()) == ""
        (entry,) = it.acd.callbacks.entries()
        assert (entry.number, entry.first_id, entry.by) == ("13900000001", "n1-1.1", "menu")
        assert (entry.item.language, entry.item.problem, entry.item.queue) == ("zh", "late", "service")
        assert it.told.last("CallbackRequested").interaction_id == "n1-1.1"
        for refused in (request(""), request("008610123"), request(queue="nowhere")):
            assert await desk.refusal(refused) and await desk.book(refused)
        assert len(it.acd.callbacks.entries()) == 1


@virtual_time
async def test_without_an_owner_of_the_queues_nobody_is_promised_anything() -> None:
    desk = MenuCallbacks(QueueOwner())
    assert await desk.refusal(request()) and await desk.book(request())
    assert await MenuQueues(QueueOwner()).standing("service") is None


@virtual_time
async def test_a_menu_hears_how_a_queue_stands_for_whoever_would_come_now() -> None:
    async with house("101", "102") as it:
        desk = MenuQueues(QueueOwner(Verbs(it.acd).ask))
        assert await desk.standing("service") == QueueStanding(0, 0.0, 2), "somebody is free"
        for number, extension in enumerate(("101", "102")):
            it.switch.arrive(f"n1-1.{number}")
            await until(lambda extension=extension: it.switch.leg_of(extension) is not None)
            it.switch.answer(extension)
        it.switch.arrive("n1-1.5")
        await it.live(1)
        assert await desk.standing("service") == QueueStanding(1, None, 2), "no talk was seen yet: nobody can say"
        it.acd.announcer.pace.remember([("service", 60.0)])
        assert await desk.standing("service") == QueueStanding(1, 60.0, 2), "the second, and one ends every half minute"
        with pytest.raises(NotFound):
            await desk.standing("nowhere")
