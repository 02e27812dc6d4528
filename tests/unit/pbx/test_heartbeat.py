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
        self.superseded = 0
        self.heartbeat = Heartbeat(
            self.link,
            Control(self.link),
            slot=2,
            life="x",
            superseded=self._count,  # type: ignore[arg-type]
        )
        self.heartbeat.epoch = epoch

    def _count(self) -> None:
        self.superseded += 1

    def told(self) -> list[tuple[str, str]]:
        return [(said["Variable"], said["Value"]) for said in self.link.of("Setvar")]

    def beats(self, name: str = "AC_HB") -> list[int]:
        return [int(value.removeprefix("x.")) for variable, value in self.told() if variable == name]

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
    assert room.told() == [
        ("ACD_EPOCH", "9"), ("AC_FIRST", "2"), ("AC_OPEN", "1"), ("AC_HB_2", "x.1"), ("AC_HB", "x.1"), ("AC_QUIET_2", "0"),
        ("AC_QUIET", "0"),
    ]  # fmt: skip


@virtual_time
async def test_a_standby_beats_for_its_menus_and_for_no_queue() -> None:
    room = Room(epoch=0)
    await room.heartbeat.greet()
    with room.running():
        await asyncio.sleep(3 * BEAT_S + 0.1)
    assert room.beats("AC_HB_2") == [1, 2, 3, 4] and room.beats() == []
    assert {name for name, _ in room.told()} == {"AC_HB_2", "AC_QUIET_2"}


@virtual_time
async def test_a_new_owner_outbids_what_the_switch_remembers_of_a_database_that_was_made_anew() -> None:
    room = Room(epoch=0)
    room.link.globals["ACD_EPOCH"] = "57"
    assert await room.heartbeat.own(1) == 58
    assert ("ACD_EPOCH", "58") in room.told() and ("AC_FIRST", "2") in room.told()


@virtual_time
async def test_an_owner_that_was_replaced_finds_it_in_the_switch_says_so_once_and_beats_for_no_queue() -> None:
    room = Room(epoch=3)
    await room.heartbeat.greet()
    with room.running():
        await asyncio.sleep(BEAT_S + 0.1)
        room.link.globals["ACD_EPOCH"] = "4"
        await asyncio.sleep(3 * BEAT_S)
        queues, menus = len(room.beats()), len(room.beats("AC_HB_2"))
        await asyncio.sleep(4 * BEAT_S)
    assert room.superseded == 1 and room.heartbeat.epoch == 0
    assert len(room.beats()) == queues and len(room.beats("AC_HB_2")) == menus + 4
    assert [pair for pair in room.told() if pair[0] == "ACD_EPOCH"][-1] == ("ACD_EPOCH", "3")


@virtual_time
async def test_an_owner_that_was_replaced_while_it_had_no_link_takes_nothing_back() -> None:
    room = Room(epoch=3)
    room.link.globals["ACD_EPOCH"] = "4"
    await room.heartbeat.greet()
    assert room.superseded == 1 and room.link.globals["ACD_EPOCH"] == "4"
    assert room.beats() == []


@virtual_time
async def test_the_counter_rises_twice_a_second_by_one() -> None:
    room = Room()
    await room.heartbeat.greet()
    with room.running():
        await asyncio.sleep(10 * BEAT_S + 0.1)
    assert room.beats() == room.beats("AC_HB_2") == list(range(1, 12))


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
    assert room.beats("AC_HB_2") == list(range(1, 7))


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
