"""Rows that follow from events, in two steps: what they amount to, and writing it. Does not know where events come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from core.events import DomainEvent


class Projector:
    """Idempotent: the same events twice leave the same rows."""

    def fold(self, events: Sequence[DomainEvent]) -> Any:
        """What `write` needs of them. Looks at nothing else and changes nothing, so it may be done ahead, or in vain."""
        return events

    async def write(self, conn: AsyncConnection, folded: Any) -> None:
        """The rows, on the connection and in the transaction that are given."""
        raise NotImplementedError

    async def project(self, conn: AsyncConnection, events: Sequence[DomainEvent]) -> None:
        await self.write(conn, self.fold(events))
