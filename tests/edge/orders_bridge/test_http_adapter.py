"""The connector survives every wrong answer a shop can give: one clear error each, in time, and never a wrong order."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable
from time import monotonic

import pytest
from aiohttp import web

from core.clock import SystemClock
from orders_bridge.adapter import ShopBusy, ShopError, ShopSlow
from orders_bridge.http_adapter import HttpShopAdapter
from orders_bridge.transport import CAP_BYTES
from tests.edge.orders_bridge.shops import BOOKS, TOKEN, CountingBreaker, raw, scripted

SAMPLE = BOOKS.samples[0]
NO = SAMPLE["order_no"]
_document = BOOKS.document(NO)
assert _document is not None
GOOD = b'{"purchase":' + _document + b"}"
PAGE = b'{"data":[' + _document + b'],"paging":{"next":null}}'


def _json(body: bytes, **headers: str) -> web.Response:
    return web.Response(body=body, headers={"Content-Type": "application/json"} | headers)


async def _error_of(asking: Awaitable[object]) -> ShopError:
    with pytest.raises(ShopError) as caught:
        await asking
    return caught.value


async def test_a_good_answer_is_an_order_and_carries_the_token_only_in_its_header() -> None:
    async def script(request: web.Request) -> web.Response:
        return _json(GOOD)

    async with scripted(script) as (adapter, shop, breaker):
        order = await adapter.order_by_no(NO)
        assert order is not None and order.order_no == NO
        (asked,) = shop.asked
        assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
        assert asked.path_qs == f"/v2/purchases/{NO}"
        assert breaker.verdicts == ["good"]


WRONG_TEXT = GOOD.decode().replace('"state"', '"备注":"编码","state"', 1)
OTHER = next(s for s in BOOKS.samples if s["order_no"] != NO)["order_no"]
_other = BOOKS.document(OTHER)
assert _other is not None


@pytest.mark.parametrize(
    ("error_id", "answer"),
    [
        ("shop-failing", lambda: web.Response(status=500, text="boom")),
        ("shop-failing", lambda: web.Response(status=503)),
        ("shop-refuses-us", lambda: web.Response(status=401)),
        ("shop-wrong-answer", lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"})),
        ("shop-wrong-answer", lambda: web.Response(status=204)),
        ("shop-wrong-type", lambda: web.Response(text="<html>", content_type="text/html")),
        ("shop-wrong-type", lambda: web.Response(body=GOOD)),
        ("shop-wrong-type", lambda: _json(GOOD, **{"Content-Encoding": "gzip"})),
        ("shop-wrong-charset", lambda: _json(GOOD, **{"Content-Type": "application/json; charset=gb18030"})),
        ("shop-broken-answer", lambda: _json(WRONG_TEXT.encode("gb18030"))),
        ("shop-broken-answer", lambda: _json(GOOD[: len(GOOD) // 2])),
        ("shop-broken-answer", lambda: _json(b"")),
        ("shop-broken-answer", lambda: _json(b"[" * 100_000)),
        ("shop-broken-answer", lambda: _json(b'{"purchase": NaN}' + b"x")),
        ("shop-wrong-shape", lambda: _json(b"{}")),
        ("shop-wrong-shape", lambda: _json(b"null")),
        ("shop-wrong-shape", lambda: _json(GOOD.replace(b'"rev":', b'"revision":'))),
        ("shop-wrong-shape", lambda: _json(GOOD.replace(b'"sum":"', b'"sum":"-'))),
        ("shop-other-order", lambda: _json(b'{"purchase":' + _other + b"}")),
    ],
)  # fmt: skip
async def test_a_wrong_answer_is_one_clear_error_and_counts_against_the_shop(error_id: str, answer: object) -> None:
    async def script(request: web.Request) -> web.Response:
        return answer()  # type: ignore[operator,no-any-return]

    async with scripted(script) as (adapter, _, breaker):
        error = await _error_of(adapter.order_by_no(NO))
        assert error.error_id == f"orders:{error_id}"
        assert error.status == 503
        assert not error.slow
        assert breaker.verdicts == ["bad"]
        assert adapter.health().last_error == error.error_id


async def test_no_such_order_is_an_answer_and_no_error() -> None:
    async def script(request: web.Request) -> web.Response:
        return web.json_response({"error": {"code": "purchase_unknown"}}, status=404)

    async with scripted(script) as (adapter, _, breaker):
        assert await adapter.order_by_no(NO) is None
        assert breaker.verdicts == ["good"]


async def test_fifty_megabytes_are_not_read_to_the_end() -> None:
    sent = 0

    async def script(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(800):
            await response.write(b"x" * 65536)
            sent += 65536
        return response

    async with scripted(script) as (adapter, _, _):
        error = await _error_of(adapter.order_by_no(NO))
        assert error.error_id == "orders:shop-too-big"
        assert sent < 20 * 1024 * 1024  # what fits into the kernel's buffers, not the fifty


async def test_a_length_beyond_the_cap_is_refused_before_the_body() -> None:
    async def script(request: web.Request) -> web.Response:
        return _json(b" " * (CAP_BYTES + 1))

    async with scripted(script) as (adapter, _, _):
        assert (await _error_of(adapter.order_by_no(NO))).error_id == "orders:shop-too-big"


async def test_an_answer_that_never_comes_costs_the_budget_and_no_more() -> None:
    async def script(request: web.Request) -> web.Response:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    async with scripted(script) as (adapter, shop, breaker):
        began = monotonic()
        error = await _error_of(adapter.order_by_no(NO, budget_s=0.3))
        assert isinstance(error, ShopSlow)
        assert error.slow
        assert 0.29 <= monotonic() - began < 0.6
        assert (len(shop.asked), breaker.verdicts) == (1, ["bad"])


async def test_a_body_that_drips_costs_the_budget_and_no_more() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with raw(talk) as url:
        adapter = HttpShopAdapter(url, TOKEN, breaker=CountingBreaker(), clock=SystemClock())
        began = monotonic()
        assert (await _error_of(adapter.order_by_no(NO, budget_s=0.3))).slow
        assert monotonic() - began < 0.6
        await adapter.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n" + GOOD[:100],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_an_answer_that_is_no_http_or_breaks_off_is_an_error(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with raw(talk) as url:
        adapter = HttpShopAdapter(url, TOKEN, breaker=CountingBreaker(), clock=SystemClock())
        error = await _error_of(adapter.order_by_no(NO, budget_s=2.0))
        assert error.error_id in ("orders:shop-unreachable", "orders:shop-broken-answer")
        await adapter.close()


async def test_a_shop_that_is_not_there_is_said_at_once() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        adapter = HttpShopAdapter(url, TOKEN, breaker=CountingBreaker(), clock=SystemClock())
        began = monotonic()
        assert (await _error_of(adapter.order_by_no(NO))).error_id == "orders:shop-unreachable"
        assert monotonic() - began < 0.5
        await adapter.close()


async def test_one_stumble_is_read_over() -> None:
    async def script(request: web.Request) -> web.Response:
        return web.Response(status=502) if len(shop.asked) == 1 else _json(GOOD)

    async with scripted(script) as (adapter, shop, breaker):
        order = await adapter.order_by_no(NO)
        assert order is not None
        assert (len(shop.asked), breaker.verdicts) == (2, ["good"])


async def test_a_wrong_answer_is_not_asked_for_again() -> None:
    async def script(request: web.Request) -> web.Response:
        return _json(b"{}")

    async with scripted(script) as (adapter, shop, _):
        await _error_of(adapter.order_by_no(NO))
        assert len(shop.asked) == 1


async def test_too_many_questions_are_held_back_for_as_long_as_the_shop_says() -> None:
    async def script(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "30"})

    async with scripted(script) as (adapter, shop, breaker):
        began = monotonic()
        error = await _error_of(adapter.order_by_no(NO))
        assert isinstance(error, ShopBusy)
        assert error.retry_after_s == 30
        assert isinstance(await _error_of(adapter.order_by_no(NO)), ShopBusy)
        assert (len(shop.asked), "bad" in breaker.verdicts) == (1, False)
        assert monotonic() - began < 0.5


async def test_a_short_wait_the_shop_asks_for_is_waited_within_the_budget() -> None:
    async def script(request: web.Request) -> web.Response:
        limited = web.Response(status=429, headers={"Retry-After": "0"})
        return limited if len(shop.asked) == 1 else _json(GOOD)

    async with scripted(script) as (adapter, shop, _):
        assert await adapter.order_by_no(NO) is not None
        assert len(shop.asked) == 2


async def test_after_several_failures_the_shop_is_left_alone() -> None:
    async def script(request: web.Request) -> web.Response:
        return _json(b"{}")

    async with scripted(script) as (adapter, shop, breaker):
        for _ in range(5):
            await _error_of(adapter.order_by_no(NO))
        assert len(shop.asked) == 3
        assert (await _error_of(adapter.order_by_no(NO))).error_id == "orders:shop-resting"
        breaker.clock.advance(5)
        shop.script = lambda request: asyncio.sleep(0, _json(GOOD))
        assert await adapter.order_by_no(NO) is not None
        assert adapter.health().breaker == "closed"


async def test_a_caller_who_hangs_up_ends_the_question_and_says_nothing_of_the_shop() -> None:
    reached, left = asyncio.Event(), asyncio.Event()

    async def script(request: web.Request) -> web.Response:
        reached.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            left.set()
        raise AssertionError

    async with scripted(script) as (adapter, _, breaker):
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(adapter.order_by_no(NO))
            await reached.wait()
            asking.cancel()
        await left.wait()
        assert breaker.verdicts == []


@pytest.mark.parametrize("number", ["", "12", "4111111111111111", "../../knobs", "1234567a", "１２３４５６７８"])
async def test_what_is_no_order_number_is_asked_of_nobody(number: str) -> None:
    async def script(request: web.Request) -> web.Response:
        raise AssertionError

    async with scripted(script) as (adapter, shop, _):
        assert await adapter.order_by_no(number) is None
        assert shop.asked == []


# --- lists


async def test_orders_of_another_phone_are_never_given_on() -> None:
    async def script(request: web.Request) -> web.Response:
        return _json(PAGE)

    async with scripted(script) as (adapter, _, _):
        assert [o.order_no for o in await adapter.orders_by_phone(SAMPLE["ani"])] == [NO]
        assert (await _error_of(adapter.orders_by_phone("+12125550199"))).error_id == "orders:shop-other-order"


async def test_one_unreadable_order_does_not_hold_up_the_others() -> None:
    async def script(request: web.Request) -> web.Response:
        data = [json.loads(_document or b""), {"number": "?"}, 7, None]
        return web.json_response({"data": data, "paging": {"next": None}})

    async with scripted(script) as (adapter, _, _):
        page = await adapter.changed_since("")
        assert ([o.order_no for o in page.orders], page.unreadable) == ([NO], 3)


async def test_a_page_of_which_nothing_can_be_read_is_an_error() -> None:
    async def script(request: web.Request) -> web.Response:
        return web.json_response({"data": [{}, {}], "paging": {"next": "x"}})

    async with scripted(script) as (adapter, _, _):
        assert (await _error_of(adapter.changed_since(""))).error_id == "orders:shop-wrong-shape"


@pytest.mark.parametrize("cursor", ["{", "[]", '{"since": 1}', "@7"])
async def test_a_mark_that_cannot_be_read_begins_anew(cursor: str) -> None:
    async def script(request: web.Request) -> web.Response:
        return _json(PAGE)

    async with scripted(script) as (adapter, shop, _):
        await adapter.changed_since(cursor)
        assert set(shop.asked[0].query) == {"per_page"}


async def test_nothing_of_an_order_stands_in_an_errors_text() -> None:
    async def script(request: web.Request) -> web.Response:
        return _json(GOOD.replace(b'"rev":', b'"revision":'))

    async with scripted(script) as (adapter, _, _):
        error = await _error_of(adapter.order_by_no(NO))
        assert NO not in str(error)
        assert SAMPLE["second_factor"] not in str(error)
