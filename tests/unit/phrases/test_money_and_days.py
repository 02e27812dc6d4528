"""Amounts and dates are said right in both languages, and every name that can come out exists."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.phrases.model import Counted, Day, Digits, Money, Number, Pause, Phrase, Prompt
from core.phrases.parts import ALL_NAMES, CURRENCIES, NOUNS, PARTS
from core.phrases.render import LANGUAGES, render
from core.phrases.wire import from_json, to_json
from tests.unit.phrases.reading import said

TODAY = date(2026, 11, 24)
PHRASES = st.one_of(
    st.builds(Number, st.integers(-(10**15), 10**15)),
    st.builds(Counted, st.integers(-(10**13), 10**13), st.sampled_from(sorted(NOUNS))),
    st.builds(Digits, st.text(max_size=20)),
    st.builds(Money, st.integers(-(10**15), 10**15), st.sampled_from([*CURRENCIES, "CHF", "KWD", "KRW", "XXX"])),
    st.builds(Day, st.dates(), st.none() | st.dates()),
    st.builds(Pause, st.integers(-10, 5000)),
)


@pytest.mark.parametrize(
    ("minor", "code", "en", "zh"),
    [
        (12_950, "CNY", "one hundred twenty-nine yuan fifty", "一百二十九元五角"),
        (10_000, "CNY", "one hundred yuan", "一百元"),
        (10_005, "CNY", "one hundred yuan zero five", "一百元零五分"),
        (10_055, "CNY", "one hundred yuan fifty-five", "一百元五角五分"),
        (200, "CNY", "two yuan", "两元"),
        (222, "CNY", "two yuan twenty-two", "两元两角两分"),
        (50, "CNY", "fifty fen", "五角"),
        (1, "CNY", "one fen", "一分"),
        (0, "CNY", "zero yuan", "零元"),
        (-500, "CNY", "minus five yuan", "负五元"),
        (200_000, "CNY", "two thousand yuan", "两千元"),
        (1250, "USD", "twelve dollars and fifty cents", "十二美元五十美分"),
        (100, "USD", "one dollar", "一美元"),
        (101, "USD", "one dollar and one cent", "一美元一美分"),
        (99, "USD", "ninety-nine cents", "九十九美分"),
        (200, "EUR", "two euros", "两欧元"),
        (205, "EUR", "two euros and five cents", "两欧元五欧分"),
        (500, "JPY", "five hundred yen", "五百日元"),
        (1234, "CHF", "twelve point three four C H F", "十二点三四CHF"),
        (1005, "KWD", "one point zero zero five K W D", "一点零零五KWD"),
    ],
)
def test_amounts(minor: int, code: str, en: str, zh: str) -> None:
    assert said(Money(minor, code), "en") == en
    assert said(Money(minor, code), "zh") == zh


@pytest.mark.parametrize(
    ("day", "today", "en", "zh"),
    [
        (date(2026, 11, 24), TODAY, "November twenty-fourth", "十一月二十四日"),
        (date(2027, 1, 1), TODAY, "January first twenty twenty-seven", "二零二七年一月一日"),
        (date(2005, 2, 3), TODAY, "February third two thousand five", "二零零五年二月三日"),
        (date(1999, 10, 10), TODAY, "October tenth nineteen ninety-nine", "一九九九年十月十日"),
        (date(1905, 3, 31), TODAY, "March thirty-first nineteen oh five", "一九零五年三月三十一日"),
        (date(1900, 12, 12), TODAY, "December twelfth nineteen hundred", "一九零零年十二月十二日"),
        (date(2026, 5, 2), None, "May second twenty twenty-six", "二零二六年五月二日"),
    ],
)
def test_the_year_is_said_only_when_it_is_not_this_one(day: date, today: date | None, en: str, zh: str) -> None:
    assert said(Day(day, today), "en") == en
    assert said(Day(day, today), "zh") == zh


@given(PHRASES)
def test_whatever_is_rendered_exists_in_both_languages(phrase: Phrase) -> None:
    for language in LANGUAGES:
        for name in render((phrase,), language):
            assert name.removeprefix(f"{language}/") in ALL_NAMES


def test_every_part_says_something_in_both_languages() -> None:
    assert all(wording.en and wording.zh for wording in PARTS.values())


@given(st.integers(1, 5000))
def test_a_pause_lasts_at_least_as_long_as_asked(ms: int) -> None:
    lasts = sum(int(name.rsplit("-", 1)[1]) for name in render((Pause(ms),), "en"))
    assert ms <= lasts < ms + 50


@given(st.lists(PHRASES | st.builds(Prompt, st.sampled_from(["welcome", "goodbye"])), max_size=6).map(tuple))
def test_phrases_survive_being_written_down(phrases: tuple[Phrase, ...]) -> None:
    assert from_json(to_json(phrases)) == phrases


@pytest.mark.parametrize(
    "bad", [[["prompt"]], [["nothing", 1]], [[]], 5, [["day", "yesterday", None]], [["number", "1"]]]
)
def test_what_is_not_phrases_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="not phrases"):
        from_json(bad)
