"""The launcher's promises, with a real Asterisk, a real Redis, the sample shop, and a controller that only beats."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.world import switch
from app.world.plan import read_plan
from app.world.process import ProcessId

LAUNCHER = [sys.executable, "-m", "tests.real.world.standin"]


class World:
    """One home; `start` and `stop` as an operator would."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process: subprocess.Popen[str] | None = None
        self.seen: set[ProcessId] = set()

    def start(self, *options: str) -> float:
        begun = time.monotonic()
        (self.home / "run" / "world.json").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [*LAUNCHER, str(self.home), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        file = self.home / "run" / "world.json"
        until(lambda: file.exists() or self.process is None or self.process.poll() is not None, 30, "ready")
        assert self.process.poll() is None, self.process.communicate()[0]
        self.facts: dict[str, Any] = json.loads(file.read_text())
        self.remember()
        return time.monotonic() - begun

    def remember(self) -> None:
        self.facts = json.loads((self.home / "run" / "world.json").read_text())
        self.seen |= {known for pid in self.pids.values() if (known := ProcessId.of(pid)) is not None}

    @property
    def pids(self) -> dict[str, int]:
        return self.facts["pids"]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, float]:
        assert self.process is not None
        begun = time.monotonic()
        self.process.send_signal(number)
        said, _ = self.process.communicate(timeout=20)
        return self.process.returncode, said, time.monotonic() - begun

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate(timeout=5)

    def left(self) -> list[ProcessId]:
        return [process for process in self.seen if process.alive()]


def until(true: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not {what} after {seconds} s"
        time.sleep(0.02)


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Callable[[str], World]]:
    made: list[World] = []

    def make(name: str = "home") -> World:
        made.append(World(tmp_path / name))
        return made[-1]

    yield make
    for world in made:
        if world.process is not None and world.process.poll() is None:
            world.process.kill()
            world.process.communicate()
        for process in world.left():
            process.signal(signal.SIGKILL)


def test_a_world_is_ready_in_five_seconds_and_leaves_no_process(worlds: Callable[..., World]) -> None:
    world = worlds()
    assert world.start() < 5
    assert {"launcher", "asterisk", "redis", "shop", "controller"} <= set(world.pids)
    assert oct((world.home / "run" / "world.json").stat().st_mode & 0o777) == "0o600"
    assert len(world.facts["agents"]) >= 3
    assert len({order["status"] for order in world.facts["sample"]["orders"]}) >= 10
    status, said, seconds = world.stop()
    assert status == 0, said
    assert seconds < 10
    assert world.left() == []
    assert not (world.home / "run" / "world.json").exists()


def test_ctrl_c_stops_everything(worlds: Callable[..., World]) -> None:
    world = worlds()
    world.start()
    status, said, seconds = world.stop(signal.SIGINT)
    assert (status, world.left()) == (0, []), said
    assert seconds < 10


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give up root")
def test_started_as_root_nothing_keeps_running_as_root(worlds: Callable[..., World]) -> None:
    world = worlds()
    world.start()
    owners = {role: Path(f"/proc/{pid}").stat().st_uid for role, pid in world.pids.items()}
    assert 0 not in owners.values(), owners
    assert world.home.stat().st_uid != 0
    world.stop()


async def test_a_killed_launcher_leaves_calls_up_and_the_next_one_adopts_them(worlds: Callable[..., World]) -> None:
    world = worlds()
    world.start()
    plan = read_plan(world.home)
    await switch.ask(plan, f"channel originate Local/{plan.dids.echo}@from-trunk/n application Wait 600")
    assert await switch.channels(plan)
    first = dict(world.pids)
    world.kill()
    until(lambda: {p.pid for p in world.left()} == {first["asterisk"]}, 2, "all gone but Asterisk")
    assert world.start() < 5
    assert world.pids["asterisk"] == first["asterisk"]
    assert world.pids["controller"] != first["controller"]
    again = read_plan(world.home)
    assert (again.sip, again.ami, again.agi, again.rtp, again.http) == (
        plan.sip,
        plan.ami,
        plan.agi,
        plan.rtp,
        plan.http,
    )
    assert await switch.channels(again)
    status, said, _ = world.stop()
    assert status == 0
    assert "adopting" in said
    assert world.left() == []


async def test_a_changed_configuration_waits_for_the_calls_to_end(worlds: Callable[..., World]) -> None:
    world = worlds()
    world.start()
    plan = read_plan(world.home)
    await switch.ask(plan, f"channel originate Local/{plan.dids.echo}@from-trunk/n application Wait 600")
    asterisk = world.pids["asterisk"]
    world.kill()
    (world.home / "aftercall.toml").write_text("[asterisk]\ngrace_s = 60\n")
    world.start()
    assert world.pids["asterisk"] == asterisk
    await switch.ask(plan, "channel request hangup all")
    world.kill()
    world.start()
    assert world.pids["asterisk"] != asterisk
    world.stop()
    assert world.left() == []


def test_a_dead_child_is_started_again_and_the_handle_names_it(worlds: Callable[..., World]) -> None:
    world = worlds()
    world.start()
    first = dict(world.pids)
    os.kill(first["redis"], signal.SIGKILL)
    os.kill(first["controller"], signal.SIGKILL)

    def renewed() -> bool:
        world.remember()
        return not {first["redis"], first["controller"], 0} & {world.pids["redis"], world.pids["controller"]}

    until(renewed, 5, "started again")
    assert world.pids["asterisk"] == first["asterisk"]
    world.stop()
    assert world.left() == []


@pytest.mark.parametrize("how", ["stopped", "silent"])
def test_a_frozen_controller_is_killed_and_started_again(worlds: Callable[..., World], how: str) -> None:
    world = worlds()
    world.start()
    frozen = world.pids["controller"]
    begun = time.monotonic()
    if how == "stopped":
        os.kill(frozen, signal.SIGSTOP)
    else:
        (world.home / "run" / "freeze").touch()
    until(lambda: ProcessId.of(frozen) is None, 4, "killed")
    assert time.monotonic() - begun > 1.5
    (world.home / "run" / "freeze").unlink(missing_ok=True)

    def served() -> bool:
        world.remember()
        return world.pids["controller"] not in (0, frozen)

    until(served, 5, "serving again")
    world.stop()
    assert world.left() == []


def test_two_worlds_live_side_by_side_and_one_home_has_one_launcher(worlds: Callable[..., World]) -> None:
    one, two = worlds("one"), worlds("two")
    one.start()
    two.start()
    ports = [
        {w.facts["sip"]["port"], w.facts["ami"]["port"], w.facts["agi"]["port"], w.facts["http"]} for w in (one, two)
    ]
    assert not ports[0] & ports[1]
    first, second = read_plan(one.home).rtp, read_plan(two.home).rtp
    assert first.end < second.start or second.end < first.start
    third = subprocess.run([*LAUNCHER, str(one.home)], capture_output=True, text=True, timeout=20, check=False)
    assert third.returncode == 1
    assert "in use by another launcher" in third.stderr
    one.stop()
    assert [p.pid for p in one.left()] == []
    assert len(two.left()) == 5
    two.stop()


def test_a_given_port_that_is_in_use_is_refused_with_one_line(worlds: Callable[..., World]) -> None:
    one = worlds("one")
    one.start()
    port = one.facts["http"].rpartition(":")[2]
    second = subprocess.run(
        [*LAUNCHER, str(one.home.with_name("two")), port], capture_output=True, text=True, timeout=20, check=False
    )
    assert second.returncode == 1
    assert f"port {port} is in use" in second.stderr
    assert "Traceback" not in second.stderr
    one.stop()
