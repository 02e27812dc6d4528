"""One figure = one JSON line: {"bench","metric","ours","peer","ratio","target","ok","n", …spread}."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Figure = dict[str, Any]


def figure(
    bench: str, metric: str, ours: float | None, peer: float | None, *, target: str, ok: bool, n: int, **more: Any
) -> Figure:
    """`ours` and `peer` in the unit the metric's name ends with (None = not measured); `ratio` = ours / peer."""
    ratio = None if ours is None or not peer else round(ours / peer, 4)
    line = {"bench": bench, "metric": metric, "ours": _rounded(ours), "peer": _rounded(peer)}
    return {**line, "ratio": ratio, "target": target, "ok": bool(ok), "n": n, **more}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def at(values: Sequence[float], percent: float) -> float:
    """The percentile of values."""
    return float(np.percentile(np.asarray(values, dtype=float), percent))


def spread(values: Sequence[float]) -> str:
    """min/p50/p90/p99/max, for the figure's `spread`."""
    return "/".join(f"{at(values, p):.2f}" for p in (0, 50, 90, 99, 100))
