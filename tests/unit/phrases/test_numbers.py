"""Numbers and counted things are said as people say them, in both languages."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.phrases.model import Counted, Digits, Number
from tests.unit.phrases.reading import read_chinese, read_english, said

NUMBERS = st.integers(-999_999_999, 999_999_999) | st.integers(-20_000, 20_000) | st.integers(-(10**12) + 1, 10**12 - 1)


@pytest.mark.parametrize(
    ("value", "en", "zh"),
    [
        (0, "zero", "零"),
        (1, "one", "一"),
        (2, "two", "二"),
        (10, "ten", "十"),
        (11, "eleven", "十一"),
        (12, "twelve", "十二"),
        (20, "twenty", "二十"),
        (21, "twenty-one", "二十一"),
        (22, "twenty-two", "二十二"),
        (99, "ninety-nine", "九十九"),
        (100, "one hundred", "一百"),
        (101, "one hundred one", "一百零一"),
        (110, "one hundred ten", "一百一十"),
        (115, "one hundred fifteen", "一百一十五"),
        (200, "two hundred", "二百"),
        (202, "two hundred two", "二百零二"),
        (1000, "one thousand", "一千"),
        (1001, "one thousand one", "一千零一"),
        (1010, "one thousand ten", "一千零一十"),
        (1100, "one thousand one hundred", "一千一百"),
        (2000, "two thousand", "两千"),
        (10_000, "ten thousand", "一万"),
        (10_010, "ten thousand ten", "一万零一十"),
        (12_345, "twelve thousand three hundred forty-five", "一万两千三百四十五"),
        (20_000, "twenty thousand", "两万"),
        (100_000, "one hundred thousand", "十万"),
        (100_050, "one hundred thousand fifty", "十万零五十"),
        (105_000, "one hundred five thousand", "十万五千"),
        (120_000, "one hundred twenty thousand", "十二万"),
        (220_000, "two hundred twenty thousand", "二十二万"),
        (1_000_000, "one million", "一百万"),
        (10_203_000, "ten million two hundred three thousand", "一千零二十万三千"),
        (100_000_001, "one hundred million one", "一亿零一"),
        (100_010_000, "one hundred million ten thousand", "一亿零一万"),
        (200_000_000, "two hundred million", "两亿"),
        (-3, "minus three", "负三"),
        (10**12, "one zero zero zero , zero zero zero zero , zero zero zero zero zero", None),
    ],
)
def test_cardinals(value: int, en: str, zh: str | None) -> None:
    assert said(Number(value), "en") == en
    if zh is not None:
        assert said(Number(value), "zh") == zh


@given(NUMBERS)
def test_an_independent_reader_hears_the_same_number(value: int) -> None:
    assert read_english(said(Number(value), "en")) == value
    assert read_chinese(said(Number(value), "zh")) == value


@given(NUMBERS)
def test_chinese_zeros_and_twos_stand_only_where_they_belong(value: int) -> None:
    text = said(Number(value), "zh")
    assert "零零" not in text
    assert value == 0 or not text.endswith("零")
    assert not re.search(r"零[十百千万亿]", text)
    assert not re.search(r"两(?![千万亿])", text), text
    assert not re.search(r"[百千万亿零]十", text), text


@pytest.mark.parametrize(
    ("value", "noun", "en", "zh"),
    [
        (0, "parcel", "zero parcels", "零个包裹"),
        (1, "parcel", "one parcel", "一个包裹"),
        (2, "parcel", "two parcels", "两个包裹"),
        (12, "parcel", "twelve parcels", "十二个包裹"),
        (22, "item", "twenty-two items", "二十二件商品"),
        (2, "day", "two days", "两天"),
        (1, "minute", "one minute", "一分钟"),
        (2, "order", "two orders", "两个订单"),
        (-2, "day", "minus two days", "负两天"),
    ],
)
def test_counted_things(value: int, noun: str, en: str, zh: str) -> None:
    assert said(Counted(value, noun), "en") == en
    assert said(Counted(value, noun), "zh") == zh


def test_a_noun_that_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="'unicorn' is not a noun"):
        said(Counted(1, "unicorn"), "en")


def test_a_language_that_is_not_spoken_is_refused() -> None:
    with pytest.raises(ValueError, match="'tlh'"):
        said(Number(1), "tlh")


@pytest.mark.parametrize(
    ("text", "en", "zh"),
    [
        ("1", "one", "一"),
        ("12", "one two", "一二"),
        ("110", "one one zero", "幺幺零"),
        ("2026", "two zero two six", "二零二六"),
        ("20261", "two zero two six one", "二零二六幺"),
        ("20261234", "two zero two six , one two three four", "二零二六,幺二三四"),
        ("202612341", "two zero two six , one two three four one", "二零二六,幺二三四幺"),
        ("AB-12", "A B , one two", "AB,一二"),
        ("#1*", "pound key one star", "井号一星号"),
        ("", "", ""),
        ("é!", "", ""),
        ("٣", "", ""),
    ],
)
def test_digit_strings_are_read_as_on_the_telephone(text: str, en: str, zh: str) -> None:
    assert said(Digits(text), "en") == en
    assert said(Digits(text), "zh") == zh
