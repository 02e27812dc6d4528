"""What the desk of agents' abilities promises, proved once more on a real Postgres."""

from __future__ import annotations

from tests.suites.routing.crew import CrewPromises


class TestCrew(CrewPromises): ...
