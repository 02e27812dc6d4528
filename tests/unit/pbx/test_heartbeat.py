"""The dialplan hears that the loop serving calls lives, and only then; and its watchdog is looked after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from pbx.control import Control
from pbx.heartbeat import BEAT_S, LOOK_EVERY, Heartbeat
from tests.unit.pbx.switch import FakeLink
from tests.virtual import virtual_time


class Room:
    def __init__(self, epoch: int = 3) -> None:
        self.link = FakeLink()
        self.heartbeat = Heartbeat(self.link, Control(self.link), epoch=epoch)  # type: ignore[arg-type]

    def beats(self) -> list[int]:
        return [int(said["Value"]) for said in self.link.of("Setvar") if said["Variable"] == "AC_HB"]

    @contextmanager
    def running(self) -> Iterator[None]:
        task = asyncio.get_running_loop().create_task(self.heartbeat.run())
        yield
        assert not task.done(), task
        task.cancel()

    async def watchdog(self) -> None:
        """The dialplan's own loop."""
        while True:
            await asyncio.sleep(0.5)
            self.link.globals["AC_WD"] = str(int(self.link.globals.get("AC_WD", "0")) + 1)


@virtual_time
async def test_a_new_link_hears_the_epoch_first_then_a_beat_and_that_we_are_not_quiet() -> None:
    room = Room(epoch=9)
    await room.heartbeat.greet()
    assert [(said["Variable"], said["Value"]) for said in room.link.of("Setvar")] == [
        ("ACD_EPOCH", "9"), ("AC_HB", "2"), ("AC_QUIET", "0"),
    ]  # fmt: skip


@virtual_time
async def test_the_counter_rises_twice_a_second_by_one() -> None:
    room = Room()
    await room.heartbeat.greet()
    with room.running():
        await asyncio.sleep(10 * BEAT_S + 0.1)
    assert room.beats() == list(range(2, 13))


@virtual_time
async def test_without_a_link_nothing_is_sent_and_with_it_the_counter_goes_on_rising() -> None:
    room = Room()
    await room.heartbeat.greet()
    with room.running():
        await asyncio.sleep(2 * BEAT_S + 0.1)
        room.link.up = False
        await asyncio.sleep(20)
        room.link.up = True
        await asyncio.sleep(2 * BEAT_S)
    beats = room.beats()
    assert beats == sorted(set(beats)) and len(beats) == 1 + 2 + 2


@virtual_time
async def test_a_refusal_or_a_link_that_breaks_in_the_middle_of_a_beat_does_not_end_it() -> None:
    room = Room()
    await room.heartbeat.greet()
    with room.running():
        room.link.refuse = lambda _name, _headers: "Permission denied"
        await asyncio.sleep(3 * BEAT_S + 0.1)
        room.link.refuse = lambda _name, _headers: None
        await asyncio.sleep(2 * BEAT_S)
    assert room.beats() == list(range(2, 8))


@virtual_time
async def test_a_new_owner_of_routing_is_told_with_the_next_beat_once() -> None:
    room = Room()
    await room.heartbeat.greet()
    with room.running():
        await asyncio.sleep(BEAT_S + 0.1)
        room.heartbeat.epoch = 4
        await asyncio.sleep(5 * BEAT_S)
    assert [said["Value"] for said in room.link.of("Setvar") if said["Variable"] == "ACD_EPOCH"] == ["3", "4"]


@virtual_time
async def test_a_watchdog_that_lives_is_left_alone_and_a_dead_one_is_started_again() -> None:
    room = Room()
    watchdog = asyncio.get_running_loop().create_task(room.watchdog())
    with room.running():
        await asyncio.sleep(3 * LOOK_EVERY * BEAT_S)
        assert room.heartbeat.watchdog_restarts == 0 and not room.link.of("Originate")
        watchdog.cancel()
        await asyncio.sleep(2 * LOOK_EVERY * BEAT_S)
    assert room.heartbeat.watchdog_restarts >= 1
    said = room.link.of("Originate")[0]
    assert said["Channel"].startswith("Local/s@ac-watchdog") and "Application" not in said
