"""One real call, from dialling to transcript: a customer's phone, an agent's phone, and what each of them hears.

Decides nothing about the product; it is an outside client that measures. Every figure is taken in this run, on one
clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from app.softphone import Call, listen
from app.world.outside import LiveFeed, OutsideWorld
from core.prompts.library import PromptLibrary

VOICES = Path(__file__).parent / "voices"


@dataclass(frozen=True)
class Line:
    """One sentence of the demo: who says it, the words, and the sound (8 kHz)."""

    name: str
    side: str
    text: str

    @property
    def sound(self) -> Any:
        return listen.read_wav(VOICES / f"{self.name}.wav")


def lines() -> list[Line]:
    """The conversation, in order."""
    table = YAML(typ="safe").load(Path(__file__).with_name("lines.yaml"))
    return [Line(name, row["side"], row["text"]) for name, row in table.items()]


@dataclass
class Story:
    """Tells the story on `world`; `say` gets a sentence whenever something happened. `facts` fills up as it goes."""

    world: OutsideWorld
    say: Callable[[str], None]
    prompts: PromptLibrary
    steps: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    _begun: float = 0.0

    def _step(self, what: str, **more: Any) -> None:
        at_s = round(asyncio.get_running_loop().time() - self._begun, 3)
        self.steps.append({"at_s": at_s, "what": what, **more})
        self.say(f"{at_s:7.3f} s  {what}")

    async def tell(self) -> dict[str, Any]:
        """Runs the whole call and returns what was measured. Raises TimeoutError where something was not heard."""
        self._begun = asyncio.get_running_loop().time()
        order = self.order
        agent = self.world.facts["agents"][0]
        feed = await self.world.live(token=agent["token"])
        agent_phone = await self.world.agent(0)
        self._step(f"{agent['name']} is READY at extension {agent['extension']}")
        call = await self.dial()
        await self.menu(call)
        offered = await self._to_a_person(call, agent_phone.next_call, feed)
        await self.talk(call, offered)
        call.hang_up()
        self._step("the customer hung up")
        await self._aftermath(call, offered, order, agent)
        did = self.world.facts["dids"]["menu"]
        return {**self.facts, "ani": order["ani"], "did": did, "agent": agent["name"], "steps": self.steps}

    @property
    def order(self) -> dict[str, Any]:
        """The order it is about: one that is late, of a customer who speaks English."""
        orders = self.world.facts["sample"]["orders"]
        return next(o for o in orders if o["status"] == "delayed" and o.get("language", "en") == "en")

    async def dial(self) -> Call:
        """The customer dials the menu's number and is answered."""
        order, did = self.order, self.world.facts["dids"]["menu"]
        caller = await self.world.caller()
        call = await caller.call(did, from_user=order["ani"])
        if await call.until("talking") != "talking":
            raise RuntimeError(f"the call was refused with {call.status}")
        self._step(f"{order['ani']} dialled {did} and was answered", order_no=order["order_no"])
        return call

    async def _hears(self, call: Call, prompt: str, *, after_s: float = 0.0, language: str = "en") -> float:
        known = listen.read_wav(f"{self.prompts.find(prompt, language)}.wav")
        found = await listen.hear(call, known, after_s=after_s, timeout_s=20)
        self._step(f"the customer hears “{prompt}”", likeness=round(found.likeness, 2))
        return found.at_s

    async def menu(self, call: Call) -> None:
        """The customer gives number and second factor, and hears that the order is late."""
        order = self.order
        at_s = await self._hears(call, "menu-main")
        self.press(call, "1")
        at_s = await self._hears(call, "ask-order-number", after_s=at_s)
        self.press(call, f"{order['order_no']}#")
        at_s = await self._hears(call, "ask-second-factor", after_s=at_s)
        self.press(call, f"{order['second_factor']}#", shown="****#")
        await self._hears(call, "order-state-delayed", after_s=at_s)

    def press(self, call: Call, keys: str, *, shown: str = "") -> None:
        call.media.send_digits(keys, tone_ms=80, gap_ms=60)  # a quick hand
        self._step(f"the customer presses {shown or keys}")

    async def _to_a_person(self, call: Call, next_call: Callable[..., Any], feed: LiveFeed) -> Call:
        self.press(call, "0", shown="0")
        offered: Call = await next_call(timeout_s=20)
        at, card = await feed.until(lambda m: m.get("type") == "card" and bool(m.get("card")))
        before_ms = (offered.at["invite"] - at) * 1000
        shown = card["card"]
        self.facts["call_id"] = shown["interaction_id"]
        self.facts["card_pushed_ms_before_ring"] = round(before_ms, 1)
        self._step("the agent's card shows the order", card_order=shown["pop"].get("order_no"))
        self._step(f"the agent's phone rings, {before_ms:.0f} ms after the card")
        return offered

    async def talk(self, call: Call, offered: Call) -> None:
        """The agent answers; each of the two hears what the other says."""
        offered.answer()
        begun = asyncio.get_running_loop().time()
        await offered.media.more(5)
        for line in lines():
            mouth, ear = (call, offered) if line.side == "caller" else (offered, call)
            sound = line.sound
            mouth.media.play(sound)
            found = await listen.hear(ear, sound, timeout_s=15)
            await mouth.media.said()
            other = "agent" if line.side == "caller" else "customer"
            self._step(f"the {other} hears “{line.text}”", likeness=round(found.likeness, 2))
        self.facts["talk_s"] = round(asyncio.get_running_loop().time() - begun, 2)

    async def _aftermath(self, call: Call, offered: Call, order: dict[str, Any], agent: dict[str, Any]) -> None:
        await offered.until("ended")
        call_id = self.facts["call_id"]
        story = await self.world.get_until(f"calls/{call_id}", _is_stored, timeout_s=20)
        self._step("the stereo recording is stored", seconds=story["recording"]["seconds"])
        story = await self.world.get_until(
            f"calls/{call_id}",
            lambda c: c["transcript"] is not None and c["transcript"]["state"] != "waiting",
            timeout_s=60,
        )
        self.facts.update(facts_of(story))
        self.facts["call"] = story
        self.facts["order_id"] = order["order_no"]
        if story["transcript"]["state"] == "ready":
            self._step("both sides are transcribed", model=story["transcript"]["model"])
        await self.world.post(
            f"agents/{agent['extension']}/wrap-up",
            {"action": "finish", "disposition": "delivery"},
            token=agent["token"],
        )
        self._step("the agent finished the wrap-up")


