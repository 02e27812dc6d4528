"""What the desk of policies promises, proved once more on a real Postgres."""

from __future__ import annotations

from tests.suites.routing.policies import PolicyPromises


class TestPolicies(PolicyPromises): ...
