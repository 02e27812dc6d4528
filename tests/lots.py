"""How many examples a property is tried on. A run repeats the same ones every time (`tests/conftest.py`), so a few that reach
every branch say what hundreds would; `SEARCH=1` takes them all, and others each time."""

import os


def lots(all_of_them: int) -> int:
    return all_of_them if os.environ.get("SEARCH") else max(10, all_of_them // 5)
