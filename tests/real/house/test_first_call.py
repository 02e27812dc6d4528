"""One call from dialling to transcript, seen from outside: what is in the sound, on the feed, in the record."""

import asyncio
import hashlib
import io
import os
import signal
from typing import Any

import aiohttp
import soundfile

from app.demo.story import Story, lines
from app.demo.words import word_error_rate
from app.softphone import listen
from app.world.outside import OutsideWorld
from core.prompts.library import PromptLibrary


async def test_a_customer_hears_their_order_and_talks_to_an_agent_who_sees_it(world: OutsideWorld) -> None:
    told = await Story(world, lambda _line: None, PromptLibrary()).tell()
    call = told["call"]
    kinds = [event["kind"] for event in call["timeline"]]
    for kind in ("CallArrived", "FlowStarted", "OrderLookedUp", "CallerIdentified", "ItemQueued", "OfferMade", "CardPushed",
                 "OfferAccepted", "CallConnected", "SegmentEnded", "CallEnded", "RecordingStored"):  # fmt: skip
        assert kind in kinds, kind
    assert told["card_pushed_ms_before_ring"] > 0
    assert (call["queue"], call["reason"], call["state"]) == ("service", "caller_hangup", "ended")
    await _the_recording_holds_both_voices(world, call)
    turns = told["transcript"]["turns"]
    for side in ("caller", "agent"):
        spoken = [line.text for line in lines() if line.side == side]
        assert word_error_rate(spoken, [t["text"] for t in turns if t["side"] == side]) <= 0.25


async def _the_recording_holds_both_voices(world: OutsideWorld, call: dict[str, Any]) -> None:
    url = world.facts["http"] + call["recording"]["url"]
    headers = {"Authorization": f"Bearer {world.facts['admin']['token']}"}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        assert answer.status == 200
        data = await answer.read()
    assert hashlib.sha256(data).hexdigest() == call["recording"]["sha256"]
    sound, rate = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
    assert (rate, sound.shape[1]) == (8000, 2)
    for line in lines():
        left, right = (_best_second(sound[:, side], line.sound) for side in (0, 1))
        mine, other = (left, right) if line.side == "caller" else (right, left)
        assert mine > 0.6 > 0.5 > other, line.name


def _best_second(sound: Any, spoken: Any) -> float:
    """The likeness of the second of `spoken` that is best found: a packet lost in one of them proves nothing."""
    pieces = [spoken[at : at + 8000] for at in range(0, len(spoken) - 8000, 8000)]
    return max(listen.find(sound, piece).likeness for piece in pieces)


async def _short_call(world: OutsideWorld, ani: str) -> Any:
    """Dials the direct number, is answered, talks for a moment, hangs up."""
    caller = await world.caller()
    call = await caller.call(world.facts["dids"]["queue"], from_user=ani)
    assert await call.until("talking", timeout_s=10) == "talking"
    return call


async def test_twenty_calls_in_a_row_and_twenty_at_once_all_complete_and_leave_nothing(
    quiet_world: OutsideWorld,
) -> None:
    world = quiet_world
    agents = [await world.agent(number) for number in range(4)]

    async def serve(phone: Any) -> None:
        while True:
            call = await phone.next_call(timeout_s=600)
            call.answer()
            await call.media.more(5)
            call.hang_up()

    async def one(number: int) -> None:
        call = await _short_call(world, f"1391234{number:04d}")
        assert await call.until("ended", timeout_s=60) == "ended"
        await call.phone.close()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(serve(phone)) for phone in agents]
        for number in range(20):
            await one(number)
        async with asyncio.TaskGroup() as crowd:
            for number in range(20, 40):
                crowd.create_task(one(number))
        for task in tasks:
            task.cancel()
    calls = await world.get_until(
        "calls?limit=100", lambda page: sum(c["state"] == "ended" for c in page["items"]) == 40, timeout_s=20
    )
    assert all(call["agents"] and call["reason"] == "agent_hangup" for call in calls["items"])
    states = await world.get_until("agents", lambda page: all(a["state"] != "ENGAGED" for a in page["items"]))
    assert {a["state"] for a in states["items"][:4]} == {"READY"}
    queues = await world.get("queues")
    assert all(not queue["waiting"] for queue in queues["items"])


async def test_a_stopped_shop_costs_the_caller_nothing_but_the_status(quiet_world: OutsideWorld) -> None:
    world = quiet_world
    order = world.facts["sample"]["orders"][0]
    agent = await world.agent(0)
    feed = await world.live(token=world.facts["agents"][0]["token"])
    os.kill(world.facts["pids"]["shop"], signal.SIGSTOP)
    try:
        caller = await world.caller()
        call = await caller.call(world.facts["dids"]["menu"], from_user="+12025550199")
        assert await call.until("talking") == "talking"
        prompts = PromptLibrary()
        at = 0.0
        for prompt, keys in (("menu-main", "1"), ("ask-order-number", f"{order['order_no']}#"),
                             ("ask-second-factor", f"{order['second_factor']}#")):  # fmt: skip
            known = listen.read_wav(f"{prompts.find(prompt, 'en')}.wav")
            at = (await listen.hear(call, known, after_s=at)).at_s
            call.media.send_digits(keys)
            await call.media.said()
        unavailable = listen.read_wav(f"{prompts.find('shop-unavailable', 'en')}.wav")
        await listen.hear(call, unavailable, after_s=at, timeout_s=15)
        call.media.send_digits("0")
        offered = await agent.next_call(timeout_s=20)
        _, message = await feed.until(lambda m: m.get("type") == "card" and bool(m.get("card")))
        assert message["card"]["pop"]["notice"] == "order system unavailable"
        offered.answer()
        assert await offered.until("talking") == "talking"
        call.hang_up()
    finally:
        os.kill(world.facts["pids"]["shop"], signal.SIGCONT)
