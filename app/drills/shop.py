"""Fault 21: the order system is slow, silent, wrong, endless, or answers about somebody else's order."""

from __future__ import annotations

import aiohttp

from app.drills.field import FUSE, Field
from app.drills.model import Drill, require

FAULTS = (
    {"latency_ms": 5000}, {"fail": "hang"}, {"fail": "500"}, {"fail": "429"}, {"fail": "html"}, {"fail": "half_json"},
    {"fail": "huge"}, {"fail": "wrong_charset"}, {"fail": "other_order"},
)  # fmt: skip
WELL = {"latency_ms": 0, "fail": "none"}
BUDGET_S = 3.0


async def turn(field: Field, knobs: dict[str, object]) -> None:
    """Turns the sample shop's knobs."""
    told = field.told()
    headers = {"Authorization": f"Bearer {field.world.shop_token()}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{told['shop']}/knobs", json=knobs, headers=headers) as answer,
    ):
        require(answer.status == 200, f"the shop's knobs answer {answer.status}")


async def _every_wrong_answer(field: Field) -> str:
    order = field.told()["sample"]["orders"][0]
    slowest, said = 0.0, []
    try:
        for knobs in FAULTS:
            await turn(field, {**WELL, **knobs})
            name = str(knobs.get("fail", "5 s slow"))
            call = await field.dial("menu")
            at = 0.0
            for prompt, keys in (
                ("menu-main", "1"),
                ("ask-order-number", f"{order['order_no']}#"),
                ("ask-second-factor", f"{order['second_factor']}#"),
            ):  # fmt: skip
                await field.hears(call, prompt, within_s=6.0, after_s=at)
                at = field.heard_s(call)
                call.media.send_digits(keys)
                await call.media.said()
            asked = field.now()
            await field.hears(call, "shop-unavailable", within_s=6.0, after_s=at)
            took = field.now() - asked
            slowest = max(slowest, took)
            require(took <= (BUDGET_S + 5.0) * FUSE, f"{name}: told only after {took:.1f} s")
            said.append(name)
            call.hang_up()
            await turn(field, WELL)
    finally:
        await turn(field, WELL)
    return f"{len(said)} kinds of wrong answer: told «unavailable» within {slowest:.1f} s (sentence included)"


SHOP = (
    Drill(21, "order system slow, wrong, huge, foreign", "filler, then «unavailable»; 3 s budget; nothing foreign spoken",
          _every_wrong_answer, times=3),
)  # fmt: skip
