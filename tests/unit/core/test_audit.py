"""The audit trail on SQLite."""

from __future__ import annotations

from tests.suites.core.audit import AuditPromises


class TestAudit(AuditPromises): ...
