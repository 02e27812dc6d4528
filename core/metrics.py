"""Figures for Prometheus: one registry per process, given as a parameter, never a global.

Does not decide what is worth measuring; each room asks for its own figures by name.

Invariants: asking twice for one name gives the same figure; labels carry no personal data and few values (a route's
pattern, a state, a queue), never an id or a number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = CONTENT_TYPE_LATEST
_Figure = TypeVar("_Figure", Counter, Gauge, Histogram)


class Metrics:
    """`metrics.counter("calls", "Calls accepted", ("entry",)).labels("menu").inc()`. Names get `aftercall_` first."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._figures: dict[str, Counter | Gauge | Histogram] = {}
        ProcessCollector(namespace="aftercall", registry=self.registry)

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
        """What only grows."""
        return self._known(Counter, name) or self._keep(
            name, Counter(name, help_text, labels, namespace="aftercall", registry=self.registry)
        )

    def gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
        """What goes up and down."""
        return self._known(Gauge, name) or self._keep(
            name, Gauge(name, help_text, labels, namespace="aftercall", registry=self.registry)
        )

    def histogram(
        self, name: str, help_text: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        """How a quantity spreads; seconds unless the name says otherwise."""
        return self._known(Histogram, name) or self._keep(
            name, Histogram(name, help_text, labels, namespace="aftercall", registry=self.registry, buckets=buckets)
        )

    def render(self) -> bytes:
        """The figures in Prometheus' text format."""
        return generate_latest(self.registry)

    def _known(self, kind: type[_Figure], name: str) -> _Figure | None:
        figure = self._figures.get(name)
        if figure is not None and not isinstance(figure, kind):
            raise ValueError(f"the figure '{name}' exists already as another kind")
        return figure

    def _keep(self, name: str, figure: _Figure) -> _Figure:
        self._figures[name] = figure
        return figure


async def watch_loop(metrics: Metrics, every_s: float = 0.5) -> None:
    """Measures how late the event loop wakes up, until cancelled: every caller of this process waits that long."""
    lag = metrics.histogram("loop_lag_seconds", "How late the event loop woke up")
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every_s
        await asyncio.sleep(every_s)
        lag.observe(max(0.0, loop.time() - due))
