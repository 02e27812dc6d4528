"""Callbacks on a whole house: a real caller asks with a key, a real agent's phone comes first, a real customer is called."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from app.softphone import Call, Softphone, listen
from app.world.outside import OutsideWorld
from core.prompts.library import PromptLibrary
from tests.real.house.test_reconcile import reconcile
from tests.real.pbx.test_transfer import CALLER_HZ, FIRST_HZ, hears, says, until

Json = dict[str, Any]
NUMBERS = itertools.count(13900000100)
SETTINGS = {
    "SPEECH__ENABLED": "false",
    "SUPERVISOR__STANDBY": "false",
    "OUTBOUND__ALLOW": '["1390000"]',
    "OUTBOUND__MAX_PER_HOUR": "100",
    "OUTBOUND__CALLER_NUMBER": "4008001000",
}
RULES = """
skills: [service, express]
queues:
  express:
    ring_s: 5
    wrap_up_s: 0
    callback: {offer_after_s: 1, attempts: 2, retry_after_s: 10, window: "00:00-24:00", ring_s: 5}
  service: {ring_s: 5, wrap_up_s: 0, callback: {window: "00:00-24:00"}}
"""


class Line:
    """A house with rules for callbacks, a trunk on which customers are called, and one agent's phone."""

    def __init__(self, world: OutsideWorld, outside: Softphone, agent: Softphone) -> None:
        self.world, self.outside, self.agent = world, outside, agent

    async def asks(self) -> tuple[str, str]:
        """A caller waits, hears of the key, presses it, hears the promise. Their number and the call's id."""
        number = str(next(NUMBERS))
        call = await (await self.world.caller()).call(self.world.facts["dids"]["queue"], from_user=number)
        await call.until("talking")
        await listen.hear(call, sound("callback-offer"), timeout_s=20)
        call.media.send_digits("1")
        await listen.hear(call, sound("callback-promised"), timeout_s=15)
        await call.until("ended", timeout_s=15)
        page = await self.callbacks(lambda items: any(it["number"] == number for it in items))
        return number, next(it["first_id"] for it in page if it["number"] == number)

    async def callbacks(self, fits: Callable[[list[Json]], bool], *, timeout_s: float = 15) -> list[Json]:
        page = await self.world.get_until("callbacks", lambda page: fits(page["items"]), timeout_s=timeout_s)
        return list(page["items"])

    async def waits(self, number: str) -> Call:
        """Another caller in the same queue."""
        call = await (await self.world.caller()).call(self.world.facts["dids"]["queue"], from_user=number)
        await call.until("talking")
        return call

    async def answers(self, *, timeout_s: float = 15) -> Call:
        call = await self.agent.next_call(timeout_s=timeout_s)
        call.answer()
        says(call, FIRST_HZ)
        return call

    async def story(self, call_id: str, kind: str) -> Json:
        return await self.world.get_until(
            f"calls/{call_id}", lambda it: any(event["kind"] == kind for event in it["timeline"]), timeout_s=20
        )  # type: ignore[no-any-return]


def sound(name: str) -> listen.Pcm:
    return listen.read_wav(f"{PromptLibrary().find(name, 'en')}.wav")


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Line]:
    async with asyncio.timeout(240), OutsideWorld(home / "home", settings=SETTINGS) as world:
        current = await world.get("policies/current")
        await world.post("policies", {"text": RULES, "revision": current["version"]})
        outside = await world.caller()
        await outside.register()
        yield Line(world, outside, await world.agent(0, ready=False))


async def nothing_differs(world: OutsideWorld, *, unheard: str = "") -> None:
    """`unheard`: a call whose talk began while nobody of ours listened; the switch's book knows since when, and it is mended."""
    await world.get_until("calls", lambda page: all(call["state"] == "ended" for call in page["items"]), timeout_s=20)
    await asyncio.sleep(1)
    if unheard:
        _, differences, told = await reconcile(world, "--repair")
        mended = {(it["kind"], it["interaction_id"], it["mended"]) for it in differences}
        assert mended <= {("talk_differs", unheard, True)}, differences
    _, differences, told = await reconcile(world)
    assert differences == [], differences
    assert told["calls"] > 0


