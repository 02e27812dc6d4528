"""Faults of an agent's phone: its cable is pulled while it rings, and in mid talk (23)."""

from __future__ import annotations

from typing import Any

from app.drills.field import FUSE, Field
from app.drills.model import Drill, require

RING_S, NO_SOUND_S = 15.0, 10.0


async def _agent(field: Field, number: int) -> dict[str, Any]:
    extension = field.told()["agents"][number]["extension"]
    agents = (await field.world.get("agents"))["items"]
    return next(agent for agent in agents if agent["extension"] == extension)


async def _plugged_in_again(field: Field, number: int) -> None:
    phone = field.agents[number]
    phone.unplugged = False
    await phone.register()


async def _while_ringing(field: Field) -> str:
    """23a: the caller goes to the head with the original wait, and somebody else takes the call."""
    await field.ready(0)
    first = await field.dial("queue")
    rung = await field.ring()
    second = await field.dial("queue")
    await field.random_instant(1.0)
    gone = field.agents[0]
    require(rung.phone is gone, "another phone rang")
    begun = field.now()
    gone.unplug()
    await field.until_api(
        "queues", lambda page: sum(len(q["waiting"]) for q in page["items"]) == 2, "the caller waits again",
        timeout_s=RING_S * FUSE,
    )  # fmt: skip
    took = field.now() - begun
    order = await field.waiting_order()
    require(order[0] == rung.header("x-aftercall-interaction"), "the caller lost their place")
    await field.ready(1)
    served, interaction_id = await field.served()
    require(interaction_id == order[0], "somebody was served out of turn")
    await field.until_api(
        "agents", lambda page: any((a["extension"], a["state"], a["reason"]) == (gone.user, "NOT_READY", "unreachable")
                                   for a in page["items"]), "the agent is away and not blamed", timeout_s=20 * FUSE,
    )  # fmt: skip
    found = field.now() - begun
    require(first.state == second.state == served.state == "talking", "somebody was cut off")
    await _plugged_in_again(field, 0)
    return f"back at the head after {took:.1f} s, served next by another; agent unreachable after {found:.1f} s"


async def _while_talking(field: Field) -> str:
    """23b: no BYE, no sound. The caller is told, and is the first to be served."""
    standing = await field.standing(talking=1, waiting=1, menu=0)
    caller, offered = standing.talking[0]
    interaction_id = offered.header("x-aftercall-interaction")
    await field.random_instant(1.0)
    field.established = []  # one end of the talk is gone: O5 has nobody to judge
    begun, heard = field.now(), field.heard_s(caller)
    field.agents[0].unplug()
    await field.hears(caller, "fallback-one-moment", within_s=NO_SOUND_S + 2.0, after_s=heard)
    told = field.now() - begun
    await field.until_api(
        "queues",
        lambda page: sum(len(q["waiting"]) for q in page["items"]) == 2,
        "the caller waits again",
        timeout_s=15,
    )
    order = await field.waiting_order()
    require(order[0] == interaction_id, "the caller lost their place")
    agent = await _agent(field, 0)
    require((agent["state"], agent["reason"]) == ("NOT_READY", "unreachable"), f"the agent is {agent['state']}")
    await field.ready(1)
    _, next_served = await field.served()
    took = field.now() - begun
    require(next_served == interaction_id, "somebody was served out of turn")
    require(caller.state == standing.waiting[0].state == "talking", "somebody was cut off")
    await _plugged_in_again(field, 0)
    return f"told after {told:.1f} s, first in the queue, talks to another after {took:.1f} s"


async def _hold_is_no_silence(field: Field) -> str:
    """23c: a phone on hold sends no sound, and is not gone."""
    standing = await field.standing(talking=1, waiting=0, menu=0)
    caller, offered = standing.talking[0]
    field.established = []  # held
    offered.hold()
    offered.media.sending = False
    begun = field.now()
    while field.now() - begun < NO_SOUND_S + 5.0:
        await caller.media.more(25)  # the music
        require(caller.state == offered.state == "talking", f"a held call was ended after {field.now() - begun:.1f} s")
    offered.media.sending = True
    offered.hold(False)
    await caller.media.more(10)
    return f"held without a sound for {field.now() - begun:.0f} s, and taken back"


DRILLS = (
    Drill(23, "phone vanishes while ringing",
          "ring ≤ 15 s; caller to the head with the original wait; agent unreachable, not blamed",
          _while_ringing),
    Drill(23, "phone vanishes in a talk", "≤ 10 s without sound: told, requeued first with context", _while_talking, short=True),
    Drill(23, "a silent hold is no vanished phone", "a held call stays", _hold_is_no_silence),
)  # fmt: skip
