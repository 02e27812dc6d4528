"""What an outcome means: figures per class and per group of equal agents, with intervals, and differences between rules.

Pure. A day simulated with several seeds gives each figure as mean ± half a 95 % interval (Student's t over the days). Two
sets of rules are compared day by day, on the same random numbers.
Invariant: a figure that nothing stands behind is None, and a day without it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from routing import measures
from routing.intervals import Goal
from routing.sim.engine import Floats, Outcome, Staff, Work

ALL = "all"
Figures = dict[str, float | None]
Day = dict[str, Figures]  # class, or group of agents → its figures
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Classes:
    """By type: the class it is reported under, and its goal."""

    names: Sequence[str]
    goals: Sequence[Goal]


@dataclass(frozen=True)
class Estimate:
    """`half`: half the width of the 95 % interval; None when there is only one day."""

    mean: float
    half: float | None
    days: int

    def __str__(self) -> str:
        """The interval with two digits that count, the mean no finer than that."""
        if not self.half:
            return f"{self.mean:.0f}" if abs(self.mean) >= 1000 else f"{self.mean:.4g}"
        decimals = min(4, max(0, 1 - math.floor(math.log10(self.half))))
        return f"{self.mean + 0.0:.{decimals}f} ± {self.half:.{decimals}f}"


def waits(work: Work, outcome: Outcome) -> Floats:
    """By call: how long it waited until it was answered, hung up or was sent on; nan for those left when all had gone."""
    return np.fmin(np.fmin(outcome.begun + work.ring_s, outcome.hung_up), outcome.sent_on) - work.at


def of_classes(work: Work, outcome: Outcome, classes: Classes, *, warm_up_s: float = 0.0) -> Day:
    """The figures of one day, for each class and for all."""
    counted = work.at >= warm_up_s
    label = np.array(classes.names)[work.kind] if len(work) else np.empty(0, dtype=str)
    within = np.array([goal.within_s for goal in classes.goals])[work.kind] if len(work) else np.empty(0)
    short = np.array([goal.short_s for goal in classes.goals])[work.kind] if len(work) else np.empty(0)
    waited = waits(work, outcome)
    names = sorted(set(classes.names))
    chosen = {name: counted & (label == name) for name in names}
    if len(names) > 1:
        chosen[ALL] = counted
    return {name: _class(work, outcome, waited, within, short, of) for name, of in chosen.items()}


def _class(work: Work, outcome: Outcome, waited: Floats, within: Floats, short: Floats, of: np.ndarray) -> Figures:
    answered, abandoned = of & ~np.isnan(outcome.begun), of & ~np.isnan(outcome.hung_up)
    counts = measures.Counts(
        int(answered.sum()), int(abandoned.sum()), int((answered & (waited <= within)).sum()),
        int((abandoned & (waited <= within)).sum()), int((abandoned & (waited < short)).sum()),
    )  # fmt: skip
    offered, sent_on = int(of.sum()), int((of & ~np.isnan(outcome.sent_on)).sum())
    known = of & ~np.isnan(waited)
    levels = {name: level(counts) for name, level in measures.SERVICE_LEVELS.items()}
    return {
        "offered": offered, "answered": counts.answered, "abandoned": counts.abandoned,
        "sent_on": sent_on, "left": offered - counts.answered - counts.abandoned - sent_on, **levels,
        "abandonment": measures.abandonment(counts),
        "asa_s": measures.asa_s(float(waited[answered].sum()), counts.answered),
        "wait_s": float(waited[known].mean()) if known.any() else None,
        "p_wait": float((outcome.begun[answered] > work.at[answered]).sum() + counts.abandoned + sent_on) / int(known.sum())
        if known.any() else None,
        "p90_wait_s": float(np.percentile(waited[known], 90)) if known.any() else None,
        "longest_wait_s": float(waited[known].max()) if known.any() else None,
        "aht_s": float((work.handle_s - work.ring_s)[answered].mean()) if counts.answered else None,
        "overtaken": float(outcome.overtaken[of].mean()) if offered else None,
        "most_overtaken": int(outcome.overtaken[of].max()) if offered else None,
    }  # fmt: skip


def of_agents(outcome: Outcome, staff: Sequence[Staff], names: Mapping[tuple[object, ...], str]) -> Day:
    """For each group of equal agents: how many, their mean occupancy, and how far the most and the least busy are apart."""
    groups: dict[str, list[float]] = {}
    for number, agent in enumerate(staff):
        there_s, busy_s = float(outcome.there_s[number]), float(outcome.busy_s[number])
        if there_s > 0:
            groups.setdefault(names[agent.alike], []).append(min(1.0, busy_s / there_s))
    return {
        name: {"agents": len(of), "occupancy": sum(of) / len(of), "occupancy_spread": max(of) - min(of)}
        for name, of in sorted(groups.items())
    }


def estimate(values: Sequence[float | None]) -> Estimate | None:
    """Mean and interval of a figure over independent days; None when no day has it."""
    known = np.array([value for value in values if value is not None], dtype=float)
    if not len(known):
        return None
    if len(known) == 1:
        return Estimate(float(known[0]), None, 1)
    half = float(stdtrit(len(known) - 1, (1 + CONFIDENCE) / 2)) * float(known.std(ddof=1)) / math.sqrt(len(known))
    return Estimate(float(known.mean()), half, len(known))


def over_days(days: Sequence[Day]) -> dict[str, dict[str, Estimate]]:
    """Each figure over the days."""
    return {
        name: {
            figure: found
            for figure in days[0][name]
            if (found := estimate([day[name][figure] for day in days if name in day])) is not None
        }
        for name in (days[0] if days else {})
    }


def differences(ours: Sequence[Day], theirs: Sequence[Day]) -> dict[str, dict[str, Estimate]]:
    """ours − theirs, day by day: what the days have in common falls out, and the interval is that of the difference."""
    paired: list[Day] = [
        {
            name: {figure: _minus(value, there[name].get(figure)) for figure, value in figures.items()}
            for name, figures in here.items() if name in there
        }
        for here, there in zip(ours, theirs, strict=True)
    ]  # fmt: skip
    return over_days(paired)


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


SHOWN = ("offered", "sl_offered", "asa_s", "abandonment", "longest_wait_s", "overtaken", "most_overtaken")
SHOWN_AGENTS = ("agents", "occupancy", "occupancy_spread")


def table(rows: Mapping[str, Mapping[str, Estimate]], figures: Sequence[str], first: str = "class") -> list[str]:
    """Lines of plain text, aligned: one for each class."""
    cells = [[first, *figures]]
    cells += [[name, *(str(of[figure]) if figure in of else "–" for figure in figures)] for name, of in rows.items()]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    ]  # fmt: skip


def record(rows: Mapping[str, Mapping[str, Estimate]]) -> dict[str, dict[str, dict[str, float | int | None]]]:
    """The same for JSON."""
    return {
        name: {figure: {"mean": e.mean, "half": e.half, "days": e.days} for figure, e in of.items()}
        for name, of in rows.items()
    }  # fmt: skip
