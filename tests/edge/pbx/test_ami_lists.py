"""Lists over the link: each in its place among the events, whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from pbx.ami import ActionRefused, LinkDown
from pbx.ami_events import seen_in_status
from pbx.ami_wire import Block, first
from tests.edge.pbx.manager import answered, block, error_of, hangup, linked, listed, refused, until
from tests.virtual import virtual_time


def ids(blocks: list[Block]) -> list[str]:
    return [first(item, "uniqueid") for item in blocks]


@virtual_time
async def test_a_list_is_taken_in_its_place_among_the_events() -> None:
    async with linked() as (manager, ours):
        ask = listed(["a", "b", "c"], between=hangup(2))
        manager.answers["Status"] = lambda action: hangup(1) + str(ask(action)) + hangup(3)
        seen: list[int] = []
        taken = await ours.link.ask_list("Status", take=lambda items: (seen.extend(ours.causes()), ids(items))[1])
        assert taken == ["a", "b", "c"] and seen == [1, 2, 2, 2]
        await until(lambda: ours.causes() == [1, 2, 2, 2, 3])


@virtual_time
async def test_lists_asked_for_at_once_do_not_mix() -> None:
    async with linked() as (manager, ours):
        manager.answers["Status"] = lambda action: listed([first(action, "channel")] * 3)(action)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(ours.link.ask_list("Status", {"Channel": f"c{n}"}, take=ids)) for n in range(5)]
        assert [task.result() for task in asked] == [[f"c{n}"] * 3 for n in range(5)]


@pytest.mark.parametrize("answer", [listed([]), answered(block("Response: Success", "ActionID: {id}", "EventList: start") +
                                    block("Event: StatusComplete", "ActionID: {id}"))])  # fmt: skip
@virtual_time
async def test_an_empty_list_is_a_list(answer: Callable[[Block], str | None]) -> None:
    async with linked() as (manager, ours):
        manager.answers["Status"] = answer
        assert await ours.link.ask_list("Status", take=ids) == []


@virtual_time
async def test_a_list_that_is_refused_or_never_ends_is_not_taken() -> None:
    async with linked() as (manager, ours):
        taken: list[object] = []
        manager.answers["Status"] = refused("Permission denied")
        assert isinstance(await error_of(ours.link.ask_list("Status", take=taken.append)), ActionRefused)
        half = block("Response: Success", "ActionID: {id}", "EventList: start") + block(
            "Event: Status", "ActionID: {id}"
        )
        manager.answers["Status"] = answered(half)
        assert isinstance(await error_of(ours.link.ask_list("Status", take=taken.append)), LinkDown)
        late = first(manager.got[-1][1], "actionid") if manager.names()[-1] == "Status" else ""
        manager.tell(block("Event: StatusComplete", f"ActionID: {late}", "EventList: Complete"), hangup(1))
        await until(lambda: ours.causes() == [1])
        assert taken == [] and ours.link.up


@virtual_time
async def test_whoever_takes_a_list_and_fails_hears_of_it_and_nobody_else() -> None:
    async with linked() as (manager, ours):
        manager.answers["Status"] = listed(["a"])

        def take(_items: list[Block]) -> None:
            raise KeyError("a fault of ours")

        with pytest.raises(KeyError):
            await ours.link.ask_list("Status", take=take)
        manager.tell(hangup(1))
        await until(lambda: ours.causes() == [1])
        assert ours.link.up and await ours.link.ask_list("Status", take=ids) == ["a"]


@virtual_time
async def test_a_list_of_a_thousand_channels_is_read_whole() -> None:
    async with linked() as (manager, ours):
        manager.answers["Status"] = listed([f"n1-{n}.1" for n in range(1000)])
        asked_at = datetime.now(UTC)
        channels = await ours.link.ask_list("Status", take=lambda items: [seen_in_status(i, asked_at) for i in items])
        assert len(channels) == 1000 and all(channels)
