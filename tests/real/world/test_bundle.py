"""Programs fetched from the mirror this host uses: whole, once, for everybody, and nothing on the host is touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.world import bundle, cache
from app.world.bundle import ensure

FETCH = "import sys; from app.world.bundle import ensure; ensure('redis', installed=False)"


def test_two_fetchers_fetch_once_and_what_they_get_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(os.listdir("/var/lib/dpkg/info"))
    environment = {**os.environ, "AFTERCALL_CACHE": str(tmp_path)}
    both = [subprocess.Popen([sys.executable, "-c", FETCH], env=environment) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    monkeypatch.setenv("AFTERCALL_CACHE", str(tmp_path))

    def refuse(*_: object) -> None:
        raise AssertionError("what is in the cache is not fetched again")

    monkeypatch.setattr(bundle, "download", refuse)
    redis = ensure("redis", installed=False)
    record = json.loads((redis.root.parent / "bundle.json").read_text())
    assert {package["name"] for package in record["packages"]} >= {"redis-server", "redis-tools"}
    assert all(len(package["sha256"]) == 64 for package in record["packages"])
    said = subprocess.run(
        [*redis.command("redis-server"), "--version"], capture_output=True, text=True, check=True,
        env={**os.environ, **redis.environment},
    )  # fmt: skip
    assert "Redis server v=" in said.stdout
    assert set(os.listdir("/var/lib/dpkg/info")) == before
    assert not list((tmp_path / "programs").glob(".*.work")), "nothing half-done is left"


def test_others_may_read_what_was_fetched_whatever_our_umask(tmp_path: Path) -> None:
    code = f"import os; os.umask(0o077); {FETCH}"
    environment = {**os.environ, "AFTERCALL_CACHE": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
    closed = [
        place for place in (tmp_path / "cache").rglob("*")
        if not place.is_symlink() and place.name != "redis.lock" and not place.stat().st_mode & 0o004
    ]  # fmt: skip
    assert closed == []


def test_an_asterisk_below_the_floor_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "asterisk"
    old.write_text("#!/bin/sh\necho Asterisk 22.9.0\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    floor = bundle.RECIPES["asterisk"].floors[0]
    assert bundle.version_of([str(old)], "-V") == (22, 9, 0)
    assert floor.least > (22, 9, 0)
    found = ensure("asterisk")
    assert found.programs["asterisk"] != old
    old.write_text("#!/bin/sh\necho Asterisk 22.11.0\n")
    assert ensure("asterisk").programs["asterisk"] == old


@pytest.mark.parametrize(
    ("name", "program"),
    [("asterisk", "asterisk"), ("voices", "flite"), ("voices", "espeak-ng"), ("chromium", "chromium")],
)
def test_bundles_run_from_the_cache(name: str, program: str) -> None:
    found = ensure(name, cache.folder(), installed=False)
    option = "-V" if program == "asterisk" else "--version"
    said = subprocess.run(
        [*found.command(program), option], capture_output=True, text=True, check=False,
        env={**os.environ, **found.environment},
    )  # fmt: skip
    own_words = {"asterisk": "22.", "flite": "version", "espeak-ng": "espeak", "chromium": "chromium 1"}
    assert own_words[program] in said.stdout.lower(), said.stderr
