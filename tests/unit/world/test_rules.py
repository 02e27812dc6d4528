"""Small rules of the world: which mirror, which cache, when a loop is late, whom a process is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.world import cache
from app.world.beat import Beat
from app.world.checks_running import _address
from app.world.debian import Source, mirrors, security
from app.world.ports import Claims
from app.world.privilege import Identity, identity_for, unreachable
from app.world.process import ProcessId, remember, remembered
from core.settings import SupervisorSettings

LIMITS = SupervisorSettings()


def test_the_archives_own_mirror_is_asked_before_others_and_never_its_security_host() -> None:
    sources = [
        Source("http://cloud/apt", "stable", "Somebody"),
        Source("http://mirror/debian-security/", "bookworm-security", "Debian"),
        Source("http://mirror/debian/", "bookworm-updates", "Debian"),
        Source("http://mirror/debian/", "bookworm", "Debian"),
    ]
    assert mirrors(sources, "bookworm") == ["http://mirror/debian"]
    assert security(sources, "bookworm") == "http://mirror/debian-security"


def test_a_host_whose_lists_are_empty_still_has_a_mirror() -> None:
    sources = [Source("http://other/x", "nodistro"), Source("http://mirror/debian", "bookworm")]
    assert mirrors(sources, "bookworm") == ["http://mirror/debian", "http://other/x"]


def test_the_cache_is_the_named_one_alone_else_our_own_then_the_machines() -> None:
    assert cache.folder({"AFTERCALL_CACHE": "/c"}, uid=0) == Path("/c")
    assert cache.folder({}, uid=0) == cache.MACHINE
    own = cache.folder({"HOME": "/home/li"}, uid=1000)
    assert own == Path("/home/li/.cache/aftercall")
    assert cache.readable(own, {}) == (own, cache.MACHINE)
    assert cache.readable(Path("/c"), {"AFTERCALL_CACHE": "/c"}) == (Path("/c"),)


def looks(beat: Beat, start: float, seconds: float, mark: int | None, *, serving: bool = True) -> float | None:
    """Looks four times a second with an unchanged mark; the first silence told."""
    now = start
    while now < start + seconds:
        now += 0.25
        if (silence := beat.late(mark, serving=serving, now=now)) is not None:
            return silence
    return None


def test_a_loop_is_late_after_two_silent_seconds() -> None:
    beat = Beat(LIMITS, 0.0)
    assert beat.late(1, serving=True, now=0.25) is None
    assert looks(beat, 0.25, 2.0, 1) is None
    assert looks(beat, 2.25, 0.5, 1) == pytest.approx(2.25)


def test_starting_takes_longer_than_serving() -> None:
    beat = Beat(LIMITS, 0.0)
    beat.new_life(0.0, 7)
    assert looks(beat, 0.0, 29.0, 7) is None, "what the life before left behind counts for nothing"
    assert beat.late(8, serving=False, now=29.25) is None
    assert looks(beat, 29.25, 4.75, 8, serving=False) is None
    assert looks(beat, 34.0, 1.0, 8, serving=False) is not None


def test_nobody_is_blamed_for_our_own_sleep() -> None:
    beat = Beat(LIMITS, 0.0)
    beat.late(1, serving=True, now=0.25)
    assert beat.late(1, serving=True, now=3600.0) is None
    assert looks(beat, 3600.0, 2.5, 1) is not None


def test_a_process_is_known_by_more_than_its_pid(tmp_path: Path) -> None:
    me = ProcessId.of(os.getpid())
    assert me is not None
    assert me.alive()
    other = ProcessId(me.pid, me.started + 1, me.boot)
    assert not other.alive()
    assert not other.signal(0)
    remember(tmp_path / "children.json", {"me": me, "other": other})
    assert remembered(tmp_path / "children.json") == {"me": me}
    assert remembered(tmp_path / "none.json") == {}


async def test_the_end_of_a_process_that_is_gone_is_not_waited_for() -> None:
    assert await ProcessId(2**22 - 1, 1, "x").ended(1.0)
    me = ProcessId.of(os.getpid())
    assert me is not None
    assert not await me.ended(0.05)


def test_a_claim_is_held_by_one_at_a_time() -> None:
    one, two = Claims(), Claims()
    name = f"test-{os.getpid()}"
    assert one.take(name)
    assert one.take(name)
    assert not two.take(name)
    assert len(one.descriptors("test-")) == 1
    one.close()
    assert two.take(name)
    two.close()


def test_a_folder_closed_to_the_user_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed"
    (closed / "program").mkdir(parents=True)
    closed.chmod(0o700)
    stranger = Identity(closed.stat().st_uid + 4321, closed.stat().st_gid + 4321, "stranger")
    assert closed in unreachable([closed / "program"], stranger)
    owner = Identity(closed.stat().st_uid, closed.stat().st_gid, "owner")
    assert closed not in unreachable([closed / "program"], owner)


@pytest.mark.skipif(os.getuid() == 0, reason="about those who are not root")
def test_who_is_not_root_stays_who_he_is(tmp_path: Path) -> None:
    assert identity_for(tmp_path) is None


def test_the_kernels_way_to_write_addresses_is_understood() -> None:
    assert str(_address("0100007F")) == "127.0.0.1"
    assert str(_address("00000000")) == "0.0.0.0"
    assert str(_address("00000000000000000000000001000000")) == "::1"
    assert _address("0000000000000000FFFF00000100007F").is_loopback
