"""The word about an order for somebody who waits: fresh or not at all, and within what they proved."""

from __future__ import annotations

from app.lookup import DeskWords, WordsAfar
from core.phrases.model import Prompt
from orders_bridge.adapter import ShopError
from orders_bridge.service import FRESH_S
from tests.unit.orders_bridge.build import back, order
from tests.unit.orders_bridge.test_service import Room

ID = "pu_61827868"
SHIPPED = (Prompt("order-your-order"), Prompt("order-state-shipped"))


async def test_it_is_said_as_far_as_they_proved_and_asked_anew_when_it_is_not_fresh_any_more() -> None:
    room = await Room(order("shipped")).loaded()
    words = DeskWords(room.desk)
    assert await words.words(ID, "ani") == SHIPPED and room.shop.asked == []
    assert await words.words(ID, "") == await words.words("pu_unknown", "second_factor") == ()
    room.clock.advance(FRESH_S + 1)
    assert await words.words(ID, "ani") == SHIPPED and room.shop.asked == ["no 61827868"]


async def test_a_process_without_orders_hears_the_same_words() -> None:
    room = await Room(order("shipped")).loaded()
    afar = WordsAfar(DeskWords(room.desk).answer)
    assert await afar.words(ID, "ani") == SHIPPED and await afar.words(ID, "") == ()


async def test_caller_id_alone_does_not_hear_that_something_was_sent_back() -> None:
    room = await Room(order("shipped", returns=[back()])).loaded()
    by_ani = await DeskWords(room.desk).words(ID, "ani")
    by_number = await DeskWords(room.desk).words(ID, "order_no")
    assert by_ani == SHIPPED and by_number[1] != SHIPPED[1]


async def test_an_old_copy_is_not_spoken_from_while_the_shop_does_not_answer() -> None:
    room = await Room(order("shipped")).loaded()
    room.clock.advance(FRESH_S + 1)
    room.shop.error = ShopError("shop-failing", "The shop failed (500).")
    assert await DeskWords(room.desk).words(ID, "second_factor") == ()
