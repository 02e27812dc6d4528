"""From the journal into SQLite, exactly once."""

from __future__ import annotations

from tests.suites.core.flusher import FlusherPromises


class TestFlusher(FlusherPromises): ...
