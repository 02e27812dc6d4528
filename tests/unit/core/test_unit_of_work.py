"""Units of work, the outbox and what hands it on, on SQLite."""

from __future__ import annotations

from tests.suites.core.relay import RelayPromises
from tests.suites.core.unit_of_work import EventLogPromises, UnitOfWorkPromises


class TestUnitOfWork(UnitOfWorkPromises): ...


class TestEventLog(EventLogPromises): ...


class TestRelay(RelayPromises): ...
