"""A figure is one JSON line that says what was measured, beside what, and whether the promise held."""

from __future__ import annotations

import json

import pytest

from bench.figures import at, figure, spread


def test_a_figure_is_json_with_the_agreed_names_in_their_order_and_what_is_added_behind() -> None:
    line = figure("B0", "wait_p50_ms", 12.34567, 24.69134, target="ratio <= 0.5", ok=True, n=7, spread="1/2")
    assert list(line) == ["bench", "metric", "ours", "peer", "ratio", "target", "ok", "n", "spread"]
    assert (line["ours"], line["peer"], line["ratio"]) == (12.346, 24.691, 0.5)
    assert json.loads(json.dumps(line)) == line


@pytest.mark.parametrize(("ours", "peer"), [(1.0, None), (1.0, 0.0), (None, 2.0), (None, None)])
def test_without_two_numbers_there_is_no_ratio(ours: float | None, peer: float | None) -> None:
    line = figure("B0", "x", ours, peer, target="", ok=True, n=0)
    assert line["ratio"] is None
    assert (line["ours"], line["peer"]) == (ours, peer)


def test_whatever_was_compared_ok_is_a_plain_truth_value() -> None:
    assert figure("B0", "x", 1, 1, target="", ok=at([1.0], 50) <= 1, n=1)["ok"] is True


def test_percentiles_and_spread_are_of_all_values() -> None:
    values = [float(number) for number in range(101)]
    assert (at(values, 0), at(values, 50), at(values, 99), at(values, 100)) == (0, 50, 99, 100)
    assert spread(values) == "0.00/50.00/90.00/99.00/100.00"
