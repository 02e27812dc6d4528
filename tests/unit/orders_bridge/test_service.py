"""The order desk answers in time, to the right people only, whatever the shop does."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from core.clock import ManualClock
from orders_bridge.adapter import ShopBusy, ShopError
from orders_bridge.card import UNAVAILABLE
from orders_bridge.ladder import Level
from orders_bridge.model import Order
from orders_bridge.service import SETTLE_S, LookupAnswer, LookupKind, OrderDesk
from tests.unit.orders_bridge.build import PHONE, ZONE, order, parcel
from tests.unit.orders_bridge.fakes import ClockSleep, EventList, FakeShop

NO, FACTOR = "61827868", "5678"
BROKEN = ShopError("shop-failing", "The shop failed (500).")


class Room:
    """A desk with everything around it."""

    def __init__(self, *orders: Order) -> None:
        self.clock = ManualClock()
        self.shop = FakeShop(self.clock, *orders)
        self.events = EventList()
        self.sleep = ClockSleep(self.clock)
        self.desk = OrderDesk(self.shop, self.events, self.clock, zone=ZONE, sleep=self.sleep)

    async def loaded(self) -> Room:
        await self.desk._feed.round()
        self.shop.asked.clear()
        return self

    async def typed(self, number: str = NO, factor: str = FACTOR, call: str = "ix", ani: str = PHONE) -> LookupAnswer:
        return await self.desk.look_up(call, ani, number, factor, 3.0)


async def test_number_and_factor_open_the_order() -> None:
    answer = await Room(order()).typed()
    assert (answer.kind, answer.level, answer.orders[0].order_no) == (LookupKind.FOUND, Level.SECOND_FACTOR, NO)
    assert 0 < answer.took_ms < 300


async def test_a_number_alone_opens_the_lower_rung() -> None:
    answer = await Room(order()).typed(factor="")
    assert (answer.kind, answer.level) == (LookupKind.FOUND, Level.ORDER_NO)


async def test_the_proof_is_the_same_from_any_phone() -> None:
    answer = await Room(order()).typed(ani="anonymous")
    assert (answer.kind, answer.level) == (LookupKind.FOUND, Level.SECOND_FACTOR)


async def test_a_wrong_number_and_a_wrong_factor_are_one_answer_after_one_time() -> None:
    room = Room(order())
    wrong_factor = await room.typed(factor="0000", call="a")
    room.shop.takes_s = 0.12  # the shop needs longer to say that there is none
    wrong_number = await room.typed(number="99999999", call="b")
    never_a_number = await room.typed(number="4111111111111111", call="c")
    for answer in (wrong_factor, wrong_number, never_a_number):
        assert (answer.kind, answer.orders, answer.level, answer.reason) == (LookupKind.NONE, (), Level.NOBODY, "")
        assert answer.took_ms == pytest.approx(SETTLE_S * 1000, abs=0.01)


@pytest.mark.parametrize("digits", ["4111111111111111", "*#ABCD", "1", "1" * 200, "12345678; DROP", "../../knobs"])
async def test_what_could_never_be_an_order_number_is_sent_to_nobody(digits: str) -> None:
    room = Room(order())
    answer = await room.typed(number=digits)
    assert answer.kind is LookupKind.NONE
    assert room.shop.asked == []


async def test_after_three_wrong_tries_the_call_is_refused_without_asking_the_shop() -> None:
    room = Room(order())
    kinds = [(await room.typed(factor=f"000{at}")).kind for at in range(3)]
    asked = len(room.shop.asked)
    refused = await room.typed()
    assert kinds == [LookupKind.NONE] * 3
    assert (refused.kind, refused.reason, refused.orders) == (LookupKind.REFUSED, "call", ())
    assert len(room.shop.asked) == asked


async def test_after_ten_wrong_tries_in_an_hour_the_caller_is_refused_in_every_call() -> None:
    room = Room(order())
    for at in range(10):
        assert (await room.typed(number=f"7000000{at}", call=f"ix{at}")).kind is LookupKind.NONE
    spelled_otherwise = await room.typed(call="next", ani="0086 138 1234 5678")
    assert (spelled_otherwise.kind, spelled_otherwise.reason) == (LookupKind.REFUSED, "caller")
    room.clock.advance(3600)
    assert (await room.typed(call="later")).kind is LookupKind.FOUND


async def test_whoever_proves_their_orders_may_ask_for_as_many_as_they_have() -> None:
    mine = [order(no=f"1000000{at}") for at in range(8)]
    room = Room(*mine)
    for one in mine:
        assert (await room.typed(one.order_no, factor="")).kind is LookupKind.FOUND
        assert (await room.typed(one.order_no)).level is Level.SECOND_FACTOR


async def test_going_through_numbers_that_exist_is_guessing_too() -> None:
    room = Room(*[order(no=f"1000000{at}") for at in range(8)])
    kinds = [(await room.typed(f"1000000{at}", factor="")).kind.value for at in range(5)]
    assert kinds == ["found", "found", "found", "refused", "refused"]


async def test_asking_for_one_order_again_and_again_counts_once() -> None:
    room = Room(order())
    assert {(await room.typed(factor="")).kind for _ in range(9)} == {LookupKind.FOUND}


@pytest.mark.parametrize(
    ("error", "takes_s", "kind"),
    [(BROKEN, 0.01, LookupKind.ERROR), (None, 10.0, LookupKind.SLOW), (ShopBusy(20), 0.01, LookupKind.ERROR)],
)
async def test_a_shop_that_fails_costs_the_caller_no_try(
    error: ShopError | None, takes_s: float, kind: LookupKind
) -> None:
    room = Room(order())
    room.shop.error, room.shop.takes_s = error, takes_s
    for _ in range(6):
        answer = await room.typed()
        assert (answer.kind, answer.orders) == (kind, ())
        assert answer.took_ms <= 3000
    room.shop.error, room.shop.takes_s = None, 0.01
    assert (await room.typed()).kind is LookupKind.FOUND


async def test_the_deadline_given_is_passed_on_but_never_more_than_three_seconds() -> None:
    room = Room(order())
    room.shop.takes_s = 60
    assert (await room.desk.look_up("ix", PHONE, NO, FACTOR, 1.2)).took_ms == pytest.approx(1200)
    assert (await room.desk.look_up("ix", PHONE, NO, FACTOR, 60.0)).took_ms == pytest.approx(3000)


# --- by caller id alone


async def test_caller_id_with_one_order_finds_it_at_the_lowest_rung() -> None:
    room = await Room(order()).loaded()
    answer = await room.desk.look_up("ix", "13812345678")
    assert (answer.kind, answer.level, len(answer.orders)) == (LookupKind.FOUND, Level.ANI, 1)
    assert room.shop.asked == []  # the copy is fresh


async def test_an_old_copy_is_confirmed_before_it_is_spoken_from() -> None:
    room = await Room(order()).loaded()
    room.shop.orders[NO] = order("cancelled", version=8)
    room.clock.advance(60)
    answer = await room.desk.look_up("ix", PHONE)
    assert answer.orders[0].status == "cancelled"
    room.shop.error = BROKEN
    room.clock.advance(60)
    assert (await room.desk.look_up("ix", PHONE)).kind is LookupKind.ERROR


async def test_several_orders_alike_are_several() -> None:
    room = await Room(order(no="10000001", placed=2), order(no="10000002", placed=3)).loaded()
    answer = await room.desk.look_up("ix", PHONE)
    assert (answer.kind, answer.level, len(answer.orders)) == (LookupKind.SEVERAL, Level.ANI, 2)


async def test_a_caller_the_index_does_not_know_is_looked_for_at_the_shop() -> None:
    room = Room(order())
    assert (await room.desk.look_up("ix", PHONE)).kind is LookupKind.FOUND
    assert room.shop.asked == [f"phone {PHONE}"]
    assert (await room.desk.look_up("ix", "+12125550142")).kind is LookupKind.NONE


@pytest.mark.parametrize("ani", ["", "anonymous", "1001", "${SHELL(id)}"])
async def test_a_hidden_or_senseless_number_finds_nothing_and_asks_nobody(ani: str) -> None:
    room = Room(order(phones=("1001",)))
    assert (await room.desk.look_up("ix", ani)).kind is LookupKind.NONE
    assert room.shop.asked == []


async def test_an_answer_about_somebody_elses_order_is_never_given_on() -> None:
    room = Room(order())
    room.shop.error = ShopError("shop-other-order", "another order")
    assert (await room.typed()).orders == ()


# --- for the screen


async def test_the_card_of_a_caller_is_there_at_once_and_asks_nobody() -> None:
    room = await Room(order("shipped", [parcel(seen=8, due=-4)])).loaded()
    popped = room.desk.card_for(ani="0086 138-1234-5678")
    assert popped["kind"] == "match"
    assert popped["order"]["alerts"][0]["what"] == "stuck-parcel"
    assert popped["order"]["customer"]["name"] == "张*"
    assert room.shop.asked == []


async def test_the_order_named_in_the_menu_comes_before_the_others_of_the_caller() -> None:
    room = await Room(order("shipped", [parcel(seen=9)], no="10000001"), order("cancelled", no="10000002")).loaded()
    popped = room.desk.card_for(ani=PHONE, order_id="pu_10000002", level=Level.SECOND_FACTOR)
    assert popped["order"]["order_no"] == "10000002"
    assert popped["order"]["customer"]["name"] == "张伟"
    assert popped["certain"] is True
    assert len(popped["candidates"]) == 2


async def test_an_order_of_another_phone_can_be_named() -> None:
    room = await Room(order()).loaded()
    assert room.desk.card_for(ani="+12125550142", order_id=f"pu_{NO}")["order"]["order_no"] == NO


async def test_with_the_shop_away_the_remembered_card_says_so_until_it_is_back() -> None:
    room = await Room(order()).loaded()
    room.shop.error = BROKEN
    await room.typed()
    popped = room.desk.card_for(ani=PHONE)
    assert (popped["notice"], popped["order"]["stale"], popped["order"]["order_no"]) == (UNAVAILABLE, True, NO)
    assert room.desk.card_for(ani="+12125550142")["kind"] == "unavailable"
    room.shop.error = None
    await room.typed()
    assert room.desk.card_for(ani=PHONE)["notice"] == ""


async def test_cards_are_json() -> None:
    room = await Room(order("shipped", [parcel()])).loaded()
    json.dumps(room.desk.card_for(ani=PHONE))


async def test_refresh_brings_the_shops_latest_and_tells_of_the_change() -> None:
    room = await Room(order()).loaded()
    room.shop.orders[NO] = order("cancelled", version=9)
    fresh = await room.desk.refresh(f"pu_{NO}")
    assert fresh is not None and fresh.status == "cancelled"
    assert [(e.kind, e.version) for e in room.events.events] == [("OrderChanged", "9")]  # type: ignore[attr-defined]
    assert await room.desk.refresh("unknown") is None
    room.shop.error = BROKEN
    assert await room.desk.refresh(f"pu_{NO}") is None


async def test_an_older_answer_of_a_lagging_shop_does_not_win() -> None:
    room = await Room(order("delivered", version=9)).loaded()
    room.shop.orders[NO] = order("shipped", version=8)
    assert (await room.typed()).orders[0].status == "delivered"


async def test_an_order_the_shop_no_longer_has_is_forgotten() -> None:
    room = await Room(order()).loaded()
    room.shop.orders.clear()
    assert (await room.typed()).kind is LookupKind.NONE
    assert room.desk.candidates(PHONE) == ()


# --- health


async def test_an_alarm_is_raised_when_the_shop_stays_away_and_cleared_when_it_is_back() -> None:
    room = await Room(order()).loaded()
    room.shop.error = BROKEN
    await room.typed()
    assert room.events.kinds() == []
    assert room.desk.health().state == "down"
    room.clock.advance(6)
    await room.typed()
    await room.typed()
    assert room.events.kinds() == ["AlertRaised"]
    room.shop.error = None
    await room.typed()
    assert room.events.kinds() == ["AlertRaised", "AlertCleared"]
    assert room.desk.health().state == "ok"


async def test_a_shop_that_asks_us_to_wait_is_not_away() -> None:
    room = await Room(order()).loaded()
    room.shop.error = ShopBusy(30)
    await room.typed()
    assert room.desk.available


async def test_health_says_loading_until_everything_was_read_once() -> None:
    room = Room(order())
    assert room.desk.health().state == "loading"
    await room.loaded()
    health = room.desk.health()
    assert (health.state, health.orders, health.breaker, health.unreadable) == ("ok", 1, "closed", 0)


async def test_an_agents_search_looks_in_memory_then_at_the_shop() -> None:
    room = Room(order())
    assert len(await room.desk.find(order_no=NO)) == 1
    asked = len(room.shop.asked)
    assert len(await room.desk.find(phone="138 1234 5678")) == 1
    assert len(room.shop.asked) == asked
    assert await room.desk.find(phone="alice") == ()
    room.shop.error = BROKEN
    with pytest.raises(ShopError):
        await room.desk.find(order_no="99999999")


async def test_today_is_the_shops_day() -> None:
    room = Room()
    room.clock.jump(8 * 3600)  # 17:00 UTC: past midnight in the shop's zone
    assert room.desk.today().isoformat() == "2026-11-25"


async def test_a_phone_taken_off_the_order_finds_it_no_more() -> None:
    room = await Room(order()).loaded()
    room.shop.orders[NO] = replace(order(version=8), phones=("+12125550142",))
    room.clock.advance(60)
    assert (await room.desk.look_up("ix", PHONE)).kind is LookupKind.NONE
