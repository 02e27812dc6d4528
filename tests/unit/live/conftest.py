"""The databases of `tests/unit/core`, for proving the board against what stands in one."""

from tests.unit.core.conftest import newest_sqlite, place

__all__ = ["newest_sqlite", "place"]
