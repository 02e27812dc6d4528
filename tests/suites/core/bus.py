"""What a bus promises, whichever it is. `ends` are two processes' ends of one bus, both running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.bus.model import Bus, Message, Subscriber

Ends = tuple[Bus, Bus]


async def heard(subscriber: Subscriber, count: int) -> list[Message]:
    """The next `count` messages."""
    got: list[Message] = []
    async with asyncio.timeout(30):
        async for message in subscriber:
            got.append(message)
            if len(got) == count:
                break
    return got


@asynccontextmanager
async def running(*buses: Bus) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(bus.run()) for bus in {id(bus): bus for bus in buses}.values()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def all_listen(buses: Sequence[Bus]) -> None:
    async with asyncio.timeout(30):
        for bus in buses:
            await bus.listening.wait()


class BusPromises:
    async def test_a_message_reaches_every_subscriber_of_its_topic_in_order_its_own_process_too(
        self, ends: Ends
    ) -> None:
        here, there = ends
        subscribers = [here.subscribe("live"), here.subscribe("live"), there.subscribe("live")]
        others = [here.subscribe("other"), there.subscribe("live:more")]
        await all_listen(ends)
        for n in range(50):
            here.publish("live", {"n": n})
        for subscriber in subscribers:
            assert await heard(subscriber, 50) == [{"n": n} for n in range(50)]
        here.publish("other", {"last": True})
        assert await heard(others[0], 1) == [{"last": True}]
        assert not others[1]._messages

    @pytest.mark.parametrize("message", [
        {}, {"text": "张伟 😀 \u2028 \x00 \r\n", "": None}, {"deep": [[{"a": [1, 2.5, True, None]}]]}, {"big": "x" * 100_000},
    ], ids=["empty", "odd", "deep", "big"])  # fmt: skip
    async def test_a_message_arrives_as_its_json_says(self, ends: Ends, message: Message) -> None:
        here, there = ends
        subscriber = there.subscribe("live")
        await all_listen(ends)
        here.publish("live", message)
        assert await heard(subscriber, 1) == [message]

    async def test_everybody_gets_a_copy_as_it_was_when_it_was_published(self, ends: Ends) -> None:
        here, _ = ends
        one, other = here.subscribe("live"), here.subscribe("live")
        await all_listen(ends)
        message: dict[str, Any] = {"list": [1]}
        here.publish("live", message)
        message["list"].append(2)
        [first] = await heard(one, 1)
        first["list"].append(3)
        assert await heard(other, 1) == [{"list": [1]}]

    async def test_what_is_no_json_is_dropped_counted_and_told_and_the_next_arrives(self, ends: Ends) -> None:
        here, there = ends
        subscriber = there.subscribe("live")
        await all_listen(ends)
        with capture_logs() as logs:
            for message in ({"x": object()}, {"x": {1, 2}}, {("a",): 1}):
                here.publish("live", message)  # type: ignore[arg-type]
        here.publish("live", {"good": 1})
        assert await heard(subscriber, 1) == [{"good": 1}]
        assert here.dropped == 3
        assert [entry["event"] for entry in logs] == ["bus_message_unwritable"] * 3

    async def test_who_falls_behind_loses_the_oldest_is_told_and_slows_nobody(self, ends: Ends) -> None:
        here, there = ends
        slow, quick = there.subscribe("live", bound=5), there.subscribe("live")
        await all_listen(ends)
        for n in range(20):
            here.publish("live", {"n": n})
        assert await heard(quick, 20) == [{"n": n} for n in range(20)]
        assert slow.lagged == 15
        assert await heard(slow, 5) == [{"n": n} for n in range(15, 20)]
        assert quick.lagged == 0

    async def test_a_closed_subscriber_ends_with_what_it_had_and_costs_nothing_more(self, ends: Ends) -> None:
        here, there = ends
        closed, open_ = there.subscribe("live"), there.subscribe("live")
        await all_listen(ends)
        here.publish("live", {"n": 1})
        assert await heard(open_, 1) == [{"n": 1}]
        closed.close()
        here.publish("live", {"n": 2})
        assert await heard(open_, 1) == [{"n": 2}]
        async with asyncio.timeout(10):
            assert [message async for message in closed] == [{"n": 1}]
        open_.close()
        closed.close()
        assert there._topics.names() == []  # type: ignore[attr-defined]

    async def test_one_may_subscribe_at_any_time_and_again_after_all_have_closed(self, ends: Ends) -> None:
        here, there = ends
        here.publish("unheard", {"nobody": "hears it"})
        for n in range(2):
            subscriber = there.subscribe("live")
            await all_listen(ends)
            here.publish("live", {"n": n})
            assert await heard(subscriber, 1) == [{"n": n}]
            subscriber.close()

    async def test_a_subscriber_that_sleeps_is_woken(self, ends: Ends) -> None:
        here, there = ends
        subscriber = there.subscribe("live")
        await all_listen(ends)
        waiting = asyncio.get_running_loop().create_task(heard(subscriber, 1))
        await asyncio.sleep(0)
        here.publish("live", {"n": 1})
        assert await waiting == [{"n": 1}]
