"""What is said on the phone: the whole truth that the caller may hear, and nothing beyond."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given

import core.prompts
from core.phrases.model import Counted, Day, Digits, Money, Number, Phrases, Prompt
from core.phrases.render import LANGUAGES, render
from orders_bridge.ladder import Level
from orders_bridge.model import Order
from orders_bridge.situation import Situation
from orders_bridge.speech import MAX_PARCELS, PROMPTS, comfort_phrases, state_prompt, status_phrases
from tests.unit.orders_bridge.build import TODAY, back, day, days, order, orders, parcel

NO = "61827868"


def words(phrases: Phrases) -> str:
    """The phrases in one readable line; pauses left out."""
    said = []
    for phrase in phrases:
        match phrase:
            case Prompt(name):
                said.append(name.removeprefix("order-").removeprefix("state-"))
            case Digits(text):
                said.append(text)
            case Counted(value, noun):
                said.append(f"{value} {noun}")
            case Money(minor, currency):
                said.append(f"{minor} {currency}")
            case Day(spoken, _):
                said.append(f"{(spoken - TODAY).days:+d}d")
    return " ".join(said)


@pytest.mark.parametrize(
    ("given_order", "by_ani", "by_number", "by_factor"),
    [
        (order("placed"), "your-order placed", f"your-order {NO} placed", f"your-order {NO} placed"),
        (
            order("shipped", [parcel()]),
            "your-order in-transit",
            f"your-order {NO} in-transit expected-on +2d",
            f"your-order {NO} in-transit expected-on +2d",
        ),
        (
            order("delivered", [parcel("delivered", seen=1)]),
            "your-order delivered",
            f"your-order {NO} delivered delivered-on -1d",
            f"your-order {NO} delivered delivered-on -1d",
        ),
        (
            order("shipped", [parcel(seen=8, due=-4)]),
            "your-order delayed",
            f"your-order {NO} delayed",
            f"your-order {NO} delayed",
        ),
        (
            order("shipped", [parcel("delivered", seen=1), parcel("in_transit", "p2")]),
            "your-order in-transit",
            f"your-order {NO} in-transit parcels 2 parcel parcel-number 1 delivered delivered-on -1d"
            " parcel-number 2 in-transit expected-on +2d",
            f"your-order {NO} in-transit parcels 2 parcel parcel-number 1 delivered delivered-on -1d"
            " parcel-number 2 in-transit expected-on +2d",
        ),
        (
            order("delivered", [parcel("delivered")], [back(due=-5)]),
            "your-order delivered",
            f"your-order {NO} refund-late",
            f"your-order {NO} refund-late refund-of 12950 CNY refund-was-due -5d",
        ),
        (
            order("delivered", [parcel("delivered")], [back(due=3)]),
            "your-order delivered",
            f"your-order {NO} return-received",
            f"your-order {NO} return-received refund-of 12950 CNY refund-expected-by +3d",
        ),
        (
            order("delivered", [parcel("delivered")], [back(state="settled")]),
            "your-order delivered",
            f"your-order {NO} refunded",
            f"your-order {NO} refunded refund-of 12950 CNY",
        ),
        (
            order("delivered", [parcel("delivered")], [back(state="requested", due=None)]),
            "your-order delivered",
            f"your-order {NO} return-requested",
            f"your-order {NO} return-requested refund-of 12950 CNY",
        ),
        (
            order("delivered", [parcel("delivered")], [back("exchange")]),
            "your-order delivered",
            f"your-order {NO} exchange",
            f"your-order {NO} exchange",
        ),
    ],
)
def test_each_rung_hears_its_part(given_order: Order, by_ani: str, by_number: str, by_factor: str) -> None:
    said = [words(status_phrases(given_order, level, TODAY)) for level in sorted(Level)]
    assert said == ["", by_ani, by_number, by_factor]


def test_every_situation_has_its_prompt() -> None:
    assert {state_prompt(word).name for word in Situation} == {
        f"order-state-{name}"
        for name in (
            "placed", "paid", "packed", "shipped", "in-transit", "out-for-delivery", "delivered", "delayed",
            "partly-shipped", "cancelled", "return-requested", "return-received", "refunded", "refund-late", "exchange",
        )
    }  # fmt: skip


def test_no_more_parcels_are_read_out_than_anybody_can_keep_in_mind() -> None:
    many = order("shipped", [parcel("in_transit", f"p{at}") for at in range(9)])
    said = words(status_phrases(many, Level.SECOND_FACTOR, TODAY))
    assert "9 parcel" in said
    assert said.count("parcel-number") == MAX_PARCELS


def test_a_promised_day_that_has_gone_by_is_not_repeated() -> None:
    assert "expected-on" not in words(status_phrases(order("shipped", [parcel(due=-1)]), Level.SECOND_FACTOR, TODAY))


@given(orders, days)
def test_whatever_the_order_only_known_prompts_are_named(any_order: Order, today: date) -> None:
    for level in Level:
        names = {phrase.name for phrase in status_phrases(any_order, level, today) if isinstance(phrase, Prompt)}
        assert names <= PROMPTS


@given(orders, days)
def test_caller_id_alone_hears_nothing_that_could_be_written_down(any_order: Order, today: date) -> None:
    assert status_phrases(any_order, Level.NOBODY, today) == ()
    said = status_phrases(any_order, Level.ANI, today)
    assert not [phrase for phrase in said if isinstance(phrase, Digits | Money | Day | Counted | Number)]
    assert not {p.name for p in said if isinstance(p, Prompt)} & {
        f"order-state-{name}" for name in ("refunded", "refund-late", "return-requested", "return-received", "exchange")
    }


@given(orders, days)
def test_an_order_number_alone_hears_no_money(any_order: Order, today: date) -> None:
    said = status_phrases(any_order, Level.ORDER_NO, today)
    assert not [phrase for phrase in said if isinstance(phrase, Money)]
    assert not {p.name for p in said if isinstance(p, Prompt)} & {"order-refund-expected-by", "order-refund-was-due"}


@given(orders, days)
def test_who_waits_hears_how_the_order_stands_and_never_more_than_their_rung_may_hear(
    any_order: Order, today: date
) -> None:
    assert comfort_phrases(any_order, Level.NOBODY, today) == ()
    for level in (Level.ANI, Level.ORDER_NO, Level.SECOND_FACTOR):
        said = comfort_phrases(any_order, level, today)
        assert len(said) == 2 and all(isinstance(phrase, Prompt) for phrase in said)
        assert set(said) <= set(status_phrases(any_order, level, today))


@given(orders, days)
def test_days_are_told_with_today_so_that_the_year_is_left_out(any_order: Order, today: date) -> None:
    said = status_phrases(any_order, Level.SECOND_FACTOR, today)
    assert all(phrase.today == today for phrase in said if isinstance(phrase, Day))


def test_day_arithmetic_of_these_tests() -> None:
    assert (day(2) - TODAY).days == 2


def test_every_prompt_that_can_be_named_is_in_the_prompt_library() -> None:
    library = Path(core.prompts.__file__).parent
    texts = [
        file.read_text("utf-8") for file in library.rglob("*") if file.suffix in (".py", ".yaml", ".toml", ".json")
    ]
    assert not [name for name in sorted(PROMPTS) if not any(name in text for text in texts)]


@given(orders, days)
def test_whatever_is_said_can_be_said_in_both_languages(any_order: Order, today: date) -> None:
    for language in LANGUAGES:
        for level in Level:
            said = status_phrases(any_order, level, today)
            assert bool(render(said, language)) == bool(said)
