"""The console is built beside packages that may be another user's: nothing is ever written among them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from app.console_build import _beside


def test_what_a_tool_writes_beside_the_packages_never_reaches_the_cache_they_came_from(tmp_path: Path) -> None:
    sources, store = tmp_path / "console", tmp_path / "store"
    sources.mkdir()
    for name in ("package.json", "package-lock.json"):
        (sources / name).write_text("{}")
    key = hashlib.sha256(b"{}{}").hexdigest()[:16]
    (store / key / "node_modules" / "vue").mkdir(parents=True)
    (store / key / "node_modules" / ".bin").mkdir()
    (store / key / "complete").touch()
    with _beside(sources, store) as place:
        (place / "node_modules" / ".vite-temp").mkdir()  # where the bundler puts its settings
        assert (place / "node_modules" / "vue").resolve() == store / key / "node_modules" / "vue"
    assert sorted(path.name for path in (store / key / "node_modules").iterdir()) == [".bin", "vue"]
