"""Figures: by name, once, in Prometheus' words; and how late the loop is."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.metrics import Metrics, watch_loop


def shown(metrics: Metrics) -> dict[str, float]:
    return {
        sample.name + "".join(f"|{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def test_a_figure_asked_for_twice_is_the_same_figure() -> None:
    metrics = Metrics()
    metrics.counter("calls", "Calls accepted", ("entry",)).labels("menu").inc()
    metrics.counter("calls", "Calls accepted", ("entry",)).labels("menu").inc()
    metrics.gauge("up", "Up").set(1)
    metrics.histogram("wait_seconds", "Waits").observe(0.3)
    seen = shown(metrics)
    assert seen["aftercall_calls_total|menu"] == 2
    assert seen["aftercall_up"] == 1
    assert seen["aftercall_wait_seconds_sum"] == 0.3


def test_one_name_is_one_kind_of_figure() -> None:
    metrics = Metrics()
    metrics.counter("calls", "Calls")
    with pytest.raises(ValueError, match="calls"):
        metrics.gauge("calls", "Calls")


def test_two_processes_in_one_share_no_figures() -> None:
    one, other = Metrics(), Metrics()
    one.counter("calls", "Calls").inc()
    other.counter("calls", "Calls")
    assert (shown(one)["aftercall_calls_total"], shown(other)["aftercall_calls_total"]) == (1, 0)


def test_what_the_process_uses_is_among_the_figures() -> None:
    assert shown(Metrics())["aftercall_process_open_fds"] > 0


async def test_a_blocked_loop_is_seen_in_the_figures() -> None:
    metrics = Metrics()
    watch = asyncio.get_running_loop().create_task(watch_loop(metrics, every_s=0.01))
    while not shown(metrics).get("aftercall_loop_lag_seconds_count"):
        await asyncio.sleep(0.005)
    time.sleep(0.12)  # noqa: ASYNC251 - the very fault
    before = shown(metrics)["aftercall_loop_lag_seconds_count"]
    while shown(metrics)["aftercall_loop_lag_seconds_count"] == before:
        await asyncio.sleep(0.005)
    watch.cancel()
    seen = shown(metrics)
    assert seen["aftercall_loop_lag_seconds_sum"] > 0.1
    late = seen["aftercall_loop_lag_seconds_count"] - seen["aftercall_loop_lag_seconds_bucket|0.1"]
    assert late >= 1
