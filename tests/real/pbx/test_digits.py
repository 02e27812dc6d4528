"""The keypad's door: whatever is pressed in a menu, it is bounded, kept to itself, and the caller can still reach a person."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.softphone import Call, Media
from app.softphone.media import DIGITS, FRAME
from core.clock import SystemClock
from core.events import DomainEvent, to_record
from core.events.ivr import DigitsCollected, FlowEnded
from ivr.agi_line import MenuCalls
from ivr.catalogue import FlowCatalogue
from ivr.runner import Runner
from tests.real.pbx.room import Room
from tests.real.pbx.strangers import rows
from tests.unit.ivr.build import FOUND, Desk, Queues

pytestmark = pytest.mark.asyncio(loop_scope="package")
FLOW = """
name: door
start: main
person: person
languages: [en]
nodes:
  main: {type: menu, say: [no-input], first_digit_s: 1, tries: 2, exits: {1: order, 0: person}}
  order: {type: digits, say: [no-input], save_as: order_no, shortest: 6, longest: 12, personal: true, tries: 3,
          first_digit_s: 1, inter_digit_s: 1, next: again}
  again: {type: menu, say: [no-input], first_digit_s: 1, tries: 2, exits: {0: person}}
  person: {type: handoff, queue: service, say: [connecting]}
"""


@dataclass
class Told:
    """Events of all calls; `until` waits for one of a call."""

    events: list[DomainEvent] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def emit(self, event: DomainEvent) -> None:
        self.events.append(event)
        self.news.set()

    def of(self, ix: str, kind: type) -> list[Any]:
        return [event for event in self.events if event.interaction_id == ix and isinstance(event, kind)]


def press(media: Media, digit: str, stamp: int, samples: int) -> None:
    """One whole key press in one go (RFC 4733 §2.5): it says of itself how long it was held, in samples at 8 kHz."""
    updates = [*range(FRAME, samples, max(FRAME, samples // 20)), samples]
    for at, length in enumerate(updates):
        media._send(101, struct.pack("!BBH", DIGITS.index(digit), 10, length), stamp, marker=at == 0)
    for _ in range(3):
        media._send(101, struct.pack("!BBH", DIGITS.index(digit), 0x80 | 10, samples), stamp)


async def press_all(call: Call, row: dict[str, Any]) -> None:
    stamp = call.media._stamp + 100 * FRAME
    for key in str(row["keys"]) * row.get("repeat", 1):
        samples = min(0xFFFF, int(row.get("held_s", 0.04) * 8000))
        press(call.media, key, stamp, samples)
        stamp += samples + FRAME
        await asyncio.sleep(row.get("every_ms", 100) / 1000)


async def one_caller(room: Room, told: Told, row: dict[str, Any], number: str) -> None:
    call = await room.caller.call(room.plan.dids.menu, from_user=number)
    assert await call.until("talking") == "talking"
    arrived = await room.parts.heard.until("CallArrived", lambda event: getattr(event, "ani", "") == number)
    ix = arrived.interaction_id
    await call.media.more(5)
    if row["at"] == "order":
        await press_all(call, {"keys": "1"})
        await asyncio.sleep(0.3)
    await press_all(call, row)

    def collected() -> list[list[str]]:
        """What was collected at the node that the row speaks of."""
        return [
            [e.node, e.outcome] for e in told.of(ix, DigitsCollected) if [e.node] in [part[:1] for part in row["heard"]]
        ]

    async with asyncio.timeout(30):
        while not told.of(ix, FlowEnded):
            told.news.clear()
            if len(collected()) >= len(row["heard"]):
                await press_all(call, {"keys": "0#"})
            try:
                async with asyncio.timeout(1.0):
                    await told.news.wait()
            except TimeoutError:
                continue
    (ended,) = told.of(ix, FlowEnded)
    assert (ended.exit, ended.queue) == ("handoff", "service"), ended
    assert collected()[: len(row["heard"])] == row["heard"], collected()
    assert len(told.of(ix, DigitsCollected)) <= 12, "bounded"
    await room.parts.heard.until("CallWaiting", lambda event: event.interaction_id == ix)
    assert call.state == "talking"


async def test_whatever_is_pressed_every_caller_still_reaches_a_person_and_no_secret_is_kept(room: Room) -> None:
    told, wrong, corpus = Told(), {}, rows("digits")
    catalogue = FlowCatalogue({room.plan.dids.menu: "door"}, told, SystemClock())
    catalogue.publish(FLOW, "door.yaml")
    menus = MenuCalls(Runner(catalogue, Desk(FOUND), Queues(), told, SystemClock()))
    async with room.serving(menus) as parts:

        async def tried(row: dict[str, Any], number: str) -> None:
            try:
                await one_caller(room, told, row, number)
            except (AssertionError, TimeoutError) as error:
                wrong[row["what"]] = f"{type(error).__name__} {error}"

        async with asyncio.TaskGroup() as group:
            for place, row in enumerate(corpus):
                group.create_task(tried(row, f"136000000{place:02d}"))
        assert wrong == {}
        kept = [str(to_record(event)) for event in [*told.events, *parts.heard.events]]
        kept += [str(channel) for channel in await room.channels()]
        kept += [file.read_text("utf-8", "replace") for file in logs(room)]
        for row in corpus:
            secret = str(row.get("secret", ""))
            assert not secret or not any(secret in text for text in kept), row["what"]
        assert len(await room.channels()) == len(corpus)


def logs(room: Room) -> list[Path]:
    folders = (room.plan.folders.log, room.plan.folders.asterisk / "log")
    return [file for folder in folders for file in folder.rglob("*") if file.is_file()]
