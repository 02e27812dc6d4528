"""The night's comparison is a process of its own: its outcome is read, its failure is told, it does not outlive a cancel."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.reconcile import nightly
from app.reconcile.nightly import NotCompared, in_a_process

SINCE = datetime(2026, 11, 24, tzinfo=UTC)
SUMMARY = '{"kind": "summary", "differences": 1}'


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """In the place of our interpreter: a program that does what `script` says."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


@pytest.mark.parametrize("status", [0, 1])
async def test_the_last_line_is_the_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    told = '{"kind": "end_differs", "interaction_id": "n1-1.1"}'
    stand_in(tmp_path, monkeypatch, f"""echo "$@" > {tmp_path}/asked; echo '{told}'; echo '{SUMMARY}'; exit {status}""")
    assert await in_a_process(tmp_path / "home")(SINCE) == {"kind": "summary", "differences": 1}
    asked = (tmp_path / "asked").read_text()
    assert f"--home {tmp_path}/home --since 2026-11-24T00:00:00+00:00 --json --repair --rotate" in asked


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo broken >&2; exit 1", "broken"),
        (f"echo '{SUMMARY}'; echo no settings >&2; exit 2", "no settings"),
        ("kill -9 $$", "exit status -9"),
        ("echo '{'; exit 0", "exit status 0"),
        (f"echo '{SUMMARY}'; echo '{{\"kind\": \"end_differs\"}}'; exit 0", "exit status 0"),
    ],
)
async def test_without_an_outcome_its_last_words_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    stand_in(tmp_path, monkeypatch, script)
    with pytest.raises(NotCompared) as told:
        await in_a_process(tmp_path)(SINCE)
    assert words in str(told.value)


@pytest.mark.parametrize("late", [True, False])
async def test_one_that_takes_too_long_or_whose_owner_ends_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    pid = tmp_path / "pid"
    stand_in(tmp_path, monkeypatch, f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 60")
    monkeypatch.setattr(nightly, "NIGHT_S", 0.5 if late else 60)
    comparing = asyncio.ensure_future(in_a_process(tmp_path)(SINCE))  # noqa: TID251 (awaited below)
    async with asyncio.timeout(10):
        while not pid.exists():
            await asyncio.sleep(0.01)
    if not late:
        comparing.cancel()
    with pytest.raises(TimeoutError if late else asyncio.CancelledError):
        await comparing
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
