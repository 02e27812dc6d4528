"""The databases of `tests/unit/core`, for a room that compares them with files."""

from tests.unit.core.conftest import newest_sqlite, place

__all__ = ["newest_sqlite", "place"]