async def test_a_caller_who_asks_to_be_called_back_keeps_their_place(tmp_path: Path) -> None:
    async with opened(tmp_path) as line:
        number, first = await line.asks()
        later = await line.waits("13800000001")
        await line.world.get_until("queues", lambda page: sum(len(q["waiting"]) for q in page["items"]) == 2)
        feed = await line.world.live(token=line.world.facts["agents"][0]["token"])
        await line.world.ready(0)
        agent = await line.answers()
        _, message = await feed.until(lambda m: m.get("type") == "card" and bool(m.get("card")))
        ix = agent.header("x-aftercall-interaction")
        assert message["card"]["interaction_id"] == ix and agent.header("x-aftercall-callback") == "1"
        customer = await line.outside.next_call()
        assert "4008001000" in customer.header("from")
        await line.world.get_until(
            "calls", lambda page: sorted(call["state"] for call in page["items"]) == ["ended", "open", "open"]
        )
        customer.answer()
        says(customer, CALLER_HZ)
        await until(lambda: hears(customer, FIRST_HZ) and hears(agent, CALLER_HZ))
        assert later.state == "talking", "who came later waits on"
        await customer.media.more(60)
        agent.hang_up()
        await customer.until("ended")
        await line.story(ix, "SegmentEnded")
        story = await line.story(ix, "RecordingStored")
        kinds = [event["kind"] for event in story["timeline"]]
        assert {"CallbackCalled", "CallbackReached", "CallConnected", "SegmentEnded"} <= set(kinds)
        assert (story["ani"], story["entry"], story["reason"]) == (number, "callback", "agent_hangup")
        assert abs(story["recording"]["seconds"] - story["talk_s"]) < 1.0
        story = await line.story(first, "CallbackEnded")
        told = {event["kind"]: event["data"] for event in story["timeline"]}
        assert told["CallbackEnded"]["outcome"] == "served" and told["CallbackEnded"]["call_id"] == ix
        assert "ItemAbandoned" not in told
        await line.answers()
        later.hang_up()
        assert (await line.world.get("missed"))["items"] == []
        await nothing_differs(line.world)


async def test_a_customer_who_does_not_answer_is_tried_again_and_then_given_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as line:
        number, first = await line.asks()
        await line.world.ready(0)
        calls = []
        for attempt in (1, 2):
            agent = await line.answers()
            calls.append(agent.header("x-aftercall-interaction"))
            customer = await line.outside.next_call()
            if attempt == 1:
                customer.reject(486)
            await agent.until("ended")
            page = await line.world.get_until("agents", lambda page: page["items"][0]["state"] == "READY")
            assert page["items"][0]["reason"] == ""
        story = await line.story(first, "CallbackEnded")
        told = {event["kind"]: event["data"] for event in story["timeline"]}
        assert (told["CallbackEnded"]["outcome"], told["CallbackEnded"]["reason"]) == ("given_up", "no_answer")
        reasons = [(await line.story(ix, "CallEnded"))["reason"] for ix in calls]
        assert reasons == ["busy", "no_answer"] and len(set(calls)) == 2
        page = await line.world.get_until("missed", lambda page: bool(page["items"]))
        (missed,) = page["items"]
        assert (missed["number"], missed["reason"], missed["queue"]) == (number, "callback_no_answer", "express")
        await line.world.post(f"missed/{missed['id']}/call-back", {"note": "once more"})
        assert (await line.world.get_until("missed", lambda page: not page["items"]))["items"] == []
        agent = await line.answers()
        customer = await line.outside.next_call()
        customer.answer()
        await until(lambda: hears(customer, FIRST_HZ))
        customer.hang_up()
        await agent.until("ended")
        await line.callbacks(lambda items: items == [])
        assert (await line.world.get("missed"))["items"] == []
        await nothing_differs(line.world)


async def test_a_kill_between_the_promise_and_the_turn_changes_nothing_for_the_customer(tmp_path: Path) -> None:
    async with opened(tmp_path) as line:
        number, _ = await line.asks()
        (before,) = await line.callbacks(lambda items: len(items) == 1)
        later = await line.waits("13800000001")
        await line.world.kill()
        await line.world.start()
        (after,) = await line.callbacks(lambda items: len(items) == 1, timeout_s=30)
        same = ("id", "number", "enqueued_at", "first_id", "attempts")
        assert [after[key] for key in same] == [before[key] for key in same]
        await line.world.ready(0)
        agent = await line.answers(timeout_s=30)
        customer = await line.outside.next_call()
        await line.world.kill()  # while the customer's phone rings
        await asyncio.sleep(0.3)
        customer.answer()
        says(customer, CALLER_HZ)
        await until(lambda: hears(customer, FIRST_HZ) and hears(agent, CALLER_HZ))
        await line.world.start()
        await line.world.get_until("agents", lambda page: page["items"][0]["state"] == "ENGAGED", timeout_s=30)
        await line.callbacks(lambda items: [it["state"] for it in items] == ["talking"])
        assert customer.state == agent.state == "talking"
        customer.hang_up()
        await line.callbacks(lambda items: items == [])
        (await line.answers()).media.play(listen.tone(FIRST_HZ, 1))
        assert line.outside.incoming.empty(), "nobody is called twice"
        later.hang_up()
        assert number not in json.dumps(line.world.output), "no log has the number"
        await nothing_differs(line.world, unheard=agent.header("x-aftercall-interaction"))
