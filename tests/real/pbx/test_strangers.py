"""The door to the telephone network: whatever comes in, nothing is executed, believed or lost, and the next caller is served."""

from __future__ import annotations

import asyncio
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from app.softphone import Softphone
from core.events import pbx as facts
from tests.real.pbx.room import Room
from tests.real.pbx.strangers import Sender, Stranger, odd, rows

pytestmark = pytest.mark.asyncio(loop_scope="package")
USUAL = '"Li Na" <sip:13800138000@127.0.0.1>'
UNANSWERED_S = 1.0  # Asterisk says nothing to what it cannot read


async def test_the_network_may_send_what_it_likes_and_the_next_caller_is_served(room: Room) -> None:
    pid = room.pid
    async with room.serving() as parts, room.outside() as registered:
        answers = await Sender.send_all((room.plan.sip.host, room.plan.sip.port), rows("sip_raw"))
        accepted = [line for line in answers if line.startswith("SIP/2.0 2")]
        assert accepted == [] and any(" 401 " in line for line in answers)
        assert [kind for kind in parts.heard.kinds() if kind.startswith(("Call", "Leg"))] == [], "nobody came in"
        await still_serves(room, pid, registered)


async def test_callers_may_call_themselves_what_they_like(room: Room, tmp_path: Path) -> None:
    pid, mark, wrong = room.pid, tmp_path / "mark", {}
    async with room.serving() as parts, room.outside() as registered, await stranger(room) as phone:
        for row in rows("sip_callers"):
            try:
                await one_call(room, phone, row, mark)
            except (AssertionError, TimeoutError) as error:
                wrong[row["what"]] = f"{type(error).__name__} {error}"
            for call in list(phone.calls.values()):
                call.hang_up()
                call.vanish()
        assert wrong == {}
        assert not mark.exists()
        arrived = [event.interaction_id for event in parts.heard.events if event.kind == "CallArrived"]
        await still_serves(room, pid, registered)
        ended = [event.interaction_id for event in parts.heard.events if event.kind == "CallEnded"]
        assert set(arrived) <= set(ended) and len(ended) == len(set(ended))


async def test_an_agents_phone_cannot_dial_out_either(room: Room) -> None:
    pid = room.pid
    async with room.serving(), room.outside() as registered:
        for row in rows("sip_callers"):
            if "to" in row and row["to"] not in ("101", "*41"):
                call = await room.agents[1].call(odd(row["to"]))
                assert await call.until("ended", timeout_s=5) == "ended" and call.status in (404, 484, 400), row["what"]
        await still_serves(room, pid, registered)


async def one_call(room: Room, phone: Stranger, row: dict[str, Any], mark: Path) -> None:
    parts = room.parts
    parts.heard.events.clear()
    fill = str(mark).replace("/", "%2F") if "%20MARK" in str(row) else str(mark)
    headers = [(name, odd(value).replace("MARK", fill)) for name, value in row.get("headers", ())]
    target = odd(str(row.get("to", room.plan.dids.queue))).replace("MARK", fill)
    call = await phone.call_as(target, odd(row.get("from", USUAL)).replace("MARK", fill), headers)
    ends = row.get("ends")
    try:
        state = await call.until("talking", timeout_s=UNANSWERED_S if ends == "any" else 10)
    except TimeoutError:
        assert ends == "any"
        return
    if ends is not None and ends != "any":
        assert (state, call.status) == ("ended", ends)
    if state == "ended":
        assert ends is not None, f"ended with {call.status}"
        return
    waiting = await parts.heard.until("CallWaiting", timeout_s=5)
    ix = waiting.interaction_id
    arrived = await parts.heard.until("CallArrived", lambda event: event.interaction_id == ix, timeout_s=5)
    assert isinstance(arrived, facts.CallArrived) and isinstance(waiting, facts.CallWaiting)
    assert waiting.queue == "express"
    expected = row.get("ani", "13800138000")
    assert clean_number(arrived.ani) and expected in (arrived.ani, "any"), arrived.ani
    assert waiting.ani == arrived.ani
    assert clean(arrived.caller_name) and row.get("name", arrived.caller_name) == arrived.caller_name, (
        arrived.caller_name
    )
    assert "StateRepaired" not in parts.heard.kinds()
    await parts.control.offer(
        offer_id="o1", interaction_id=ix, caller_channel=waiting.channel, extension="101", ring_s=10,
        epoch=1, caller_number=arrived.ani, caller_name=arrived.caller_name, headers={"X-Aftercall-Name": arrived.caller_name},
    )  # fmt: skip
    rung = await room.agents[0].next_call(timeout_s=5)
    assert rung.header("x-aftercall-interaction") == ix and rung.header("x-aftercall-offer") == "o1"
    assert rung.invite is not None and len(rung.invite.all("x-aftercall-interaction")) == 1
    assert clean(rung.header("from")) and rung.header("from").count("<sip:") == 1
    await parts.control.cancel_offer(f"{ix}-o1")
    call.hang_up()
    await parts.heard.until("CallEnded", lambda event: event.interaction_id == ix, timeout_s=5)
    await parts.heard.until("LegEnded", lambda event: event.interaction_id == ix, timeout_s=5)


def clean(text: str) -> bool:
    return len(text) <= 200 and not any(unicodedata.category(mark)[0] == "C" or mark in "\u2028\u2029" for mark in text)


def clean_number(text: str) -> bool:
    return len(text) <= 40 and set(text) <= set("0123456789+*#")


async def stranger(room: Room) -> Stranger:
    it = await Stranger.open((room.plan.sip.host, room.plan.sip.port), room.plan.trunk.user, room.plan.trunk.password)
    assert isinstance(it, Stranger)
    return it


async def still_serves(room: Room, pid: int, registered: Softphone) -> None:
    """Same process, nobody on the line, nothing dialled out, and a usual caller is connected to a usual agent."""
    await room.empty()
    assert room.pid == pid and Path(f"/proc/{pid}").exists()
    assert registered.incoming.empty() and all(agent.incoming.empty() for agent in room.agents)
    call, item = await room.waits("Li Na")
    _, agent = await room.talk(item, "last")
    assert await room.parts.control.get_global("ACD_EPOCH") == "1"
    agent.hang_up()
    assert await call.until("ended", timeout_s=5) == "ended"
    await room.empty()
    assert await room.channels() == []
    assert await room.parts.resync.now() == 0
    async with asyncio.timeout(5):
        while room.parts.board.calls():
            await asyncio.sleep(0.02)
