"""Databases of these tests: SQLite files of the newest schema."""

from tests.unit.core.conftest import newest_sqlite, place

__all__ = ["newest_sqlite", "place"]
