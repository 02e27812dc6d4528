"""What one agent may have in hand at once, over all channels."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.capacity import Capacity
from routing.policy.model import KINDS

ALL = frozenset(KINDS)
NOBODY_ELSE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("in_hand", "may_come"),
    [
        ({}, ALL),
        ({"voice": 1}, NOBODY_ELSE),
        ({"chat": 1}, ALL),
        ({"chat": 3}, {"voice"}),
        ({"mail": 5}, {"voice"}),
        ({"chat": 2}, {"voice", "chat", "mail", "social"}),
        ({"chat": 2, "mail": 1}, {"voice"}),
        ({"voice": 1, "chat": 1}, NOBODY_ELSE),
    ],
)
def test_voice_stands_alone_and_written_channels_share_an_agents_attention(
    in_hand: dict[str, int], may_come: set[str]
) -> None:
    assert Capacity().open(in_hand) == may_come


def test_where_voice_does_not_interrupt_it_waits_until_everything_written_is_done() -> None:
    calm = Capacity(voice_interrupts=False)
    assert "voice" not in calm.open({"mail": 1}) and "voice" in calm.open({})


@pytest.mark.parametrize("most", [{"voice": 2}, {"chat": -1}, {"telex": 1}])
def test_what_is_no_capacity_is_refused(most: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="no capacity"):
        Capacity(most)


@given(st.lists(st.sampled_from(KINDS), max_size=30), st.booleans())
def test_whatever_comes_nobody_ever_has_more_than_they_may(comes: list[str], interrupts: bool) -> None:
    rules, in_hand = Capacity(voice_interrupts=interrupts), Counter[str]()
    for kind in comes:
        if kind in rules.open(in_hand):
            in_hand[kind] += 1
        assert all(in_hand[each] <= rules.most[each] for each in KINDS)
        assert rules.attention(in_hand) <= 1 + 1e-9
