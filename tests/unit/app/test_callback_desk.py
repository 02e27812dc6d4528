"""A menu's callback reaches the owner of the queues, and nobody is promised anything without one."""

from __future__ import annotations

from typing import Any

from app.callback_desk import MenuCallbacks
from ivr.ports import CallbackRequest
from routing.calls.model import OutsideRules
from tests.unit.routing.house import house
from tests.virtual import virtual_time


def request(number: str = "13900000001", queue: str = "service") -> CallbackRequest:
    return CallbackRequest("n1-1.1", queue, number, "zh", "late")


@virtual_time
async def test_a_callback_of_a_menu_stands_in_its_queue_and_names_the_call_in_which_it_was_asked() -> None:
    async with house() as it:
        it.acd.calls.outside = OutsideRules(("1390",), 100, 30)

        async def do(order: dict[str, Any]) -> dict[str, Any]:
            return it.acd.callbacks.do(order)

        desk = MenuCallbacks(do)
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
    desk = MenuCallbacks()
    assert await desk.refusal(request()) and await desk.book(request())
