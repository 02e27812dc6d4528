"""Money is whole minor units; text that would have to be guessed at is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders_bridge.money import Money, exponent


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("129.50", "CNY", 12950),
        ("129.5", "USD", 12950),
        ("0", "CNY", 0),
        ("0.00", "CNY", 0),
        ("12000", "JPY", 12000),
        ("12000.00", "JPY", 12000),
        ("1.234", "KWD", 1234),
        ("-5.00", "CNY", -500),
        ("999999999999", "CNY", 99999999999900),
    ],
)
def test_a_plain_decimal_is_read_exactly(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1e-9",
        "1e12",
        "10,00",
        "1,000.00",
        "1 000",
        "NaN",
        "Infinity",
        "0x10",
        "1.005",
        "٣",
        "--1",
        "1.",
        ".5",
        "1.00\n",
    ],
)
def test_text_that_would_have_to_be_guessed_at_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Money.parse(text, "CNY")


@pytest.mark.parametrize("currency", ["", "cny", "CN", "CNYY", "C1Y", "CNY\n"])
def test_a_currency_is_three_capitals(currency: str) -> None:
    with pytest.raises(ValueError):
        Money(1, currency)


def test_two_currencies_never_add_up() -> None:
    with pytest.raises(ValueError):
        _ = Money(1, "CNY") + Money(1, "USD")
    with pytest.raises(ValueError):
        _ = Money(1, "CNY") - Money(1, "USD")


@given(st.integers(-(10**13), 10**13), st.sampled_from(["CNY", "JPY", "KWD", "USD"]))
def test_written_and_read_again_it_is_the_same(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    text = f"{money.decimal:.{exponent(currency)}f}"
    if len(text.lstrip("-").split(".")[0]) <= 12:
        assert Money.parse(text, currency) == money


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(0, 99))
def test_sums_and_multiples_are_exact(a: int, b: int, times: int) -> None:
    assert (Money(a, "CNY") + Money(b, "CNY") - Money(b, "CNY")).minor == a
    assert (Money(a, "CNY") * times).minor == a * times


def test_it_prints_with_the_decimals_its_currency_has() -> None:
    assert [str(m) for m in (Money(12950, "CNY"), Money(500, "JPY"), Money(1234, "KWD"))] == [
        "129.50 CNY",
        "500 JPY",
        "1.234 KWD",
    ]
