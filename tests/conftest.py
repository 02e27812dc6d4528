"""For all tiers: when landing, Hypothesis repeats itself (the same tree, the same answer); elsewhere it searches on."""

import os

import pytest
from hypothesis import settings

settings.register_profile("landing", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("landing" if os.environ.get("CI") else "search")

pytest.register_assert_rewrite("tests.suites")
