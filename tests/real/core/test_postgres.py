"""What `tests/suites/core` promises, proved once more on a real Postgres, and what is Postgres' alone."""

from __future__ import annotations

import pytest

from tests.suites.core.audit import AuditPromises
from tests.suites.core.engine import EnginePromises
from tests.suites.core.flusher import FlusherPromises
from tests.suites.core.jobs import JobPromises
from tests.suites.core.migrations import MigrationPromises
from tests.suites.core.place import Place
from tests.suites.core.relay import RelayPromises
from tests.suites.core.unit_of_work import EventLogPromises, UnitOfWorkPromises
from tests.suites.core.users import UserPromises


class TestEngine(EnginePromises): ...


class TestMigrations(MigrationPromises):
    @pytest.fixture
    def place(self, own_place: Place) -> Place:
        return own_place


class TestUnitOfWork(UnitOfWorkPromises): ...


class TestEventLog(EventLogPromises): ...


class TestRelay(RelayPromises): ...


class TestFlusher(FlusherPromises): ...


class TestJobs(JobPromises): ...


class TestAudit(AuditPromises): ...


class TestUsers(UserPromises): ...
