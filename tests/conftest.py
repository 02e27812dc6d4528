"""For all tiers: Hypothesis repeats itself (the same tree, the same answer), on few examples; SEARCH=1 goes on searching."""

import os

import pytest
from hypothesis import settings

settings.register_profile("repeat", derandomize=True, deadline=None, max_examples=30)
settings.register_profile("search", deadline=None)
settings.load_profile("search" if os.environ.get("SEARCH") else "repeat")

pytest.register_assert_rewrite("tests.suites")
