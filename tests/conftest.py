"""For all tiers: Hypothesis repeats itself (the same tree, the same answer), on few examples; SEARCH=1 goes on searching."""

import gc
import os

import pytest
from hypothesis import settings

settings.register_profile("repeat", derandomize=True, deadline=None, max_examples=30)
settings.register_profile("search", deadline=None)
settings.load_profile("search" if os.environ.get("SEARCH") else "repeat")

pytest.register_assert_rewrite("tests.suites")


def pytest_collection() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    """What was collected stays to the end: looking through it again and again for garbage takes a sixth of the whole run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()
