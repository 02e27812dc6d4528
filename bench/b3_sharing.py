"""B3: how much of full pooling two skills an agent give; the simulation beside exact figures; fairness beside a switch's queues.

Six call types of 14 erlangs each, 90 agents, on the product's own pool and in virtual time. Peers: exact waits (Erlang C, two
classes with priority, the N-model solved from its states), and the strategies rrmemory, leastrecent and random of a switch's
queues on the same random numbers. Promise: ≥ 0.97 of the gap in mean wait is closed; exact figures within three standard
errors, P(wait) of the pooled ± 1 point; the scarce type never waits longer than with longest idle; equal agents' occupancy
spreads by ≤ 3 points.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from bench.exact_queues import n_model, priority_waits
from bench.figures import Figure, figure
from bench.peer_queues import STRATEGIES, PeerQueues
from routing import erlang
from routing.policy.model import CHOICES, Policy, PriorityClass, QueuePolicy
from routing.pool import Pool
from routing.sim import report
from routing.sim.engine import Matching, Outcome, Staff, Work
from routing.sim.engine import run as live
from routing.sim.scenario import CallType, Duration, Rate, Scenario, draw, group_names, like

AHT_S = 240.0
TYPES, AGENTS, LOAD = 6, 90, 84.0
NAMES = tuple(f"t{number}" for number in range(TYPES))
WARM_UP = 300 * AHT_S  # of each day; a queue of 15 agents at 14 erlangs forgets in 60 handle times
NOBODY_DUE = 10**9
DAYS, CALLS, FEWER_CALLS = 8, 150_000, 90_000  # of six types, and of smaller systems
POOLED_DAYS, POOLED_CALLS = 10, 400_000
Job = tuple[str, int]  # what, seed


def scenario(
    loads: dict[str, float], staff: Sequence[Staff], policy: Policy, calls: int, tiers: dict[str, str] | None = None,
    queues: dict[str, str] | None = None,
) -> Scenario:  # fmt: skip
    """A day long enough for so many calls after the warm-up."""
    until = WARM_UP + calls / sum(loads.values()) * AHT_S
    types = tuple(
        CallType(
            name, like(name, (queues or {}).get(name, name), tier=(tiers or {}).get(name, "")),
            (Rate(0.0, until, load / AHT_S * 3600),), Duration(AHT_S),
        )
        for name, load in loads.items()
    )  # fmt: skip
    return Scenario("bench", types, tuple(staff), policy, WARM_UP)


def crew(*groups: tuple[int, Sequence[str]]) -> list[Staff]:
    skills = [own for count, own in groups for _ in range(count)]
    return [Staff(f"a{number:03d}", dict.fromkeys(own, 3)) for number, own in enumerate(skills)]


def queues(names: Sequence[str], choice: str = "longest_idle", **more: Any) -> Policy:
    return Policy(queues={name: QueuePolicy(name, {name: 1}, choice=CHOICES[choice], **more) for name in names})


def with_priority(policy: Policy) -> Policy:
    """The class `first` goes before all others, however often those are overtaken."""
    return Policy(policy.queues, {"first": PriorityClass("first", 1e6)}, NOBODY_DUE)


def six_types(staff: Sequence[Staff]) -> Scenario:
    return scenario(dict.fromkeys(NAMES, LOAD / TYPES), staff, queues(NAMES), CALLS)


ALONE = crew(*((AGENTS // TYPES, (name,)) for name in NAMES))
TWO = crew(*((AGENTS // 15, pair) for pair in combinations(NAMES, 2)))
SCARCE = crew((12, ("common",)), (6, ("common", "scarce")))
SCARCE_LOADS = {"common": 13.0, "scarce": 3.0}
N_OWN, N_BOTH, N_A, N_B = 6, 6, 6.0, 4.4
PRIORITY_AGENTS, PRIORITY_LOADS = 20, {"gold": 7.0, "plain": 11.0}
GOLD: dict[str, Any] = {"class_of_tier": {"gold": "first"}}

SCENARIOS: dict[str, Callable[[], Scenario]] = {
    "pooled": lambda: scenario({"all": LOAD}, crew((AGENTS, ("all",))), queues(["all"]), POOLED_CALLS),
    "alone": lambda: six_types(ALONE),
    "two": lambda: six_types(TWO),
    "all": lambda: six_types(crew((AGENTS, NAMES))),
    "priority": lambda: scenario(
        PRIORITY_LOADS, crew((PRIORITY_AGENTS, ("q",))), with_priority(queues(["q"], **GOLD)), FEWER_CALLS, {"gold": "gold"},
        dict.fromkeys(PRIORITY_LOADS, "q"),
    ),
    "n_model": lambda: scenario(
        {"a": N_A, "b": N_B}, crew((N_OWN, ("a",)), (N_BOTH, ("a", "b"))),
        with_priority(queues(["a", "b"], "specialist_first", **GOLD)), FEWER_CALLS, {"b": "gold"},
    ),
    "scarce_longest_idle": lambda: scenario(SCARCE_LOADS, SCARCE, queues(list(SCARCE_LOADS)), FEWER_CALLS),
    "scarce": lambda: scenario(SCARCE_LOADS, SCARCE, queues(list(SCARCE_LOADS), "specialist_first"), FEWER_CALLS),
    **{f"two_{strategy}": lambda: six_types(TWO) for strategy in STRATEGIES},
    **{f"scarce_{s}": lambda: scenario(SCARCE_LOADS, SCARCE, Policy(), FEWER_CALLS) for s in STRATEGIES},
}  # fmt: skip


def day(job: Job) -> tuple[Job, dict[str, float]]:
    """One simulated day, in whatever process: its figures by name."""
    what, seed = job
    place = SCENARIOS[what]()
    work = draw(place.types, seed)
    strategy = what.rpartition("_")[2]
    pool: Matching = PeerQueues(strategy, seed) if strategy in STRATEGIES else Pool(place.policy)
    return job, _figures(place, work, live(work, place.staff, pool, place.items(work)))


def _figures(place: Scenario, work: Work, outcome: Outcome) -> dict[str, float]:
    counted = work.at >= WARM_UP
    waited = outcome.begun - work.at
    found = {"calls": float(counted.sum()), "wait_s": float(waited[counted].mean())}
    found["p_wait"] = float((waited[counted] > 0).mean())
    for number, it in enumerate(place.types):
        own = waited[counted & (work.kind == number)]
        found |= {f"wait_s_{it.name}": float(own.mean()), f"p_wait_{it.name}": float((own > 0).mean())}
    groups = report.of_agents(outcome, place.staff, group_names(place.staff))
    found["spread"] = max(of["occupancy_spread"] or 0.0 for of in groups.values()) * 100
    return found


Found = dict[str, list[dict[str, float]]]


def all_days() -> Found:
    """Every scenario's days, two processes at a time; the same seeds for all."""
    jobs = [
        (what, seed) for seed in range(1, POOLED_DAYS + 1) for what in SCENARIOS if what == "pooled" or seed <= DAYS
    ]
    found: Found = {what: [] for what in SCENARIOS}
    with multiprocessing.get_context("spawn").Pool(2) as processes:
        for (what, _), figures in processes.imap(day, jobs):
            found[what].append(figures)
    return found


