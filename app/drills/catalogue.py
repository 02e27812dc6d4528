"""All drills, by fault. A new fault gets its line in the `DRILLS` of the file it belongs to."""

from __future__ import annotations

from app.drills import clock, controllers, link, load, loop, phones, power, switch
from app.drills.model import Drill

ALL: tuple[Drill, ...] = tuple(
    sorted(
        (
            *clock.DRILLS,
            *controllers.DRILLS,
            *switch.DRILLS,
            *link.DRILLS,
            *phones.DRILLS,
            *load.DRILLS,
            *loop.DRILLS,
            *power.DRILLS,
        ),
        key=lambda drill: drill.fault,
    )
)


def chosen(faults: frozenset[int] = frozenset(), *, short: bool = False) -> list[Drill]:
    """The drills of these faults (all without any), or the short selection. Raises KeyError for a fault without a drill."""
    if missing := faults - {drill.fault for drill in ALL}:
        raise KeyError(", ".join(str(number) for number in sorted(missing)))
    return [drill for drill in ALL if (drill.fault in faults if faults else drill.short or not short)]
