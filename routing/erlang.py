"""How many agents a load needs: Erlang B, C (nobody hangs up) and A (callers have patience), by recurrence.

Pure. Does not forecast a load and makes no roster. Loads are in erlangs (`calls per second × handle time in seconds`), times
in seconds, probabilities and levels between 0 and 1.
Invariants: no factorials and no powers that overflow, so that 5,000 agents cost as little thought as 5; a queue that would
grow for ever answers with 1.0 and infinity instead of an error.
Sources: A. K. Erlang 1917; C. Palm 1946 for the model with patience.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_AGENTS = 100_000  # a search for agents ends here
_FINE = 12  # panels of Simpson's rule per time in which something happens
_NOTHING = -40.0  # e to this power is nothing beside 1
_TAIL = 1e-14  # a term this small beside the sum before it ends a series


def load_erl(calls: float, interval_s: float, aht_s: float) -> float:
    """A = λ·AHT with λ = calls / interval."""
    return calls / interval_s * aht_s


def erlang_b(agents: int, load: float) -> float:
    """The share of calls that find all agents busy and go away: B₀ = 1, Bₙ = A·Bₙ₋₁ / (n + A·Bₙ₋₁)."""
    blocked = 1.0
    for n in range(1, agents + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def erlang_c(agents: int, load: float) -> float:
    """P_wait, the share of calls that must wait: N·B_N / (N − A·(1 − B_N)); 1 when the load is as much as the agents."""
    return _waits(agents, load, erlang_b(agents, load))


def service_level(agents: int, load: float, aht_s: float, within_s: float) -> float:
    """SL(T) = 1 − P_wait·e^(−(N−A)·T/AHT); 0 when the queue grows for ever."""
    return _level(agents, load, aht_s, within_s, erlang_c(agents, load))


def asa_s(agents: int, load: float, aht_s: float) -> float:
    """The mean wait of all calls: ASA = P_wait·AHT / (N−A); infinite when the queue grows for ever."""
    return erlang_c(agents, load) * aht_s / (agents - load) if agents > load else math.inf


def occupancy(agents: int, load: float) -> float:
    """The share of their time that agents spend on calls: A / N, at most 1."""
    return min(1.0, load / agents) if agents else 1.0


def required(load: float, aht_s: float, within_s: float, target: float, *, most_occupied: float = 1.0) -> int:
    """The fewest agents N with SL(T) ≥ target and an occupancy of at most `most_occupied`.

    Raises ValueError for a target that no number of agents meets.
    """
    if not 0.0 <= target < 1.0 or not 0.0 < most_occupied <= 1.0:
        raise ValueError(f"no number of agents gives a service level of {target} at an occupancy of {most_occupied}")
    blocked = 1.0
    for n in range(1, MOST_AGENTS + 1):
        blocked = load * blocked / (n + load * blocked)
        if n <= load or load / n > most_occupied:
            continue
        if _level(n, load, aht_s, within_s, _waits(n, load, blocked)) >= target:
            return n
    raise ValueError(f"{load} erlangs need more than {MOST_AGENTS} agents")


def scheduled(agents: float, shrinkage: float) -> float:
    """Who must stand on the roster for so many to be there: required / (1 − shrinkage)."""
    if not 0.0 <= shrinkage < 1.0:
        raise ValueError(f"{shrinkage} is no shrinkage; write 0.30 for 30 %")
    return agents / (1.0 - shrinkage)


@dataclass(frozen=True)
class Patient:
    """What Erlang A says. `answered_within`: the share of all calls answered within T. `wait_s`: of all calls, also of those
    that hang up."""

    p_wait: float
    p_abandon: float
    wait_s: float
    answered_within: float
    occupancy: float


def erlang_a(agents: int, load: float, aht_s: float, patience_s: float, within_s: float) -> Patient:
    """Callers hang up after an exponential patience with mean θ⁻¹; a steady state exists for every load.

    With πₙ = the probability that exactly all N agents are busy and nobody waits, the queue's states follow by
    π_{N+j} = π_{N+j−1}·λ / (Nμ + jθ). P_wait = Σ π_{N+j}, E[queue] = Σ j·π_{N+j}, wait = E[queue]/λ, P_abandon = θ·wait.
    Answered after a wait of at most T: π_N·Nμ·∫₀ᵀ exp(−(Nμ+θ)t + λ/θ·(1 − e^(−θt))) dt.
    """
    if agents < 1 or load < 0 or aht_s <= 0 or patience_s <= 0:
        raise ValueError("Erlang A needs an agent, and times above 0")
    if load == 0:
        return Patient(0.0, 0.0, 0.0, 1.0, 0.0)
    arrives, leaves, serves = load / aht_s, 1 / patience_s, agents / aht_s
    # In units of π_N: all states of the queue, and how many wait in them on average.
    term, busy, waiting, j = 1.0, 1.0, 0.0, 0
    while True:
        j += 1
        term *= arrives / (serves + j * leaves)
        busy += term
        waiting += j * term
        if arrives < serves + j * leaves and j * term < _TAIL * busy:
            break
    full = 1.0 / (_states_below(agents, load) + busy)
    wait_s = full * waiting / arrives
    p_wait, p_abandon = full * busy, wait_s / patience_s
    late = full * serves * _answered(arrives, serves, leaves, within_s)
    return Patient(p_wait, p_abandon, wait_s, 1.0 - p_wait + late, load * (1.0 - p_abandon) / agents)


def _waits(agents: int, load: float, blocked: float) -> float:
    return 1.0 if load >= agents else agents * blocked / (agents - load * (1.0 - blocked))


def _level(agents: int, load: float, aht_s: float, within_s: float, waits: float) -> float:
    return 0.0 if load >= agents else 1.0 - waits * math.exp(-(agents - load) * within_s / aht_s)


def _states_below(agents: int, load: float) -> float:
    """Σ of the states with a free agent, in units of π_N: 1/B_N − 1, as its own recurrence Sₙ = (Sₙ₋₁ + 1)·n/A."""
    below = 0.0
    for n in range(1, agents + 1):
        below = (below + 1.0) * n / load
    return below


def _answered(arrives: float, serves: float, leaves: float, within_s: float) -> float:
    """∫₀ᵀ exp(−(Nμ+θ)t + λ/θ·(1 − e^(−θt))) dt by Simpson's rule, in steps much shorter than anything happens."""
    panels = 2 * math.ceil(within_s * (serves + leaves + arrives) * _FINE / 2)
    step = within_s / panels if panels else 0.0
    total = 0.0
    for panel in range(panels + 1):
        t = panel * step
        power = -(serves + leaves) * t - arrives / leaves * math.expm1(-leaves * t)
        if power < _NOTHING and arrives * math.exp(-leaves * t) < serves:
            break  # it only falls from here on
        total += math.exp(power) * (1 if panel in (0, panels) else 4 if panel % 2 else 2)
    return step / 3 * total
