"""Opening hours as people write them (plain values from TOML, YAML or JSON) become a calendar.

All faults are told at once, each in one sentence. Holidays come in as a parameter, so that this stays pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import BadInput
from core.hours.model import Calendar, PublicDays, Span, Spans

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_KEYS = {"zone", "country", "holiday", "make_up_as", "exceptions", "every_day", *WEEKDAYS}
Holidays = Callable[[str], PublicDays]


def no_holidays(_country: str) -> PublicDays:
    return PublicDays()


def parse_calendar(values: Mapping[str, Any], holidays_of: Holidays = no_holidays) -> Calendar:
    """Such as `{"zone": "Asia/Shanghai", "country": "CN", "every_day": ["09:00-18:00"], "sunday": [],
    "exceptions": {"2026-12-31": ["09:00-12:00"]}}`. Raises BadInput naming every fault."""
    faults = [f"unknown key '{key}'" for key in values if key not in _KEYS]

    def spans(key: str, texts: Any) -> Spans:
        try:
            if isinstance(texts, str) or not isinstance(texts, list | tuple):
                raise ValueError("a list of spans like 09:00-18:00 is wanted")
            return tuple(sorted(Span.parse(text) if isinstance(text, str) else _refuse(text) for text in texts))
        except ValueError as error:
            faults.append(f"{key}: {error}")
            return ()

    zone = _zone(values.get("zone"), faults)
    every_day = spans("every_day", values.get("every_day", ()))
    weekly = tuple(spans(day, values[day]) if day in values else every_day for day in WEEKDAYS)
    exceptions: dict[date, Spans] = {}
    for day, texts in dict(values.get("exceptions") or {}).items():
        try:
            exceptions[day if isinstance(day, date) else date.fromisoformat(str(day))] = spans(str(day), texts)
        except ValueError:
            faults.append(f"exceptions: '{day}' is not a date like 2026-12-31")
    make_up = str(values.get("make_up_as", "monday"))
    if make_up not in WEEKDAYS:
        faults.append(f"make_up_as: '{make_up}' is not a weekday")
    holiday = spans("holiday", values.get("holiday", ()))
    if faults:
        raise BadInput("core:calendar", "; ".join(faults))
    country = str(values.get("country") or "")
    public = holidays_of(country) if country else PublicDays()
    return Calendar(zone, weekly, public, holiday, WEEKDAYS.index(make_up), MappingProxyType(exceptions))


def _refuse(text: object) -> Span:
    raise ValueError(f"'{text}' is not a span like 09:00-18:00")


def _zone(name: object, faults: list[str]) -> ZoneInfo:
    try:
        return ZoneInfo(str(name or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        faults.append(f"zone: '{name}' is not a time zone; write one like Asia/Shanghai")
        return ZoneInfo("UTC")
