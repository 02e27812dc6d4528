"""The operator's calendars, as the settings say: for menus (`ivr`) and for queues (`routing`), from one place.

Does not decide what a closed shop means for a caller. Invariant: a calendar that is not there keeps nobody out: better a
person who says "closed" than a caller turned away by a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog

from core.clock import Clock
from core.hours.model import Calendar, Open, PublicDays, is_open
from core.hours.parse import parse_calendar
from core.hours.public_days import public_days
from core.settings import Settings

YEARS_AHEAD = 10


class OpeningHours:
    """`calendars` by name. Raises BadInput for opening hours that cannot be read (settings were checked when they were)."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.calendars = calendars_of(settings, clock.now())

    def is_open(self, name: str, at: datetime) -> bool:
        calendar = self.calendars.get(name)
        if calendar is None:
            structlog.get_logger().warning("calendar_missing", calendar=name)
            return True
        return isinstance(is_open(calendar, at), Open)


def calendars_of(settings: Settings, now: datetime) -> Mapping[str, Calendar]:
    """Where a calendar names no zone, it is the house's. Holidays are those of the years around `now`."""
    years = range(now.year - 1, now.year + YEARS_AHEAD + 1)

    def days_off(country: str) -> PublicDays:
        return public_days(country, years)

    return {
        name: parse_calendar({"zone": settings.time_zone, **values}, days_off)
        for name, values in settings.calendars.items()
    }
