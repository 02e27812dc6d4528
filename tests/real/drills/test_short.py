"""The short selection of failure drills: faults injected for real among live calls, judged by the oracles."""

import subprocess
import sys
from pathlib import Path

import pytest

LONGEST_S = 420


def drill(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "drill", *arguments], capture_output=True, text=True, timeout=LONGEST_S
    )


def test_every_short_drill_keeps_its_promise_and_all_oracles_hold(tmp_path: Path) -> None:
    told = drill("--short", "--times", "1", "--table", str(tmp_path / "drills.json"))
    assert told.returncode == 0, told.stdout[-4000:] + told.stderr[-2000:]
    assert "MISSED" not in told.stdout


@pytest.mark.parametrize("text", ["", "rehearsal = false\n"])
def test_a_home_that_is_no_rehearsal_is_never_drilled(tmp_path: Path, text: str) -> None:
    (tmp_path / "aftercall.toml").write_text(text)
    told = drill("--fault", "1", "--home", str(tmp_path))
    assert told.returncode == 1
    assert "not marked as a rehearsal" in told.stderr and len(told.stderr.splitlines()) == 1
