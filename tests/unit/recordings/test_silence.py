"""Silence is left out, sound and its time are not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recordings.silence import LEAD_BLOCKS, SilenceGate

RATE, BLOCK = 16000, 4000


def passed(pattern: list[bool]) -> tuple[SilenceGate, list[int]]:
    """Feeds one block for each entry (loud or not), marked by its number; gives the numbers that got through."""
    gate = SilenceGate(RATE)
    through: list[int] = []
    for number, loud in enumerate(pattern):
        block = np.zeros(BLOCK, dtype=np.int16)
        block[0] = number % 50  # a mark below the threshold
        block[1] = 20_000 if loud else 0
        block[2] = number // 50
        through.extend(int(b[0]) + 50 * int(b[2]) for b in gate.take(block))
    return gate, through


def test_a_silent_side_costs_nothing() -> None:
    assert passed([False] * 400)[1] == []


def test_speech_gets_its_lead_and_its_tail() -> None:
    _, through = passed([False] * 20 + [True] * 4 + [False] * 20)
    assert through == list(range(18, 29))


@given(st.lists(st.booleans(), max_size=120))
def test_every_loud_block_passes_once_in_order_and_keeps_its_time(pattern: list[bool]) -> None:
    gate, through = passed(pattern)
    assert through == sorted(set(through))
    assert {n for n, loud in enumerate(pattern) if loud} <= set(through)
    for place, number in enumerate(through):
        middle_s = (place + 0.5) * BLOCK / RATE
        assert abs(gate.real_s(middle_s) - (number + 0.5) * BLOCK / RATE) < 1e-6


@given(st.lists(st.booleans(), max_size=60))
def test_sound_is_preceded_by_what_came_before_it(pattern: list[bool]) -> None:
    through = set(passed(pattern)[1])
    for number, loud in enumerate(pattern):
        if loud:
            assert {n for n in range(number - LEAD_BLOCKS, number) if n >= 0} <= through
