"""What `GET /health` looks at, and what it means for callers when a part does not work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from sqlalchemy import text

from app.web.health import Finding, Health
from app.world.switch_watch import ALARM_S, LastSeen
from core.bus.redis_bus import link
from core.descriptors import ALARM
from recordings.models import NoModel

if TYPE_CHECKING:
    from app.owner import Owner


def watch(watched: Health, owner: Owner) -> None:
    """Adds the checks of whoever owns the queues."""
    house = owner.house
    last_seen = LastSeen(house.plan.folders.run / "switch.json")

    async def switch() -> Finding:
        if house.link.up:
            return Finding("ok", f"The switch answers; {len(owner.board.calls())} calls are up.")
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
        gate, refused = owner.admission.gate, owner.admission.refused_lately()
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
        if not house.menus.refused:
            return Finding("ok", "Every menu file is published.")
        return Finding("degraded", "; ".join(house.menus.refused.values())[:500])

    async def database() -> Finding:
        async with house.database.read(deadline_s=1.0) as conn:
            await conn.execute(text("SELECT 1"))
        behind = house.journal.behind
        words = f"The database answers; {behind} facts wait to be copied."
        return Finding("ok" if behind < 10_000 and not house.journal.refused else "degraded", words)

    async def redis() -> Finding:
        # Asked itself: the bus notices only when it has something to say.
        client = link(house.plan.redis.url)
        try:
            await client.ping()
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
        status = owner.transcription.status.items()
        missing = [f"{language}: {found.reason}" for language, found in status if isinstance(found, NoModel)]
        return Finding("ok", "Calls are transcribed." if not missing else f"Not transcribed: {'; '.join(missing)}")

    watched.watch(
        "switch", switch, worst="down", means="Calls go to the static queue of the switch, then to voicemail."
    )
    watched.watch("sip", sip, worst="down", means="Nobody can call or answer; the switch is started again by itself.")
    watched.watch("admission", admission, means="Some callers hear that all lines are busy; whoever is in is served.")
    watched.watch("descriptors", descriptors, means="Beyond 90 % new connections are refused; raise `ulimit -n`.")
    watched.watch("menus", menus, means="Callers hear the version that was published before.")
    watched.watch("database", database, means="Calls go on; records and reports come later, from the journal.")
    watched.watch("redis", redis, means="Calls and matching go on; live ticks to other processes stop.")
    watched.watch("orders", shop, means="Callers are offered a person; agents see the last known order, marked stale.")
    watched.watch("speech", speech, means="Recordings are kept; transcripts come when a model is there.")
