"""Every bench can be asked for by its number and says what it promises; none is run here."""

from __future__ import annotations

import importlib
import inspect

import pytest

from bench.__main__ import benches


def test_benches_stand_in_the_order_of_their_numbers_and_helpers_are_none() -> None:
    numbers = [int(name[1:]) for name in benches()]
    assert numbers == sorted(numbers)
    assert {"B1", "B4", "B5", "B6", "B7", "B9", "B10", "B11"} <= set(benches())
    assert "bench.bare_agi" not in benches().values()


@pytest.mark.parametrize(("name", "module"), list(benches().items()))
def test_a_bench_has_a_name_a_peer_a_promise_and_one_way_to_run_it(name: str, module: str) -> None:
    bench = importlib.import_module(module)
    words = " ".join((bench.__doc__ or "").split())
    assert words.startswith(f"{name}: ")
    assert "beside" in words or "peer" in words or "ways" in words
    assert "Promise: " in words or "Peer: " in words
    assert not inspect.signature(bench.run).parameters
