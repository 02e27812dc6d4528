"""What `tests/suites/core` promises, proved once more on a real Postgres, and what is Postgres' alone."""

from __future__ import annotations

from tests.suites.core.engine import EnginePromises
from tests.suites.core.migrations import MigrationPromises


class TestEngine(EnginePromises): ...


class TestMigrations(MigrationPromises): ...
