"""What `GET /health` looks at, and what it means for callers when a part does not work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from redis.exceptions import RedisError, ResponseError
from sqlalchemy import text

from app.roles import ACD, MEANS, ROLES, TELEPHONY
from app.roles.links import Links
from app.web.health import Finding, Health
from app.world.switch_watch import ALARM_S, LastSeen
from core.bus.redis_bus import link
from core.descriptors import ALARM
from recordings.disk import FULL, used
from recordings.models import NoModel
from recordings.speech import Transcription

PROBE = "aftercall:probe"

if TYPE_CHECKING:
    from app.house import House

Check = Callable[[], Awaitable[Finding]]
ONE_PROCESS = "Calls and matching go on; live ticks to other processes stop."
SPLIT = (
    "Conversations and menus go on; nobody is offered to an agent, who waits keeps the place; live screens stand still."
)


def watch(watched: Health, house: House, transcription: Transcription) -> None:
    """Adds the checks of whoever serves the web, and of each role that lives elsewhere."""
    last_seen = LastSeen(house.plan.folders.run / "switch.json")

    async def switch() -> Finding:
        up, calls = _switch(house)
        if up:
            return Finding("ok", f"The switch answers; {calls} calls are up.")
        return Finding("down", "There is no link to the telephone switch.")

    async def sip() -> Finding:
        found = last_seen.look(house.clock.monotonic())
        if found is not None:
            silent_s, looked_after = found
            if not looked_after:
                return Finding("degraded", "Nobody looks after the switch: the launcher is gone.")
            if silent_s > ALARM_S:
                return Finding("down", f"No phone gets an answer from the switch, for {silent_s:.0f} s by now.")
        return Finding("ok", "Phones get an answer from the switch.")

    async def admission() -> Finding:
        admission = house.telephony.admission if house.telephony is not None else None
        if admission is None:  # whoever owns the switch says so
            return Finding()
        gate, refused = admission.gate, admission.refused_lately()
        if not gate.open:
            return Finding("degraded", f"New calls are refused: {gate.why}.")
        if refused:
            reasons = ", ".join(f"{number} for {reason}" for reason, number in sorted(refused.items()))
            return Finding("degraded", f"Calls were refused in the last half minute ({reasons}).")
        return Finding("ok", "New calls are taken.")

    async def descriptors() -> Finding:
        share = house.descriptors.share()
        words = f"{house.descriptors.used} of {house.descriptors.limit} file descriptors are in use."
        return Finding("ok" if share < ALARM else "degraded", words)

    async def menus() -> Finding:
        refused = house.telephony.menus.refused if house.telephony is not None else {}
        if not refused:
            return Finding("ok", "Every menu file is published.")
        return Finding("degraded", "; ".join(refused.values())[:500])

    async def database() -> Finding:
        async with house.database.read(deadline_s=1.0) as conn:
            await conn.execute(text("SELECT 1"))
        behind = house.journal.behind
        if house.flusher.down:
            return Finding("degraded", f"The database takes nothing; {behind} facts wait in the journal.")
        return Finding(
            "ok" if behind < 10_000 else "degraded", f"The database answers; {behind} facts wait to be copied."
        )

    async def redis() -> Finding:
        # Asked itself: the bus notices only when it has something to say.
        client = link(house.plan.redis.url)
        try:
            await client.set(PROBE, "1", ex=60)  # one that is full, or only reads, answers a ping
        except ResponseError as error:
            return Finding("degraded", f"Redis takes nothing ({str(error).partition(' ')[0]}).")
        except (RedisError, OSError, TimeoutError):
            return Finding("degraded", "Redis does not answer.")
        finally:
            await client.aclose()
        return Finding("ok", "Redis answers.")

    async def shop() -> Finding:
        state = house.desk.health()
        if state.state == "down":
            return Finding("degraded", f"The order system does not answer ({state.last_error}).")
        return Finding("ok", f"The order system answers; {state.orders} orders are known.")

    async def speech() -> Finding:
        status = transcription.status.items()
        missing = [f"{language}: {found.reason}" for language, found in status if isinstance(found, NoModel)]
        return Finding("ok", "Calls are transcribed." if not missing else f"Not transcribed: {'; '.join(missing)}")

    async def disk() -> Finding:
        part = await asyncio.to_thread(used, house.plan.folders.recordings)
        if part >= FULL:
            return Finding("degraded", f"Recording is off: the disk is {part:.0%} full.")
        return Finding("ok", "There is room for recordings.")

    async def journal() -> Finding:
        if house.journal.fault:
            return Finding("degraded", f"Facts cannot be written to the disk ({house.journal.fault}).")
        if house.journal.refused:
            return Finding("degraded", f"{house.journal.refused} facts were not kept: the journal was full.")
        return Finding("ok", "Facts are written to the disk at once.")

    watched.watch(
        "switch", switch, worst="down", means="Calls go to the static queue of the switch, then to voicemail."
    )
    watched.watch("sip", sip, worst="down", means="Nobody can call or answer; the switch is started again by itself.")
    watched.watch("admission", admission, means="Some callers hear that all lines are busy; whoever is in is served.")
    watched.watch("descriptors", descriptors, means="Beyond 90 % new connections are refused; raise `ulimit -n`.")
    watched.watch("menus", menus, means="Callers hear the version that was published before.")
    watched.watch("database", database, means="Calls go on; records and reports come later, from the journal.")
    watched.watch("disk", disk, means="Calls go on; talks that begin now are not recorded.")
    watched.watch("journal", journal, means="Calls go on; what happens now may be missing from records after a crash.")
    watched.watch("redis", redis, means=ONE_PROCESS if house.links is None else SPLIT)
    watched.watch("orders", shop, means="Callers are offered a person; agents see the last known order, marked stale.")
    watched.watch("speech", speech, means="Recordings are kept; transcripts come when a model is there.")
    for role in ROLES:
        if house.links is not None and role not in house.roles:
            watched.watch(
                role,
                role_check(house.links, role),
                means=MEANS[role],
                worst="down" if role in (TELEPHONY, ACD) else "degraded",
            )


def _switch(house: House) -> tuple[bool, int]:
    """Whether the link to the switch is up, here or at whoever owns it, and how many calls are."""
    if house.telephony is not None:
        board = house.telephony.board
        return house.telephony.link.up, len(board.calls()) if board is not None else 0
    peer = house.links.owner(TELEPHONY) if house.links is not None else None
    return (peer.link, peer.calls) if peer is not None else (False, 0)


def role_check(links: Links, role: str) -> Check:
    """Who has the role and since when they live, as far as we hear of them."""

    async def check() -> Finding:
        living = sorted((peer for peer in links.peers.values() if role in peer.roles and links.alive(peer)), key=_name)
        told = "; ".join(f"{peer.name} {_WORDS[peer.roles[role]]}, alive since {peer.since}" for peer in living)
        if any(peer.owns(role) for peer in living):
            return Finding("ok", told)
        return Finding("down", f"Nobody serves ({told})." if told else "Nothing is heard of it.")

    return check


_WORDS = {"owner": "serves", "standby": "stands by", "draining": "is ending"}


def _name(peer: object) -> str:
    return str(getattr(peer, "name", ""))
