"""Roles apart: everybody hears what the others tell, in order and once; what is lost is found and asked for anew; and what
is asked has one effect, in time, or none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from app.roles.acd import over
from app.roles.links import RemoteFault
from core.bus.redis_bus import PREFIX
from core.errors import BadInput, Unavailable
from core.events import to_record
from core.events.ivr import FlowWaited
from tests.unit.roles.wires import NOW, Process, Wire, arrived, calls, ended, running, until, waits

FACTS = f"{PREFIX}told:facts"


@pytest.fixture
def wire() -> Wire:
    return Wire()


class Pair:
    """A telephony process and an ACD that follows it."""

    def __init__(self, wire: Wire) -> None:
        self.live: list[str] = []
        self.telephony = Process(wire.connect, "telephony", "t1", lambda: self.live)
        self.acd = Process(wire.connect, "acd", "a1", list)
        self.stack = AsyncExitStack()

    async def serve(self, process: Process, role: str) -> None:
        """`process` takes the commands to the role."""
        group = await self.stack.enter_async_context(asyncio.TaskGroup())
        commands = process.links.serve(role)
        task = group.create_task(commands.run())
        self.stack.callback(task.cancel)
        await until(commands.started.is_set)


@pytest.fixture
async def pair(wire: Wire) -> AsyncIterator[Pair]:
    it = Pair(wire)
    async with running(it.telephony, it.acd):
        await until(lambda: it.acd.follows(it.telephony))
        async with it.stack:
            yield it


async def test_what_is_told_is_heard_in_order_and_written_down_only_by_who_told_it(pair: Pair) -> None:
    told = [arrived("1"), waits("1"), arrived("2"), ended("1")]
    for event in told:
        pair.telephony.stream.emit(event)
    await until(lambda: len(pair.acd.hear()) == 4)
    assert pair.acd.hear() == told == pair.telephony.journal.events
    assert pair.acd.journal.events == []


async def test_what_a_caller_typed_in_a_menu_does_not_leave_the_process(pair: Pair) -> None:
    waited = FlowWaited(interaction_id="1", at=NOW, flow="f", node="n", wait="digits", session={"typed": "4711"})
    pair.telephony.stream.emit(waited)
    await until(pair.acd.hear)
    assert pair.acd.hear()[0].session == {}  # type: ignore[attr-defined]
    assert pair.telephony.journal.events == [waited]


async def test_a_message_that_comes_twice_is_heard_once(pair: Pair, wire: Wire) -> None:
    pair.telephony.stream.emit(arrived("1"))
    await until(pair.acd.hear)
    again = json.dumps({"l": "t1", "n": 1, "e": to_record(arrived("1"))})
    await wire.connect().xadd(FACTS, {"m": again})
    pair.telephony.stream.emit(ended("1"))
    await until(lambda: len(pair.acd.hear()) == 2)
    assert calls(pair.acd.hear()) == [("CallArrived", "1"), ("CallEnded", "1")]
    assert pair.acd.figure("stream_doubled") == 1


async def test_a_gap_is_not_guessed_over_but_filled_with_what_lives(pair: Pair) -> None:
    pair.telephony.stream.emit(arrived("1"))
    await until(pair.acd.hear)
    taken, pair.telephony.links.outlet.put = pair.telephony.links.outlet.put, lambda _key, _message: None  # type: ignore[method-assign]
    pair.telephony.stream.emit(waits("1"))
    pair.telephony.stream.emit(arrived("2"))
    pair.telephony.links.outlet.put = taken  # type: ignore[method-assign]
    pair.live = ["1", "2", "3"]
    before = len(pair.acd.fresh)
    pair.telephony.stream.emit(arrived("3"))
    await until(lambda: len(pair.acd.fresh) > before)
    fresh = pair.acd.fresh[-1]
    assert calls(fresh.events) == [
        ("CallArrived", "1"),
        ("CallWaiting", "1"),
        ("CallArrived", "2"),
        ("CallArrived", "3"),
    ]
    assert calls(fresh.believed) == [("CallArrived", "1")]
    assert pair.acd.figure("stream_gaps", of="telephony-1") == 1
    pair.telephony.stream.emit(ended("3"))
    await until(lambda: calls(pair.acd.hear())[-1:] == [("CallEnded", "3")])
    assert pair.acd.follows(pair.telephony)


async def test_the_loss_of_the_last_message_is_found_by_the_beat(pair: Pair) -> None:
    before = len(pair.acd.fresh)
    taken, pair.telephony.links.outlet.put = pair.telephony.links.outlet.put, lambda _key, _message: None  # type: ignore[method-assign]
    pair.telephony.stream.emit(arrived("1"))
    pair.telephony.links.outlet.put = taken  # type: ignore[method-assign]
    await until(lambda: len(pair.acd.fresh) > before)
    assert calls(pair.acd.fresh[-1].events) == [("CallArrived", "1")]


async def test_through_a_redis_that_goes_and_comes_back_empty_everybody_finds_their_place_again(
    pair: Pair, wire: Wire
) -> None:
    pair.telephony.stream.emit(arrived("1"))
    await until(pair.acd.hear)
    before = len(pair.acd.fresh)
    wire.cut()
    pair.telephony.stream.emit(waits("1"))
    await until(lambda: pair.telephony.links.outlet.dropped > 0)
    wire.cut(off=False)
    await wire.connect().flushall()
    await until(lambda: len(pair.acd.fresh) > before)
    assert calls(pair.acd.fresh[-1].events) == [("CallArrived", "1"), ("CallWaiting", "1")]
    pair.telephony.stream.emit(ended("1"))
    await until(lambda: calls(pair.acd.hear())[-1:] == [("CallEnded", "1")])


async def test_a_process_that_falls_silent_is_taken_for_dead_within_seconds(pair: Pair) -> None:
    assert pair.acd.links.owner("telephony") is not None
    pair.telephony.links.outlet.put = lambda _key, _message: None  # type: ignore[method-assign]
    await until(lambda: pair.acd.links.owner("telephony") is None, within_s=6)


async def test_a_question_is_answered_and_a_fault_comes_back_as_what_it_is(pair: Pair) -> None:
    async def double(body: dict[str, Any]) -> dict[str, Any]:
        if body["n"] < 0:
            raise BadInput("test:negative", "It is negative.", hint="Take another.")
        return {"n": body["n"] * 2}

    pair.telephony.links.verbs["double"] = double
    await pair.serve(pair.telephony, "telephony")
    assert await pair.acd.links.ask("telephony", "double", {"n": 4}) == {"n": 8}
    with pytest.raises(RemoteFault) as fault:
        await pair.acd.links.ask("telephony", "double", {"n": -1})
    assert (fault.value.error_id, fault.value.status, fault.value.hint) == ("test:negative", 422, "Take another.")


async def test_a_command_of_one_key_has_one_effect_and_each_asker_has_the_answer(pair: Pair) -> None:
    done: list[str] = []

    async def ring(body: dict[str, Any]) -> dict[str, Any]:
        done.append(body["offer_id"])
        await asyncio.sleep(0.02)
        return {"leg_id": f"1-{body['offer_id']}"}

    pair.telephony.links.verbs["ring"] = ring
    await pair.serve(pair.telephony, "telephony")
    asked = [pair.acd.links.ask("telephony", "ring", {"offer_id": "o1"}, key="offer:o1") for _ in range(3)]
    assert await asyncio.gather(*asked) == [{"leg_id": "1-o1"}] * 3
    assert done == ["o1"]
    assert pair.telephony.figure("commands_refused", reason="doubled") == 2


async def test_without_an_answer_the_asker_waits_no_longer_than_it_said(pair: Pair) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable):
        await pair.acd.links.ask("telephony", "ring", {}, deadline_s=0.2)
    assert asyncio.get_running_loop().time() - began < 2


async def test_a_command_that_comes_out_of_a_frozen_redis_too_late_has_no_effect(pair: Pair) -> None:
    done: list[dict[str, Any]] = []

    async def ring(body: dict[str, Any]) -> dict[str, Any]:
        done.append(body)
        return {}

    pair.telephony.links.verbs["ring"] = ring
    with pytest.raises(Unavailable):  # nobody serves yet: it lies there
        await pair.acd.links.ask("telephony", "ring", {}, deadline_s=1.0)
    await asyncio.sleep(0.5)  # its time is over by the clock of Redis, too
    await pair.serve(pair.telephony, "telephony")
    await until(lambda: pair.telephony.figure("commands_refused", reason="late") == 1)
    assert done == []


async def test_whoever_ended_unheard_is_told_to_have_ended(pair: Pair, wire: Wire) -> None:
    for event in (arrived("1"), waits("1"), arrived("2")):
        pair.telephony.stream.emit(event)
    await until(lambda: len(pair.acd.hear()) == 3)
    before = len(pair.acd.fresh)
    pair.telephony.links.living.close("1")  # as a process that has forgotten it
    pair.telephony.links.living._ended.clear()
    pair.live = ["2"]
    peer = pair.acd.links.peers["t1"]
    pair.acd.links.lose_place(peer, "gap")
    await until(lambda: len(pair.acd.fresh) > before)
    assert calls(over(pair.acd.fresh[-1], NOW)) == [("CallEnded", "1")]


def test_every_key_has_a_bound_and_a_time_to_live() -> None:
    from core.bus.streams import most_of

    for key in ("told:facts", "told:events", "beats", "to:telephony", "to:acd", "to:web-1.abc"):
        most, ttl_s = most_of(key)
        assert 0 < most <= 20_000 and 0 < ttl_s <= 3600


async def test_all_that_is_written_expires(pair: Pair, wire: Wire) -> None:
    pair.telephony.stream.emit(arrived("1"))
    await until(pair.acd.hear)
    await pair.serve(pair.telephony, "telephony")
    client = wire.connect()
    keys = await client.keys("*")
    assert {key.decode().removeprefix(PREFIX) for key in keys} >= {
        "told:facts",
        "beats",
        "to:telephony",
        "to:telephony-1.t1",
    }
    assert all([await client.ttl(key) > 0 for key in keys])
