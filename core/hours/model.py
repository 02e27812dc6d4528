"""When a shop is open: weekly hours, holidays, make-up workdays, exceptions, in the shop's own time zone.

Does not know any country's holidays (`public_days.py` fetches them as data) and reads no clock: `at` is given, in UTC.

The rule is what the clock on the shop's wall says: open when a span of today holds the wall time, or one of yesterday
that runs past midnight. So daylight saving needs no special case: an hour that does not exist is never open, an hour
that comes twice counts twice.

Invariants: an exception beats everything; a make-up workday beats a holiday and the weekend; a holiday beats the week.
Between `at` and `until` of an answer nothing changes, and at `until` it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

DAY_MIN = 24 * 60
SEARCH_DAYS = 400  # beyond it "closed, and nobody knows until when"


@dataclass(frozen=True, order=True, slots=True)
class Span:
    """Minutes after midnight, `opens` < `closes`; `closes` beyond 1440 runs into the next day (22:00–02:00 = 1320–1560)."""

    opens: int
    closes: int

    def __post_init__(self) -> None:
        if not 0 <= self.opens < DAY_MIN or not self.opens < self.closes <= self.opens + DAY_MIN:
            raise ValueError(f"{self.opens}–{self.closes} is not a span of opening hours")

    @classmethod
    def parse(cls, text: str) -> Span:
        """From "09:00-18:00", "22:00-02:00", "00:00-24:00". Raises ValueError."""
        first, _, last = text.partition("-")
        opens, closes = _minutes(first), _minutes(last)
        if opens == DAY_MIN:
            raise ValueError(f"'{text}': opening hours begin before 24:00")
        return cls(opens, closes if closes > opens else closes + DAY_MIN)


Spans = tuple[Span, ...]


def _minutes(text: str) -> int:
    hours, colon, minutes = text.strip().partition(":")
    if (
        not text.isascii()
        or not colon
        or not (hours.isdecimal() and minutes.isdecimal())
        or len(hours) > 2
        or len(minutes) != 2
    ):
        raise ValueError(f"'{text.strip()}' is not a time of day like 09:00")
    value = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or value > DAY_MIN:
        raise ValueError(f"'{text.strip()}' is not a time of day like 09:00")
    return value


@dataclass(frozen=True, slots=True)
class PublicDays:
    """A country's days off (with their names) and the weekend days on which people work instead."""

    off: Mapping[date, str] = field(default_factory=lambda: MappingProxyType({}))
    workdays: frozenset[date] = frozenset()


@dataclass(frozen=True, slots=True)
class Calendar:
    """`weekly` has seven entries, Monday first. `holiday` = hours on days off (usually none). On a make-up workday the hours of
    weekday `make_up_as` (0 = Monday) hold. `exceptions`: hours of single dates, () = closed."""

    zone: ZoneInfo
    weekly: tuple[Spans, ...]
    public: PublicDays = PublicDays()
    holiday: Spans = ()
    make_up_as: int = 0
    exceptions: Mapping[date, Spans] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if len(self.weekly) != 7 or not 0 <= self.make_up_as <= 6:
            raise ValueError("a week has seven days")

    def holiday_on(self, day: date) -> str | None:
        """The name of the public holiday on this day, unless it is worked on in exchange; None on other days."""
        return None if day in self.public.workdays else self.public.off.get(day)

    def hours_of(self, day: date) -> Spans:
        """The spans that begin on this day."""
        if day in self.exceptions:
            return self.exceptions[day]
        if day in self.public.workdays:
            return self.weekly[self.make_up_as]
        if day in self.public.off:
            return self.holiday
        return self.weekly[day.weekday()]


@dataclass(frozen=True, slots=True)
class Open:
    """`until` in UTC; None = no end in sight."""

    until: datetime | None


@dataclass(frozen=True, slots=True)
class Closed:
    """`until` = when it opens next, in UTC, None = not within SEARCH_DAYS. `reason`: hours, holiday (then `name` is its
    name), exception."""

    until: datetime | None
    reason: str = "hours"
    name: str = ""


def is_open(calendar: Calendar, at: datetime) -> Open | Closed:
    """Whether the shop is open at `at` (any aware time). Raises ValueError for a time without zone."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone says nothing")
    now = _open_at(calendar, at)
    until = next((moment for moment in _changes(calendar, at) if _open_at(calendar, moment) is not now), None)
    if now:
        return Open(until)
    day = at.astimezone(calendar.zone).date()
    if day in calendar.exceptions:
        return Closed(until, "exception")
    if (name := calendar.holiday_on(day)) is not None:
        return Closed(until, "holiday", name)
    return Closed(until)


def _open_at(calendar: Calendar, at: datetime) -> bool:
    wall = at.astimezone(calendar.zone)
    minute = wall.hour * 60 + wall.minute
    day = wall.date()
    if any(span.opens <= minute < span.closes for span in calendar.hours_of(day)):
        return True
    if day == date.min:
        return False
    return any(minute + DAY_MIN < span.closes for span in calendar.hours_of(day - timedelta(days=1)))


def _changes(calendar: Calendar, at: datetime) -> Iterator[datetime]:
    """Every moment after `at`, in order, at which the answer may change: edges of spans, and jumps of the wall clock."""
    day = at.astimezone(calendar.zone).date()
    for _ in range(SEARCH_DAYS):
        moments = set(_edges(calendar, day)) | set(_jumps(calendar.zone, day))
        yield from sorted(moment for moment in moments if moment > at)
        day += timedelta(days=1)


def _edges(calendar: Calendar, day: date) -> Iterator[datetime]:
    today: Sequence[int] = [edge for span in calendar.hours_of(day) for edge in (span.opens, span.closes)]
    before = [span.closes - DAY_MIN for span in calendar.hours_of(day - timedelta(days=1))]
    for minute in (0, *(edge for edge in (*today, *before) if 0 <= edge < DAY_MIN)):
        wall = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=calendar.zone)
        for fold in (0, 1):
            yield wall.replace(fold=fold).astimezone(UTC)


def _jumps(zone: ZoneInfo, day: date) -> Iterator[datetime]:
    """When the zone's offset changes during this day."""
    early = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    late = early + timedelta(hours=26)
    if _offset(early, zone) == _offset(late, zone):
        return
    first, last = int(early.timestamp()), int(late.timestamp())
    while last - first > 1:
        middle = (first + last) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), zone) == _offset(early, zone):
            first = middle
        else:
            last = middle
    jump = datetime.fromtimestamp(last, UTC)
    if jump.astimezone(zone).date() == day:  # the stretch looked through reaches into the next day, whose jump it is
        yield jump


def _offset(at: datetime, zone: ZoneInfo) -> timedelta | None:
    return at.astimezone(zone).utcoffset()