def mean(found: Found, what: str, name: str) -> float:
    return float(np.mean([day_[name] for day_ in found[what]]))


def exactly(found: Found, what: str, name: str, exact: float, half_at_most: float | None = None) -> Figure:
    """A figure beside the exact one: within three standard errors of it."""
    days = [day_[name] for day_ in found[what]]
    estimate = report.estimate(days)
    assert estimate is not None and estimate.half is not None
    error = float(np.std(days, ddof=1) / np.sqrt(len(days)))
    target = "within 3 standard errors of exact"
    ok = abs(estimate.mean - exact) <= 3 * error
    if half_at_most is not None:
        target, ok = f"{target}, half-width <= {half_at_most}", ok and estimate.half <= half_at_most
    calls = int(sum(day_["calls"] for day_ in found[what]))
    return figure(
        "B3", f"{what}_{name}", estimate.mean, exact, target=target, ok=ok, n=calls, half=round(estimate.half, 5),
        standard_errors=round((estimate.mean - exact) / error, 2),
    )  # fmt: skip


def run() -> Iterator[Figure]:
    found = all_days()
    yield exactly(found, "pooled", "p_wait", erlang.erlang_c(AGENTS, LOAD), 0.01)
    yield exactly(found, "pooled", "wait_s", erlang.asa_s(AGENTS, LOAD, AHT_S))
    yield exactly(found, "alone", "p_wait", erlang.erlang_c(AGENTS // TYPES, LOAD / TYPES))
    for name, exact in zip(
        PRIORITY_LOADS, priority_waits(PRIORITY_AGENTS, tuple(PRIORITY_LOADS.values()), AHT_S), strict=True
    ):
        yield exactly(found, "priority", f"wait_s_{name}", exact)
    p_a, wait_a, p_b, wait_b = n_model(N_OWN, N_BOTH, N_A, N_B, AHT_S)
    for name, exact in {"p_wait_a": p_a, "wait_s_a": wait_a, "p_wait_b": p_b, "wait_s_b": wait_b}.items():
        yield exactly(found, "n_model", name, exact)
    yield gap(found)
    yield from fairness(found)


def gap(found: Found) -> Figure:
    """Day by day on the same random numbers: which part of what pooling saves do two skills save?"""
    alone, two, pooled = ([day_["wait_s"] for day_ in found[what]] for what in ("alone", "two", "all"))
    closed = (mean(found, "alone", "wait_s") - mean(found, "two", "wait_s")) / (
        mean(found, "alone", "wait_s") - mean(found, "all", "wait_s")
    )
    by_day = [(a - t) / (a - p) for a, t, p in zip(alone, two, pooled, strict=True)]
    exact = erlang.asa_s(AGENTS // TYPES, LOAD / TYPES, AHT_S), erlang.asa_s(AGENTS, LOAD, AHT_S)
    return figure(
        "B3", "gap_closed_by_two_skills", closed, 1.0, target=">= 0.97", ok=closed >= 0.97,
        n=int(sum(day_["calls"] for day_ in found["two"])), worst_day=round(min(by_day), 4),
        wait_s={what: round(mean(found, what, "wait_s"), 2) for what in ("alone", "two", "all")},
        exact_s={"alone": round(exact[0], 2), "all": round(exact[1], 2)},
    )  # fmt: skip


def fairness(found: Found) -> Iterator[Figure]:
    ours, idle = ([day_["wait_s_scarce"] for day_ in found[what]] for what in ("scarce", "scarce_longest_idle"))
    strategies = {s: round(mean(found, f"scarce_{s}", "wait_s_scarce"), 2) for s in STRATEGIES}
    yield figure(
        "B3", "scarce_type_wait_s", float(np.mean(ours)), float(np.mean(idle)), target="<= longest idle's, every day",
        ok=all(a <= b for a, b in zip(ours, idle, strict=True)), n=len(ours), beside=strategies,
    )  # fmt: skip
    spread = max(day_["spread"] for day_ in found["two"])
    strategies = {s: round(max(day_["spread"] for day_ in found[f"two_{s}"]), 2) for s in STRATEGIES}
    yield figure(
        "B3", "occupancy_spread_of_equal_agents_points", spread, None, target="<= 3", ok=spread <= 3, n=len(found["two"]),
        beside=strategies,
    )  # fmt: skip
    waits = {s: round(mean(found, f"two_{s}", "wait_s"), 2) for s in STRATEGIES}
    worst = {s: round(max(mean(found, f"two_{s}", f"wait_s_{name}") for name in NAMES), 2) for s in STRATEGIES}
    yield figure(
        "B3", "two_skills_mean_wait_s", mean(found, "two", "wait_s"), min(waits.values()), target="<= 1.02 of the best strategy",
        ok=mean(found, "two", "wait_s") <= 1.02 * min(waits.values()), n=len(found["two"]), beside=waits, worst_type=worst,
    )  # fmt: skip
