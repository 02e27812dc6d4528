"""Public holidays as data: asks the library once, gives values that the rules can keep.

Does not decide what a holiday means for opening hours (`model.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

import holidays

from core.errors import BadInput
from core.hours.model import PublicDays


def public_days(country: str, years: Iterable[int], subdivision: str | None = None) -> PublicDays:
    """Days off of `country` (ISO 3166, "CN") in these years, moved workdays included. Raises BadInput for an unknown one."""
    wanted = sorted(set(years))
    try:
        table = holidays.country_holidays(country, subdiv=subdivision, years=wanted)
    except NotImplementedError as error:
        where = f"{country} {subdivision}" if subdivision else country
        raise BadInput("core:holidays-unknown", f"There are no holidays known for '{where}'.") from error
    moved = frozenset(day for day in getattr(table, "weekend_workdays", ()) if day.year in wanted)
    off = {day: name for day, name in sorted(table.items()) if day not in moved}
    return PublicDays(MappingProxyType(off), moved)
