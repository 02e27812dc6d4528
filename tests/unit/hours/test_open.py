"""Whether a shop is open, and until when: by examples, and by the thousand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.hours.model import Calendar, Closed, Open, PublicDays, Span, is_open
from core.hours.parse import parse_calendar
from core.hours.public_days import public_days
from tests.lots import lots

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
OFFICE = (Span.parse("09:00-12:00"), Span.parse("13:00-18:00"))
WEEK = (*[OFFICE] * 5, (), ())
CHINA = public_days("CN", [2026, 2027])


def at(zone: ZoneInfo, *when: int, fold: int = 0) -> datetime:
    return datetime(*when, tzinfo=zone, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (at(SHANGHAI, 2026, 11, 24, 9, 0), Open(at(SHANGHAI, 2026, 11, 24, 12, 0))),
        (at(SHANGHAI, 2026, 11, 24, 8, 59, 59), Closed(at(SHANGHAI, 2026, 11, 24, 9, 0))),
        (at(SHANGHAI, 2026, 11, 24, 12, 0), Closed(at(SHANGHAI, 2026, 11, 24, 13, 0))),
        (at(SHANGHAI, 2026, 11, 27, 18, 0), Closed(at(SHANGHAI, 2026, 11, 30, 9, 0))),
        # National Day 2026: 1–7 October off; Saturday 10 October is worked instead.
        (at(SHANGHAI, 2026, 10, 1, 10, 0), Closed(at(SHANGHAI, 2026, 10, 8, 9, 0), "holiday", "National Day")),
        (at(SHANGHAI, 2026, 10, 10, 10, 0), Open(at(SHANGHAI, 2026, 10, 10, 12, 0))),
        (at(SHANGHAI, 2026, 10, 11, 10, 0), Closed(at(SHANGHAI, 2026, 10, 12, 9, 0))),
    ],
)
def test_chinese_office_hours_with_moved_workdays(moment: datetime, expected: Open | Closed) -> None:
    assert is_open(Calendar(SHANGHAI, WEEK, CHINA), moment) == expected


def test_an_exception_beats_holiday_and_week() -> None:
    calendar = Calendar(
        SHANGHAI, WEEK, CHINA, exceptions={date(2026, 10, 1): (Span.parse("10:00-12:00"),), date(2026, 11, 24): ()}
    )
    assert is_open(calendar, at(SHANGHAI, 2026, 10, 1, 11, 0)) == Open(at(SHANGHAI, 2026, 10, 1, 12, 0))
    assert is_open(calendar, at(SHANGHAI, 2026, 11, 24, 11, 0)) == Closed(at(SHANGHAI, 2026, 11, 25, 9, 0), "exception")


def test_hours_past_midnight_belong_to_the_day_they_began() -> None:
    friday_night = Calendar(BERLIN, ((), (), (), (), (Span.parse("22:00-02:00"),), (), ()))
    assert is_open(friday_night, at(BERLIN, 2026, 11, 28, 1, 59)) == Open(at(BERLIN, 2026, 11, 28, 2, 0))
    assert isinstance(is_open(friday_night, at(BERLIN, 2026, 11, 27, 1, 0)), Closed)


def test_around_the_clock_has_no_end() -> None:
    always = Calendar(BERLIN, ((Span.parse("00:00-24:00"),),) * 7)
    assert is_open(always, at(BERLIN, 2026, 3, 29, 3, 30)) == Open(None)


def test_never_open_says_so() -> None:
    assert is_open(Calendar(BERLIN, ((),) * 7), at(BERLIN, 2026, 3, 29, 3, 30)) == Closed(None)


def test_the_skipped_hour_is_never_open_and_the_doubled_one_counts_twice() -> None:
    night = Calendar(BERLIN, ((Span.parse("01:30-02:30"),),) * 7)
    # 29 March 2026: 02:00 becomes 03:00. Open from 01:30 for half an hour.
    assert is_open(night, at(BERLIN, 2026, 3, 29, 1, 45)) == Open(datetime(2026, 3, 29, 1, 0, tzinfo=UTC))
    # 25 October 2026: 02:00–03:00 comes twice.
    first_close = at(BERLIN, 2026, 10, 25, 2, 30)
    again = at(BERLIN, 2026, 10, 25, 2, 0, fold=1)
    assert is_open(night, first_close) == Closed(again)
    assert is_open(night, again) == Open(at(BERLIN, 2026, 10, 25, 2, 30, fold=1))


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        is_open(Calendar(BERLIN, WEEK), datetime(2026, 1, 1))  # noqa: DTZ001


SPAN = st.tuples(st.integers(0, 1439), st.integers(1, 1440)).map(lambda pair: Span(pair[0], pair[0] + pair[1]))
SPANS = st.lists(SPAN, max_size=3).map(lambda spans: tuple(sorted(spans)))
ZONES = st.sampled_from(
    ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"]
)
DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))
CALENDARS = st.builds(
    Calendar,
    ZONES.map(ZoneInfo),
    st.tuples(*[SPANS] * 7),
    st.builds(PublicDays, st.dictionaries(DAYS, st.just("day off"), max_size=4), st.frozensets(DAYS, max_size=3)),
    SPANS,
    st.integers(0, 6),
    st.dictionaries(DAYS, SPANS, max_size=4),
)
NEAR_JUMPS = st.sampled_from(
    [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 4, 4, tzinfo=UTC)]
)
MOMENTS = st.builds(
    lambda day, minutes: day + timedelta(minutes=minutes),
    NEAR_JUMPS | st.just(datetime(2026, 1, 3, tzinfo=UTC)),
    st.integers(-1500, 2000) | st.integers(0, 360 * 1440),
)


def on_the_wall(calendar: Calendar, moment: datetime) -> bool:
    """The rule in words, written once more."""
    wall = moment.astimezone(calendar.zone)
    minutes = wall.hour * 60 + wall.minute
    today, yesterday = wall.date(), wall.date() - timedelta(days=1)
    return any(s.opens <= minutes < s.closes for s in calendar.hours_of(today)) or any(
        s.opens <= minutes + 1440 < s.closes for s in calendar.hours_of(yesterday)
    )


@settings(max_examples=lots(300), deadline=None)
@given(CALENDARS, MOMENTS, st.floats(0, 1))
def test_nothing_changes_before_until_and_it_does_at_until(calendar: Calendar, moment: datetime, part: float) -> None:
    answer = is_open(calendar, moment)
    now = on_the_wall(calendar, moment)
    assert isinstance(answer, Open) is now
    if answer.until is None:
        return
    assert answer.until > moment
    assert on_the_wall(calendar, answer.until) is not now
    between = moment + (answer.until - moment) * min(part, 0.999999)
    assert on_the_wall(calendar, between) is now
    assert (
        on_the_wall(calendar, answer.until - timedelta(seconds=1)) is now
        or answer.until - timedelta(seconds=1) < moment
    )


def test_a_calendar_as_people_write_it() -> None:
    calendar = parse_calendar(
        {
            "zone": "Asia/Shanghai",
            "country": "CN",
            "every_day": ["09:00-18:00"],
            "sunday": [],
            "make_up_as": "friday",
            "exceptions": {"2026-12-31": ["09:00-12:00"], date(2027, 1, 1): []},
        },
        lambda country: public_days(country, [2026]),
    )
    assert calendar.hours_of(date(2026, 12, 31)) == (Span(540, 720),)
    assert calendar.hours_of(date(2026, 10, 1)) == ()
    assert calendar.hours_of(date(2026, 11, 29)) == ()
    assert calendar.hours_of(date(2026, 11, 28)) == (Span(540, 1080),)


def test_every_fault_of_a_calendar_is_told_at_once() -> None:
    with pytest.raises(BadInput) as told:
        parse_calendar(
            {
                "zone": "Mars/Olympus",
                "monday": ["9-18"],
                "tuesday": "09:00-18:00",
                "sunday": [5],
                "exceptions": {"soon": []},
                "make_up_as": "someday",
                "holyday": [],
            }
        )
    for part in (
        "Mars/Olympus",
        "monday: '9'",
        "tuesday: a list",
        "sunday: '5'",
        "'soon' is not a date",
        "'someday'",
        "'holyday'",
    ):
        assert part in told.value.message


@pytest.mark.parametrize(
    "text", ["", "09:00", "25:00-26:00", "24:00-01:00", "09:60-10:00", "9.00-10.00", "aa:bb-cc:dd", "-", "٠٩:٠٠-١٠:٠٠"]
)
def test_what_is_not_a_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        Span.parse(text)


def test_an_unknown_country_is_refused() -> None:
    with pytest.raises(BadInput, match="'XX'"):
        public_days("XX", [2026])


def test_a_clock_change_tomorrow_does_not_hide_an_opening_before_it() -> None:
    closed, sunday = (), (Span(0, 181),)
    calendar = Calendar(ZoneInfo("Europe/Berlin"), (closed,) * 6 + (sunday,))
    answer = is_open(calendar, datetime(2026, 3, 28, 12, 0, tzinfo=UTC))
    assert answer == Closed(datetime(2026, 3, 28, 23, 0, tzinfo=UTC))
