"""A disk that is full ends no launcher: what it could not write down is written when there is room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.world import launcher as module
from app.world.launcher import Launcher, Programs
from app.world.planner import Options
from core.settings import Settings


async def test_who_runs_is_written_down_when_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    written: list[Path] = []
    room = False

    def remember(file: Path, _processes: Any) -> None:
        if not room:
            raise OSError(28, "No space left on device")
        written.append(file)

    monkeypatch.setattr(module, "remember", remember)
    it = Launcher(tmp_path, Settings(), Options(), Programs(None, None), said.append)  # type: ignore[arg-type]
    for _ in range(3):
        it._started("controller-1", 1)
    assert it._unwritten and len(said) == 1 and "No space left" in said[0], "told once"
    room = True
    it._write_down()
    assert not it._unwritten and written == [tmp_path / "run" / "children.json"]
