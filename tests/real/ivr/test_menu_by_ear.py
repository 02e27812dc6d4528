"""The sample menu on a real Asterisk: a softphone listens to what is said and presses keys, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from app.softphone import Call, listen
from app.world.plan import WorldPlan
from app.world.ports import Claims
from core.clock import SystemClock
from core.events.ivr import FlowEnded, OrderLookedUp
from core.prompts.library import PromptLibrary
from ivr.agi_line import MenuCalls
from ivr.catalogue import SAMPLE, FlowCatalogue
from ivr.runner import Runner
from tests.real.pbx import lab
from tests.real.pbx.lab import SwitchParts, asterisk, trunk
from tests.unit.ivr.build import FOUND, Desk, Events, Queues

PROMPTS = PromptLibrary()


@pytest.fixture(autouse=True)
def _claims_end_with_the_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The laboratory holds its ports' names until the process ends; here each test gives them back."""
    held: list[Claims] = []

    class Kept(Claims):
        def __init__(self) -> None:
            super().__init__()
            held.append(self)

    monkeypatch.setattr(lab, "Claims", Kept)
    yield
    for claims in held:
        claims.close()


@asynccontextmanager
async def menu(home: Path, desk: Desk) -> AsyncIterator[tuple[WorldPlan, Events]]:
    events = Events()
    async with asterisk(home) as plan:
        catalogue = FlowCatalogue({plan.dids.menu: "sample"}, events, SystemClock())
        catalogue.publish_file(SAMPLE)
        runner = Runner(catalogue, desk, Queues(), events, SystemClock())
        parts = SwitchParts(plan)
        async with parts.running(plan, MenuCalls(runner)):
            yield plan, events
        parts.link._drop("the test is over")
        await asyncio.sleep(0)  # a closed connection lets go in the loop's next turn


async def hears(call: Call, name: str, language: str = "en", after_s: float = 0.0) -> float:
    known = listen.read_wav(f"{PROMPTS.find(name, language)}.wav")
    found = await listen.hear(call, known, after_s=after_s, timeout_s=15)
    return found.at_s + min(len(known), 2 * listen.RATE) / listen.RATE


async def test_a_caller_gets_the_status_by_keys_and_ends_in_the_queue(tmp_path: Path) -> None:
    desk = Desk(FOUND)
    async with menu(tmp_path, desk) as (plan, events), await trunk(plan) as phone:
        call = await phone.call(plan.dids.menu, from_user="13800138000")
        assert await call.until("talking") == "talking"
        at = await hears(call, "menu-main")
        call.media.send_digits("1")
        at = await hears(call, "ask-order-number", after_s=at)
        call.media.send_digits("20261234#")
        at = await hears(call, "ask-second-factor", after_s=at)
        call.media.send_digits("5678#")
        at = await hears(call, "order-your-order", after_s=at)
        at = await hears(call, "order-state-delayed", after_s=at)
        # A key in the middle of a long row of sounds, again and again: none is lost.
        call.media.send_digits("1")
        at = await hears(call, "order-your-order", after_s=at)
        call.media.send_digits("0")
        await hears(call, "connecting", after_s=at)
        ended = await events.until(FlowEnded)
        call.hang_up()
    assert desk.asked[0].order_no == "20261234" and desk.asked[0].second_factor == "5678"
    assert desk.asked[0].ani == "13800138000"
    assert isinstance(ended, FlowEnded) and (ended.exit, ended.queue) == ("handoff", "service")
    assert events.of(OrderLookedUp)[0].outcome == "found"


async def test_the_other_language_and_keys_in_the_middle_of_digits_read_out(tmp_path: Path) -> None:
    async with menu(tmp_path, Desk(FOUND)) as (plan, events), await trunk(plan) as phone:
        call = await phone.call(plan.dids.menu)
        await call.until("talking")
        at = await hears(call, "menu-main")
        call.media.send_digits("9")
        at = await hears(call, "menu-main", "zh", after_s=at)
        call.media.send_digits("1")
        at = await hears(call, "ask-order-number", "zh", after_s=at)
        call.media.send_digits("20261234#")
        at = await hears(call, "ask-second-factor", "zh", after_s=at)
        call.media.send_digits("5678#")
        at = await hears(call, "order-your-order", "zh", after_s=at)
        call.media.send_digits("0")
        await hears(call, "connecting", "zh", after_s=at)
        call.hang_up()


async def test_a_caller_who_hangs_up_in_the_menu_ends_the_flow(tmp_path: Path) -> None:
    async with menu(tmp_path, Desk(FOUND)) as (plan, events), await trunk(plan) as phone:
        call = await phone.call(plan.dids.menu)
        await call.until("talking")
        await hears(call, "welcome")
        call.hang_up()
        await events.until(FlowEnded)
    assert events.of(FlowEnded)[0].exit == "caller_gone"


async def test_a_key_is_answered_by_sound_at_once(tmp_path: Path) -> None:
    """From the end of the key's last packet to the first sound of the next prompt."""
    gaps: list[float] = []
    async with menu(tmp_path, Desk(FOUND)) as (plan, _), await trunk(plan) as phone:
        call = await phone.call(plan.dids.menu)
        await call.until("talking")
        at = await hears(call, "menu-main")
        for round_ in range(6):
            pressed = len(call.media.heard()) / listen.RATE
            call.media.send_digits("9")
            language = "zh" if round_ % 2 == 0 else "en"
            known = listen.read_wav(f"{PROMPTS.find('menu-main', language)}.wav")
            found = await listen.hear(call, known, after_s=at, timeout_s=15)
            gaps.append(found.at_s - pressed)
            at = found.at_s + 1.0
        call.hang_up()
    print("key to next prompt, s:", [round(gap, 3) for gap in gaps])
    assert np.median(gaps) < 0.5
