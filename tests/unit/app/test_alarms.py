"""Alarms: one for each time a part of the house fails, cleared when it works again."""

from app.alarms import Alarms
from app.web.health import Finding, Health
from core.clock import ManualClock
from core.events import DomainEvent
from core.metrics import Metrics


class Told:
    def __init__(self) -> None:
        self.events: list[DomainEvent] = []

    def emit(self, event: DomainEvent) -> None:
        self.events.append(event)


async def test_a_part_that_fails_is_told_once_and_again_when_it_is_well() -> None:
    found = [Finding("ok"), Finding("degraded", "It does not answer."), Finding("down"), Finding("ok"), Finding("down")]

    async def look() -> Finding:
        return found.pop(0)

    health, told, metrics = Health(fresh_s=-1.0), Told(), Metrics()
    health.watch("redis", look, means="Ticks stop.")
    alarms = Alarms(health, told, ManualClock(), metrics)
    for _ in range(5):
        await alarms.look()
    assert [(event.kind, event.what) for event in told.events] == [  # type: ignore[attr-defined]
        ("AlertRaised", "health:redis"), ("AlertCleared", "health:redis"), ("AlertRaised", "health:redis"),
    ]  # fmt: skip
    assert told.events[0].message == "It does not answer. Ticks stop."  # type: ignore[attr-defined]
    assert b'aftercall_alarm{part="redis"} 1.0' in metrics.render()


async def test_a_check_that_fails_itself_raises_the_alarm_and_stops_nothing() -> None:
    async def look() -> Finding:
        raise RuntimeError("broken")

    health, told = Health(), Told()
    health.watch("disk", look, means="")
    health.watch("fine", _fine, means="")
    alarms = Alarms(health, told, ManualClock(), Metrics())
    await alarms.look()
    assert alarms.raised == {"disk"}


async def _fine() -> Finding:
    return Finding()
