"""Whose number it is: one form for one number, and the time of day where it is.

A number without a place of its own (hidden, short, of no known plan) counts as one of the house.
"""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone

from orders_bridge.numbers import e164, normalise


class Where:
    """`country`: where numbers without a country code are from; `home`: the house's time zone."""

    def __init__(self, country: str, home: tzinfo) -> None:
        self._country, self._home = country, home

    def key(self, number: str) -> str:
        """Two spellings of one number give one text."""
        return normalise(number, self._country)

    def zone(self, number: str) -> tzinfo:
        """The zone of the number's region; of several (a mobile number of a wide country) the house's, if it is one of them,
        else the first."""
        plain = e164(number, self._country)
        if plain is None:
            return self._home
        names = timezone.time_zones_for_number(phonenumbers.parse(plain, None))
        if not names or names[0] == timezone.UNKNOWN_TIMEZONE or str(self._home) in names:
            return self._home
        try:
            return ZoneInfo(names[0])
        except (ZoneInfoNotFoundError, ValueError):
            return self._home
