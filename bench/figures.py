"""One figure = one JSON line: {"bench","metric","ours","peer","ratio","target","ok","n", …spread}."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Figure = dict[str, Any]


def figure(
    bench: str, metric: str, ours: float, peer: float | None, *, target: str, ok: bool, n: int, **more: Any
) -> Figure:
    """`ours` and `peer` in the unit the metric's name ends with; `ratio` = ours / peer."""
    ratio = round(ours / peer, 4) if peer else None
    line = {"bench": bench, "metric": metric, "ours": round(ours, 3), "peer": None if peer is None else round(peer, 3)}
    return {**line, "ratio": ratio, "target": target, "ok": bool(ok), "n": n, **more}


def at(values: Sequence[float], percent: float) -> float:
    """The percentile of values."""
    return float(np.percentile(np.asarray(values, dtype=float), percent))


def spread(values: Sequence[float]) -> str:
    """min/p50/p90/p99/max, for the figure's `spread`."""
    return "/".join(f"{at(values, p):.2f}" for p in (0, 50, 90, 99, 100))
