"""Column types that mean the same in SQLite and Postgres: UTC moments with milliseconds, and JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect
from sqlalchemy.types import TypeDecorator

from core.json_text import moment_text


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, cut to milliseconds. Naive values are refused: nobody can know what they mean."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        moment = value.astimezone(UTC)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def stored_moment(at: datetime) -> str:
    """As `Moment` is written into SQLite. Raises ValueError for a naive one."""
    if at.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    text = moment_text(at if at.tzinfo is UTC else at.astimezone(UTC))
    return f"{text[:10]} {text[11:23]}000"


Json = JSON
