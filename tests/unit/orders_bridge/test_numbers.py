"""One form for one telephone number, and no trunk can make it raise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders_bridge.numbers import MAX_LENGTH, e164, normalise, preload


@pytest.mark.parametrize(
    ("dialled", "country", "number"),
    [
        ("13812345678", "CN", "+8613812345678"),
        ("138-1234-5678", "CN", "+8613812345678"),
        ("+86 138 1234 5678", "CN", "+8613812345678"),
        ("008613812345678", "CN", "+8613812345678"),
        ("8613812345678", "CN", "+8613812345678"),
        ("013812345678", "CN", "+8613812345678"),
        ("１３８１２３４５６７８", "CN", "+8613812345678"),
        ("010 6552 9988", "CN", "+861065529988"),
        ("(212) 555-0142", "US", "+12125550142"),
        ("212.555.0142", "US", "+12125550142"),
        ("12125550142", "US", "+12125550142"),
        ("+1 212 555 0142", "CN", "+12125550142"),
        ("+44 20 7946 0123", "CN", "+442079460123"),
        ("+447700900123", "CN", "+447700900123"),
        ("0049 30 901820", "CN", "+4930901820"),
    ],
)
def test_every_spelling_of_a_number_becomes_the_same(dialled: str, country: str, number: str) -> None:
    assert normalise(dialled, country) == number == e164(dialled, country)


@pytest.mark.parametrize("hidden", ["", " ", "anonymous", "Anonymous", "RESTRICTED", "unavailable", "unknown"])
def test_a_hidden_number_is_no_number(hidden: str) -> None:
    assert normalise(hidden, "CN") == ""
    assert e164(hidden, "CN") is None


@pytest.mark.parametrize("dialled", ["1001", "110", "99", "1-800-FLOWERS", "12345", "+999999", "alice"])
def test_what_is_no_full_number_stays_as_dialled(dialled: str) -> None:
    assert normalise(dialled, "CN") == dialled
    assert e164(dialled, "CN") is None


@pytest.mark.parametrize(
    "bad",
    ["${SHELL(id)}", "'; --", "1" * 256, "100&PJSIP/trunk/00900", "a\r\nb", "\x00", "\u202e123456", "=HYPERLINK(1)"],
)
def test_hostile_caller_ids_are_kept_short_and_plain(bad: str) -> None:
    number = normalise(bad, "CN")
    assert len(number) <= MAX_LENGTH
    assert number.isprintable()
    assert e164(bad, "CN") is None


@given(st.text(max_size=300), st.sampled_from(["CN", "US", "GB"]))
def test_any_text_at_all_is_survived_and_normalising_twice_changes_nothing(text: str, country: str) -> None:
    once = normalise(text, country)
    assert len(once) <= MAX_LENGTH
    assert normalise(once, country) == once


@given(st.from_regex(r"\A1[38][0-9]{9}\Z"), st.sampled_from(["", " ", "-"]))
def test_separators_never_matter(national: str, sign: str) -> None:
    spelled = sign.join([national[:3], national[3:7], national[7:]])
    assert normalise(spelled, "CN") == normalise(f"+86{spelled}", "CN") == f"+86{national}"


def test_number_plans_can_be_read_beforehand() -> None:
    preload("CN", "US", "GB")