def facts_of(story: dict[str, Any]) -> dict[str, Any]:
    """What the demo's JSON object says of a call, from the call's own record (`GET /api/calls/{id}`)."""
    events = {event["kind"]: event["data"] for event in story["timeline"]}
    recording = story["recording"]
    facts: dict[str, Any] = {
        "offer_to_invite_ms": offer_to_invite_ms(story["timeline"]),
        "order_lookup_ms": events.get("OrderLookedUp", {}).get("took_ms"),
        "queue": events.get("ItemQueued", {}).get("queue"),
        "recording": {
            "path": events.get("RecordingStored", {}).get("path"),
            **{key: recording[key] for key in ("sha256", "channels", "seconds")},
        },
    }
    transcript = story["transcript"]
    if transcript and transcript["turns"]:
        turns = [{"side": t["side"], "start_s": t["start_s"], "text": t["text"]} for t in transcript["turns"]]
        facts["transcript"] = {"model": transcript["model"], "turns": turns}
    return facts


def offer_to_invite_ms(timeline: list[dict[str, Any]]) -> float | None:
    """From the decision to the phone's first ring, by the call's own times (Asterisk's for the ring)."""
    at = {event["kind"]: datetime.fromisoformat(event["at"]) for event in reversed(timeline)}
    if "OfferMade" not in at or "LegRinging" not in at:
        return None
    return round((at["LegRinging"] - at["OfferMade"]).total_seconds() * 1000, 1)


def _is_stored(call: dict[str, Any]) -> bool:
    return (call["recording"] or {}).get("state") == "stored"
