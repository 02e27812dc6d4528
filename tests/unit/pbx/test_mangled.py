"""Recorded calls with events lost, doubled, late and out of order: after a list, belief is the truth.

A landing runs some 500 seeds; `AFTERCALL_SEEDS=10000` runs the full permutation suite (fault 19).
"""

from __future__ import annotations

import os
import random
from datetime import timedelta

import pytest

from pbx.ami_wire import Block
from tests.unit.pbx.told import STORIES, blocks
from tests.unit.pbx.truth import Desk, Truth, belief, check_told, moment, typed

SEEDS = int(os.environ.get("AFTERCALL_SEEDS", "500"))
CHUNKS = 20


def crowd(chance: random.Random) -> list[Block]:
    """One to three recorded calls, interleaved; each in its own order."""
    lines = [list(blocks(story)) for story in chance.sample(STORIES, chance.choice((1, 1, 2, 3)))]
    mixed: list[Block] = []
    while any(lines):
        mixed.append(chance.choice([line for line in lines if line]).pop(0))
    return mixed


def mangle(told: list[Block], chance: random.Random) -> list[Block]:
    """Some lost, some told again, everything in another order (near by, or anywhere)."""
    lost, again, reach = (
        chance.choice((0.0, 0.05, 0.3, 0.7)),
        chance.choice((0.0, 0.1, 0.5)),
        chance.choice((0, 3, 1000)),
    )
    placed = []
    for place, block in enumerate(told):
        if chance.random() < lost:
            continue
        for _ in range(2 if chance.random() < again else 1):
            placed.append((place + chance.uniform(0, reach), len(placed), block))
    return [block for _, _, block in sorted(placed, key=lambda it: it[:2])]


def run(seed: int) -> None:
    chance = random.Random(seed)
    told = crowd(chance)
    cut = chance.randint(0, len(told))
    truth, plain, mangled = Truth(), Desk(), Desk()
    for block in told[:cut]:
        truth.tell(block)
    asked_at = moment(told[max(0, cut - 1)]) + timedelta(milliseconds=1)
    up = set(truth.up)

    plain.take(typed(told[:cut]))
    late = chance.randint(0, 3)  # how many come only after the list
    heard = mangle(told[:cut], chance)
    mangled.take(typed(heard[: len(heard) - late]))
    for desk in (plain, mangled):
        truth.show(desk.board, asked_at, sure=chance.random() < 0.5)
    mangled.take(typed(heard[len(heard) - late :]))
    truth.show(mangled.board, asked_at, sure=False)

    assert belief(mangled.board, truth) == belief(plain.board, truth)
    assert set(belief(plain.board, truth)) == {
        unique for unique, it in truth.up.items() if it.name.startswith("PJSIP/trunk-")
    }
    check_told(plain.heard.events, up, truth.failed)
    check_told(mangled.heard.events, up, truth.failed)

    # The rest of the story, mangled too; then a list that says that everybody is gone.
    for block in told[cut:]:
        truth.tell(block)
    asked_at = moment(told[-1]) + timedelta(milliseconds=1)
    mangled.take(typed(mangle(told[cut:], chance)))
    truth.show(mangled.board, asked_at, sure=chance.random() < 0.5)
    assert not truth.up and not mangled.board.calls() and not mangled.board.missing
    check_told(mangled.heard.events, set())


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_after_a_list_belief_is_the_truth_whatever_was_lost_doubled_or_late(chunk: int) -> None:
    for seed in range(chunk, SEEDS, CHUNKS):
        try:
            run(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
