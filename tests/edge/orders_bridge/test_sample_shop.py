"""The desk before the real sample shop: orders arrive, faults hold, and the shop's own doors are shut to strangers."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import aiohttp
import pytest

from app.shop.books import Books
from core.clock import SystemClock
from core.events.base import DomainEvent
from orders_bridge.adapter import ShopError
from orders_bridge.http_adapter import HttpShopAdapter
from orders_bridge.ladder import Level
from orders_bridge.service import LookupKind, OrderDesk
from orders_bridge.speech import status_phrases
from tests.edge.orders_bridge.shops import BOOKS, NOW, TOKEN, sample_shop

SAMPLE = BOOKS.samples[0]


class EventList:
    def __init__(self) -> None:
        self.events: list[DomainEvent] = []

    def emit(self, event: DomainEvent) -> None:
        self.events.append(event)


def _desk(adapter: HttpShopAdapter) -> tuple[OrderDesk, EventList]:
    events = EventList()
    zone = NOW.tzinfo
    assert zone is not None
    return OrderDesk(adapter, events, SystemClock(), zone=zone, poll_every_s=0.02), events


async def _until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("sample", BOOKS.samples, ids=lambda s: f"{s['language']}-{s['kind']}-{s['status']}")
async def test_every_sample_is_found_by_its_digits_and_has_something_to_say(sample: dict[str, str]) -> None:
    async with sample_shop() as (adapter, _, _):
        desk, _ = _desk(adapter)
        answer = await desk.look_up("ix", sample["ani"], sample["order_no"], sample["second_factor"])
        assert (answer.kind, answer.level) == (LookupKind.FOUND, Level.SECOND_FACTOR)
        assert status_phrases(answer.orders[0], answer.level, desk.today())


@pytest.mark.parametrize(
    ("fail", "kind", "error_id"),
    [
        ("500", LookupKind.ERROR, "shop-failing"),
        ("429", LookupKind.ERROR, "shop-busy"),
        ("html", LookupKind.ERROR, "shop-wrong-type"),
        ("half_json", LookupKind.ERROR, "shop-broken-answer"),
        ("huge", LookupKind.ERROR, "shop-too-big"),
        ("wrong_charset", LookupKind.ERROR, "shop-broken-answer"),
        ("other_order", LookupKind.ERROR, "shop-other-order"),
        ("hang", LookupKind.SLOW, "shop-slow"),
    ],
)
async def test_each_fault_is_answered_in_time_with_no_order_and_the_caller_may_try_again(
    fail: str, kind: LookupKind, error_id: str
) -> None:
    async with sample_shop() as (adapter, shop, _):
        desk, _ = _desk(adapter)
        shop.faults.knobs.turn({"fail": fail})
        began = monotonic()
        answer = await desk.look_up("ix", SAMPLE["ani"], SAMPLE["order_no"], SAMPLE["second_factor"], 0.4)
        assert (answer.kind, answer.reason, answer.orders) == (kind, f"orders:{error_id}", ())
        assert monotonic() - began < 1.0
        shop.faults.knobs.turn({"fail": "none"})
        if fail != "429":
            again = await desk.look_up("ix", SAMPLE["ani"], SAMPLE["order_no"], SAMPLE["second_factor"])
            assert again.kind is LookupKind.FOUND


async def test_a_slow_shop_is_slow_and_the_default_budget_is_three_seconds() -> None:
    async with sample_shop() as (adapter, shop, _):
        desk, _ = _desk(adapter)
        shop.faults.knobs.turn({"latency_ms": 10_000})
        began = monotonic()
        answer = await desk.look_up("ix", SAMPLE["ani"], SAMPLE["order_no"], SAMPLE["second_factor"], 10)
        assert answer.kind is LookupKind.SLOW
        assert 2.9 < monotonic() - began < 3.3


async def test_the_running_desk_loads_everything_and_hears_of_a_change() -> None:
    books = Books(orders=180, seed=3, opened=NOW)
    async with sample_shop(books) as (adapter, _, url):
        desk, events = _desk(adapter)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(desk.run())
            await _until(lambda: desk.health().state == "ok")
            assert desk.health().orders == 180
            placed = next(s for s in books.samples if s["kind"] == "placed")
            assert desk.card_for(ani=placed["ani"])["order"]["status"] == "placed"
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.post(f"{url}/sample/advance", json={"order_no": placed["order_no"]}) as response,
            ):
                assert (await response.json())["state"] == "ACCEPTED"
            await _until(lambda: events.events)
            assert events.events[0].kind == "OrderChanged"
            assert desk.card_for(ani=placed["ani"])["order"]["status"] == "paid"
            running.cancel()


async def test_a_stopped_shop_is_noticed_and_the_remembered_card_is_marked() -> None:
    async with sample_shop() as (adapter, shop, _):
        desk, _ = _desk(adapter)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(desk.run())
            await _until(lambda: desk.health().state == "ok")
            shop.faults.knobs.turn({"fail": "500"})
            await _until(lambda: not desk.available)
            popped = desk.card_for(ani=SAMPLE["ani"])
            assert popped["notice"] == "order system unavailable"
            assert popped["order"]["stale"] is True
            running.cancel()


async def test_callers_with_several_orders_are_found_by_phone_at_the_shop() -> None:
    several = next(s for s in BOOKS.samples if s["kind"] == "several")
    async with sample_shop() as (adapter, _, _):
        orders = await adapter.orders_by_phone(several["ani"])
        assert len(orders) == 3
        assert await adapter.orders_by_phone("+12125559999") == ()


async def test_a_share_of_failures_lets_the_others_through() -> None:
    async with sample_shop() as (adapter, shop, _):
        shop.faults.knobs.turn({"fail": "html", "fail_share": 0.5})
        outcomes = []
        for _ in range(10):
            try:
                outcomes.append(await adapter.order_by_no(SAMPLE["order_no"]) is not None)
            except ShopError:
                outcomes.append(False)
        assert sum(outcomes) == 5


# --- the shop's own doors


async def _status(session: aiohttp.ClientSession, method: str, url: str, **more: Any) -> tuple[int, Any]:
    async with session.request(method, url, **more) as response:
        return response.status, await response.json() if response.status != 304 else None


async def test_without_the_token_nobody_gets_anything() -> None:
    async with sample_shop() as (_, _, url), aiohttp.ClientSession() as session:
        for method, path in (
            ("GET", "/v2/ping"),
            ("GET", f"/v2/purchases/{SAMPLE['order_no']}"),
            ("GET", "/v2/purchases"),
            ("GET", "/sample/kinds"),
            ("POST", "/knobs"),
        ):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
                assert (await _status(session, method, url + path, headers=headers))[0] == 401


async def test_the_shop_serves_kinds_pages_and_revisions() -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with sample_shop() as (_, _, url), aiohttp.ClientSession(headers=headers) as session:
        assert (await _status(session, "GET", f"{url}/sample/kinds"))[1] == BOOKS.samples
        assert (await _status(session, "GET", f"{url}/v2/ping"))[1]["purchases"] == 60
        status, page = await _status(session, "GET", f"{url}/v2/purchases", params={"per_page": "25"})
        assert (status, len(page["data"])) == (200, 25)
        status, rest = await _status(
            session, "GET", f"{url}/v2/purchases", params={"per_page": "100", "page": page["paging"]["next"]}
        )
        assert (len(rest["data"]), rest["paging"]["next"]) == (35, None)
        one = f"{url}/v2/purchases/{SAMPLE['order_no']}"
        async with session.get(one) as response:
            tag = response.headers["ETag"]
        assert (await _status(session, "GET", one, headers={"If-None-Match": tag}))[0] == 304
        assert (await _status(session, "GET", f"{url}/v2/purchases/00000000"))[0] == 404


@pytest.mark.parametrize(
    "query",
    [
        {"per_page": "0"},
        {"per_page": "1000000000"},
        {"per_page": "ten"},
        {"modified_from": "yesterday"},
        {"page": "%%%"},
        {"page": "AAA"},
    ],
)
async def test_senseless_questions_to_the_shop_are_refused(query: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with sample_shop() as (_, _, url), aiohttp.ClientSession(headers=headers) as session:
        assert (await _status(session, "GET", f"{url}/v2/purchases", params=query))[0] == 400


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 9000, b'{"fail": "explode"}', b'{"volume": 11}'])
async def test_knobs_that_are_none_are_refused(body: bytes) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with sample_shop() as (_, shop, url), aiohttp.ClientSession(headers=headers) as session:
        assert (await _status(session, "POST", f"{url}/knobs", data=body))[0] == 422
        assert shop.faults.knobs.fail == "none"
        assert (await _status(session, "POST", f"{url}/knobs", json={"fail": "html"}))[1]["fail"] == "html"
        assert (await _status(session, "POST", f"{url}/sample/advance", data=body))[0] == 404
