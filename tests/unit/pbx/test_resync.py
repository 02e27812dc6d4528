"""Lists at the right time, taken at their word or not; whoever was lost is brought back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

import pbx
from pbx.ami import LinkDown
from pbx.ami_events import ChannelSeen
from pbx.control import Control
from pbx.reclaim import Reclaim
from pbx.resync import AGAIN_S, EVERY_S, TICKET, Resync
from pbx.switchboard import KnownCall
from tests.unit.pbx.switch import FakeLink, status
from tests.unit.pbx.truth import Desk
from tests.virtual import VirtualLoop, now, virtual_time

IX, CALLER, LEG = "n1-1.1", "PJSIP/trunk-1", "n1-1.1-o1"
T0 = datetime(2026, 11, 24, 8, 59, tzinfo=UTC)


class Room:
    def __init__(self) -> None:
        self.link, self.desk = FakeLink(), Desk()
        self.control = Control(self.link)  # type: ignore[arg-type]
        self.resync = Resync(self.link, self.control, self.desk.board, default_queue="service")  # type: ignore[arg-type]

    def arrives(self, ix: str = IX) -> None:
        self.desk.take([ChannelSeen(at=T0, uniqueid=ix, channel=CALLER, number="138", dialled="4008002000")])

    def lists(self) -> int:
        return self.link.names().count("Status")


@contextmanager
def running(room: Room) -> Iterator[None]:
    task = asyncio.get_running_loop().create_task(room.resync.run())
    yield
    assert not task.done(), task
    task.cancel()


# --- when


@virtual_time
async def test_after_a_new_link_one_list_decides_and_later_ones_look_twice() -> None:
    room = Room()
    room.arrives()
    assert await room.resync.now() == 1 and room.lists() == 1
    assert room.desk.heard.kinds().count("CallEnded") == 1
    room.arrives("n1-2.2")
    begun = now()
    assert await room.resync.now() == 1
    assert room.lists() == 3 and now() - begun == pytest.approx(AGAIN_S)
    room.link.reconnects += 1
    room.arrives("n1-3.3")
    await room.resync.now()
    assert room.lists() == 4


@virtual_time
async def test_a_call_whose_last_events_come_between_two_lists_is_not_repaired() -> None:
    room = Room()
    await room.resync.now()
    room.arrives()

    def second() -> None:
        if room.lists() == 3:
            room.link.channels = [status(IX, CALLER, AC_IX=IX)]

    room.link.on_list = second
    assert await room.resync.now() == 0 and room.desk.board.call(IX) is not None
    assert not room.desk.heard.of("CallEnded")


@virtual_time
async def test_after_a_restart_of_asterisk_its_calls_are_lost_before_anything_is_listed_and_only_once() -> None:
    room = Room()
    await room.resync.now()
    room.arrives()
    room.link.reconnects, room.link.restarted = 1, True
    room.link.on_list = lambda: room.desk.heard.events.append(None)  # type: ignore[arg-type]
    await room.resync.now()
    kinds = ["list" if event is None else event.kind for event in room.desk.heard.events]
    assert kinds.index("CallEnded") < kinds.index("list", 2)
    room.arrives("n1-2.2")
    room.link.channels = [status("n1-2.2", CALLER, AC_IX="n1-2.2")]
    await room.resync.now()
    assert [call.id for call in room.desk.board.calls()] == ["n1-2.2"]


@virtual_time
async def test_lists_come_every_ten_seconds_while_there_is_a_link_and_a_failure_does_not_end_them() -> None:
    room = Room()
    with running(room):
        await asyncio.sleep(EVERY_S * 3 + 1)
        assert room.lists() == 3
        room.link.up = False
        await asyncio.sleep(EVERY_S * 3)
        assert room.lists() == 3
        room.link.up = True
        await asyncio.sleep(1)
        assert room.lists() == 4, "overdue"
        room.link.refuse = lambda name, _headers: "not now" if name == "Status" else None
        await asyncio.sleep(EVERY_S * 2)
        room.link.refuse = lambda _name, _headers: None
        room.arrives()
        await asyncio.sleep(EVERY_S + 1)
        assert not room.desk.board.calls()


@virtual_time
async def test_who_finds_that_they_slept_lists_before_anything_else() -> None:
    room = Room()
    with running(room):
        await asyncio.sleep(1.2)
        assert room.lists() == 0
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.jump(3.0)  # stopped, or a handler that held the loop
        await asyncio.sleep(0.6)
        assert room.lists() == 1


# --- what


def test_every_channel_variable_that_we_read_is_asked_for() -> None:
    folder = Path(pbx.__file__).parent
    text = "".join((folder / name).read_text(encoding="utf-8") for name in ("switchboard.py", "reclaim.py"))
    read = set(re.findall(r'"(AC_[A-Z]+|BRIDGEPEER)"', text))
    assert "AC_QUEUE" in read and read <= set(TICKET)


@virtual_time
async def test_what_a_process_before_us_told_is_taken_at_the_first_list_that_came() -> None:
    room = Room()
    room.resync.known = {IX: KnownCall(T0), "n1-0.9": KnownCall(T0)}
    room.link.channels = [status(IX, CALLER, AC_IX=IX)]
    room.link.up = False
    with pytest.raises(LinkDown):
        await room.resync.now()
    assert room.resync.known, "not lost with the link"
    room.link.up = True
    await room.resync.now()
    assert [(e.interaction_id, e.reason) for e in room.desk.heard.of("CallEnded")] == [("n1-0.9", "unseen")]  # type: ignore[attr-defined]
    assert not room.desk.heard.of("CallArrived") and [call.arrived_at for call in room.desk.board.calls()] == [T0]
    await room.resync.now()
    assert len(room.desk.heard.of("CallEnded")) == 1


@virtual_time
async def test_phones_are_listed_too() -> None:
    room = Room()
    room.link.devices = [{"event": "DeviceStateChange", "device": "PJSIP/101", "state": "NOT_INUSE"}, {"event": "x"}]
    await room.resync.now()
    told = {e.extension: e.reachable for e in room.desk.heard.of("AgentDeviceChanged")}  # type: ignore[attr-defined]
    assert told["101"] and not told["102"]


@virtual_time
async def test_a_talk_that_nobody_was_told_of_began_when_the_dialplan_says() -> None:
    room = Room()
    since = str(int(T0.timestamp() * 1000))
    room.link.channels = [
        status(IX, CALLER, bridge="b", AC_IX=IX, AC_STAGE="talk", AC_OFFER="o1", AC_SINCE=since),
        status(LEG, "PJSIP/101-1", bridge="b"),
        status("n1-2.2", "PJSIP/trunk-2", bridge="c", AC_IX="n1-2.2", AC_STAGE="talk", AC_OFFER="o2", AC_SINCE="soon"),
        status("n1-2.2-o2", "PJSIP/102-1", bridge="c"),
    ]
    asked_at = datetime.now(UTC).replace(microsecond=0)
    await room.resync.now()
    began = {e.offer_id: (e.at, e.caller) for e in room.desk.heard.of("CallConnected")}  # type: ignore[attr-defined]
    assert began["o1"] == (T0, CALLER)
    assert began["o2"][0] >= asked_at, "what cannot be read is taken from the list itself"


# --- who was lost


@virtual_time
async def test_callers_in_the_static_queue_come_back_with_their_place_and_a_queue() -> None:
    room = Room()
    room.link.channels = [
        status("n1-1.1", "PJSIP/trunk-1", AC_IX="n1-1.1", AC_STAGE="fallback", AC_QUEUE="express", AC_AT="1"),
        status("n1-2.2", "PJSIP/trunk-2", AC_IX="n1-2.2", AC_STAGE="fallback"),
    ]
    await room.resync.now()
    assert [said["Channel"] for said in room.link.of("Redirect")] == ["PJSIP/trunk-1", "PJSIP/trunk-2"]
    assert {said["Context"] for said in room.link.of("Redirect")} == {"ac-wait"}
    assert room.link.of("Setvar") == [{"Channel": "PJSIP/trunk-2", "Variable": "AC_QUEUE", "Value": "service"}]
    assert room.resync.reclaimed == 2


@pytest.mark.parametrize(
    "channel",
    [
        status(IX, CALLER, AC_IX=IX, AC_STAGE="fallback", bridge="b"),
        status(IX, CALLER, AC_IX=IX, AC_STAGE="fallback", BRIDGEPEER="PJSIP/101-1"),
        *(
            status(IX, CALLER, AC_IX=IX, AC_STAGE=stage)
            for stage in ("menu", "lost", "wait", "talk", "after", "voicemail", "")
        ),
        status(LEG, "PJSIP/101-1", state="Up"),
        status("n1-5.5", "PJSIP/101-1", state="Ringing"),
        status("n1-5.5", "Local/s@ac-watchdog-0;1", state="Up"),
    ],
    ids=lambda channel: f"{channel['uniqueid']} {channel['channelstatedesc']} {channel['variable']}",
)
@virtual_time
async def test_whoever_talks_is_served_or_is_none_of_ours_is_left_alone(channel: dict) -> None:
    room = Room()
    room.link.channels = [channel]
    await room.resync.now()
    assert set(room.link.names()) == {"DeviceStateList", "Status"}


@virtual_time
async def test_a_phone_that_rings_for_an_offer_of_a_process_that_is_gone_is_stopped_and_one_of_ours_is_not() -> None:
    room = Room()
    await room.control.offer(
        offer_id="o2", interaction_id=IX, caller_channel=CALLER, extension="102", ring_s=9, epoch=1
    )
    room.link.channels = [
        status(LEG, "PJSIP/101-1", state="Ringing"), status(f"{IX}-o2", "PJSIP/102-1", state="Ringing"),
        status(f"{IX}-o3", "PJSIP/103-1", state="Down"),
    ]  # fmt: skip
    await room.resync.now()
    assert [said["Channel"] for said in room.link.of("Hangup")] == [LEG, f"{IX}-o3"]
    assert [e.what for e in room.desk.heard.of("StateRepaired")] == ["offer_orphaned"] * 2  # type: ignore[attr-defined]


@virtual_time
async def test_what_is_refused_for_one_caller_does_not_keep_the_next_from_coming_back_and_is_tried_again() -> None:
    room = Room()
    reclaim = Reclaim(room.control, room.desk.board, default_queue="service")
    seen = [
        ChannelSeen(at=T0, uniqueid=f"n1-{n}.1", channel=f"PJSIP/trunk-{n}", variables={"AC_STAGE": "fallback", "AC_QUEUE": "q"})
        for n in (1, 2)
    ] + [ChannelSeen(at=T0, uniqueid=LEG, channel="PJSIP/101-1", ringing=True)]  # fmt: skip
    room.link.refuse = lambda name, said: "No such channel" if said.get("Channel") in ("PJSIP/trunk-1", LEG) else None
    await reclaim.take(seen)
    assert (reclaim.callers, reclaim.orphans) == (1, 0) and not room.desk.heard.of("StateRepaired")
    room.link.refuse = lambda _name, _said: None
    await reclaim.take(seen)
    assert (reclaim.callers, reclaim.orphans) == (3, 1)
    room.link.up = False
    with pytest.raises(LinkDown):
        await reclaim.take(seen)
