"""Too much at once, or nobody there: a flood beyond capacity, everybody logs out (29, 30)."""

from __future__ import annotations

import asyncio
import json

from app.drills.field import FUSE, Field
from app.drills.model import Drill, require
from app.softphone import Call

CAPACITY = 6
FLOOD_S = 60.0  # the promise's five minutes, compressed
PROMPT_S = 1.0
WAITING, MOST_S = 20, 25.0


async def _answered_somehow(field: Field) -> tuple[str, float]:
    """A call beyond capacity: how it was answered (refused, told, accepted), and after how many seconds."""
    call = await field.dial("queue", accepted=False)
    state = await call.until("ringing", "talking", "ended", timeout_s=15)
    took = call.at[state] - call.at["invite"]
    if state == "talking":
        call.hang_up()
        return "accepted", took
    if state == "ringing":  # a sentence without an answer
        await call.until("ended", timeout_s=20)
        return ("told" if call.status == 503 else f"status {call.status}"), took
    return ("refused" if call.status == 503 else f"status {call.status}"), took


async def _flood(field: Field) -> str:
    """29: three times as many calls as the switch may have, for a minute."""
    standing = await field.standing(talking=1, waiting=CAPACITY - 2, menu=1)
    answers: dict[str, int] = {}
    slowest, begun, ringing = 0.0, field.now(), field.chance.uniform(20.0, 40.0)

    async def keep_calling() -> None:
        nonlocal slowest
        while field.now() - begun < FLOOD_S:
            how, took = await _answered_somehow(field)
            answers[how] = answers.get(how, 0) + 1
            slowest = max(slowest, took)
            await asyncio.sleep(1.0)

    async with asyncio.TaskGroup() as group:
        for _ in range(3 * CAPACITY):
            group.create_task(keep_calling())
        alarm = await field.alarm("admission", raised=True)
        await asyncio.sleep(ringing)
        # An agent becomes free in the middle of it: whoever waited longest is served as ever.
        order, asked = await field.waiting_order(), field.now()
        await field.ready(1)
        _, served = await field.served()
        took = field.now() - asked
    over = field.now()
    require(set(answers) <= {"refused", "told"}, f"calls beyond capacity were {answers}")
    require(slowest < PROMPT_S * FUSE, f"a refusal took {slowest:.1f} s")
    require(served == order[0] and took < 1.0 * FUSE, f"in the flood the first caller was served after {took:.1f} s")
    require(all(call.state == "talking" for call in standing.all()), "an accepted call was cut off")
    standing.waiting[-1].hang_up()
    again = await field.dial("queue", accepted=False)
    while await again.until("talking", timeout_s=15) != "talking":
        require(field.now() - over < 30.0, "calls after the flood are not taken")
        again = await field.dial("queue", accepted=False)
    normal = field.now() - over
    cleared = await field.alarm("admission", raised=False, within_s=45.0)
    return (
        f"{sum(answers.values())} calls beyond capacity: {answers.get('refused', 0)} got 503, {answers.get('told', 0)} the "
        f"sentence, slowest {slowest:.2f} s; alarm after {alarm:.1f} s, cleared {normal + cleared:.0f} s after; first caller "
        f"served {took:.2f} s after an agent was free; normal {normal:.1f} s after"
    )


async def _all_log_out(field: Field) -> str:
    """30: twenty wait and the last agent goes home."""
    await field.ready(0)
    talking = await field.dial("queue")
    await field.served()
    field.established = []  # the talk ends by itself in this drill
    waiting: list[Call] = []
    for _ in range(WAITING):
        waiting.append(await field.dial("queue"))
    began = field.now()
    page = await field.until_api(
        "queues", lambda page: sum(len(q["waiting"]) for q in page["items"]) == WAITING, "the board knows who waits"
    )
    del page
    for agent in field.told()["agents"][:3]:
        body = {"state": "OFFLINE"}
        await field.world.post(f"agents/{agent['extension']}/state", body, token=agent["token"])
    field.forget_ready()
    talking.hang_up()
    await field.until_api(
        "queues", lambda page: not any(q["waiting"] for q in page["items"]), "nobody waits beyond the longest wait",
        timeout_s=MOST_S + 5.0 * FUSE,
    )  # fmt: skip
    took = field.now() - began
    require(took > MOST_S * 0.5, f"they were sent away after {took:.0f} s already")
    alive = sum(call.state == "talking" for call in waiting)
    require(alive == WAITING, f"{WAITING - alive} of them were cut off instead of being sent to voicemail")
    sent, asked = 0, field.now()
    while sent < WAITING and field.now() - asked < 5.0 * FUSE:  # facts reach the record within a second
        sent = await _told_to_be_sent_away(field)
    require(sent == WAITING, f"{sent} of {WAITING} are told to have been sent to voicemail")
    return (
        f"{sent} sent to voicemail, the last {took:.0f} s after they had begun to wait (longest wait "
        f"{MOST_S:g} s), none cut off"
    )


async def _told_to_be_sent_away(field: Field) -> int:
    """Of the calls that are up, how many have been sent away, as their timelines tell it."""
    sent = 0
    for call in (await field.world.get("calls?limit=200"))["items"]:
        if call["state"] != "ended":
            story = await field.world.get(f"calls/{call['id']}")
            sent += any(event["kind"] == "ItemOverflowed" for event in story["timeline"])
    return sent


_QUEUES = json.dumps({
    "service": {"wrap_up_s": 0, "max_wait_s": MOST_S}, "express": {"wrap_up_s": 0, "max_wait_s": MOST_S},
})  # fmt: skip

DRILLS = (
    Drill(29, "flood at three times capacity",
          "503 or the sentence at once; accepted calls undisturbed; normal ≤ 30 s after", _flood,
          settings={"ASTERISK__MAX_CALLS": str(CAPACITY)}, times=1),
    Drill(30, "all agents log out, twenty wait", "the overflow rule; nobody beyond the longest wait", _all_log_out,
          settings={"QUEUES": _QUEUES}),
)  # fmt: skip
