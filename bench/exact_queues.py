"""Exact waits of small systems, solved from their states: what the simulation is measured against in B3."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from routing import erlang

State = tuple[int, int, int, int]


def priority_waits(agents: int, loads: tuple[float, ...], aht_s: float) -> list[float]:
    """Mean wait by class in M/M/N with non-preemptive priority and one handle time, the first class first:
    C(N, A)·AHT/N / ((1 − σₖ₋₁)(1 − σₖ)), σₖ = the occupancy by the classes up to k (Cobham 1954; Kella and Yechiali 1985)."""
    base = erlang.erlang_c(agents, sum(loads)) * aht_s / agents
    sums = np.cumsum([0.0, *loads]) / agents
    return [base / ((1 - before) * (1 - upto)) for before, upto in zip(sums[:-1], sums[1:], strict=True)]


def n_model(
    own: int, both: int, load_a: float, load_b: float, aht_s: float, longest: int = 220
) -> tuple[float, float, float, float]:
    """(P(wait) of A, mean wait of A in s, P(wait) of B, mean wait of B in s) of the N-model: `own` agents take A alone, `both`
    take either; A prefers the former, and for the latter B goes before A. Queues are cut off at `longest`."""
    states = list(_states(own, both, longest))
    number = {state: place for place, state in enumerate(states)}
    rows, columns, rates = [], [], []
    for state in states:
        for after, rate in _moves(state, own, both, load_a, load_b):
            if after in number:
                rows += [number[after], number[state]]
                columns += [number[state]] * 2
                rates += [rate, -rate]
    size = len(states)
    balance = coo_matrix((rates, (rows, columns)), shape=(size, size)).tolil()
    balance[0, :] = 1.0  # instead of one balance: it all adds up to 1
    right = np.zeros(size)
    right[0] = 1.0
    share = spsolve(balance.tocsc(), right)
    full = np.array([(i == own and j == both, j == both, a, b) for i, j, a, b in states], dtype=float)
    waits_a, waits_b, queue_a, queue_b = (float(value) for value in share @ full)
    return waits_a, queue_a * aht_s / load_a, waits_b, queue_b * aht_s / load_b


def _states(own: int, both: int, longest: int) -> Iterator[State]:
    """(busy with A alone, busy who take either, A waiting, B waiting)."""
    for i in range(own + 1):
        for j in range(both + 1):
            for a in range(longest + 1 if i == own and j == both else 1):
                for b in range(longest + 1 if j == both else 1):
                    yield i, j, a, b


def _moves(state: State, own: int, both: int, load_a: float, load_b: float) -> Iterator[tuple[State, float]]:
    """Where a state goes and how often, in units of 1 / AHT."""
    i, j, a, b = state
    yield ((i + 1, j, a, b) if i < own else (i, j + 1, a, b) if j < both else (i, j, a + 1, b)), load_a
    yield ((i, j + 1, a, b) if j < both else (i, j, a, b + 1)), load_b
    if i:
        yield ((i, j, a - 1, b) if a else (i - 1, j, a, b)), float(i)
    if j:
        yield ((i, j, a, b - 1) if b else (i, j, a - 1, b) if a else (i, j - 1, a, b)), float(j)
