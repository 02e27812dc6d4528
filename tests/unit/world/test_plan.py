"""The plan of a world: secrets made once, ports kept, the handle as outsiders know it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.world import planner
from app.world.bundle import Bundle
from app.world.plan import NoPlan, WorldPlan, read_plan, write_private
from app.world.planner import Options, make_plan
from app.world.ports import Claims, choose, choose_rtp
from app.world.secret_store import SecretStore
from core.settings import Settings, SettingsError


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> Iterator[Claims]:
    """Claims under names no real world has, and ports that are always free."""
    taken: set[str] = set()

    class Names(Claims):
        def take(self, name: str) -> bool:
            if name in taken and name not in self.mine:
                return False
            taken.add(name)
            self.mine.add(name)
            return True

        def holds(self, name: str) -> bool:
            return name in self.mine

        def drop(self, name: str) -> None:
            taken.discard(name)
            self.mine.discard(name)

        def __init__(self) -> None:
            super().__init__()
            self.mine: set[str] = set()

    monkeypatch.setattr(planner.ports, "_binds", lambda kind, host, port: True)
    names = Names()
    names.other = Names  # type: ignore[attr-defined]
    yield names


def bundle(tmp_path: Path) -> Bundle:
    root = tmp_path / "root"
    (root / "usr/share/asterisk/sounds/en_US_f_Allison").mkdir(parents=True, exist_ok=True)
    (root / "usr/lib/x86_64-linux-gnu/asterisk/modules").mkdir(parents=True, exist_ok=True)
    programs = {"asterisk": root / "usr/sbin/asterisk"}
    return Bundle(
        "asterisk", root, False, {"asterisk": "1:22.10.1+dfsg+~cs6"}, programs, ("/ld.so", "--library-path", "x")
    )


def plan_of(tmp_path: Path, claims: Claims, **more: object) -> WorldPlan:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    options = more.pop("options", Options())
    settings = more.pop("settings", Settings())
    return make_plan(home, settings, options, bundle(tmp_path), claims, instance="abc", **more)  # type: ignore[arg-type]


def test_the_usual_ports_are_taken_when_free(tmp_path: Path, claims: Claims) -> None:
    plan = plan_of(tmp_path, claims)
    assert (plan.http.port, plan.sip.port) == (8080, 5060)
    assert plan.http_url == "http://127.0.0.1:8080"


def test_a_second_world_gets_other_ports_and_its_own_range_for_sound(tmp_path: Path, claims: Claims) -> None:
    one = plan_of(tmp_path / "a", claims) if (tmp_path / "a").mkdir() is None else None
    (tmp_path / "b").mkdir()
    two = plan_of(tmp_path / "b", claims.other())  # type: ignore[attr-defined]
    assert one is not None
    ports = [{p.http.port, p.sip.port, p.ami.port, p.agi.port, p.redis.port, p.shop.port} for p in (one, two)]
    assert len(ports[0]) == len(ports[1]) == 6
    assert not ports[0] & ports[1]
    assert one.rtp.end < two.rtp.start or two.rtp.end < one.rtp.start


def test_ports_and_secrets_are_the_same_at_the_next_start(tmp_path: Path, claims: Claims) -> None:
    first = plan_of(tmp_path, claims)
    for name in list(claims.mine):  # type: ignore[attr-defined]
        claims.drop(name)
    assert plan_of(tmp_path, claims, previous=first) == first


def test_given_ports_win_over_those_of_last_time(tmp_path: Path, claims: Claims) -> None:
    first = plan_of(tmp_path, claims)
    again = plan_of(tmp_path, claims, previous=first, options=Options(http_port=9001, sip_port=9002))
    assert (again.http.port, again.sip.port) == (9001, 9002)


def test_while_calls_are_up_asterisk_keeps_what_it_runs_with(tmp_path: Path, claims: Claims) -> None:
    first = plan_of(tmp_path, claims)
    again = plan_of(tmp_path, claims, previous=first, running=True)
    assert (again.sip, again.ami, again.agi, again.rtp) == (first.sip, first.ami, first.agi, first.rtp)
    with pytest.raises(SettingsError, match="calls are up on port 5060"):
        plan_of(tmp_path, claims, previous=first, running=True, options=Options(sip_port=9002))


def test_a_given_port_that_is_in_use_is_refused_with_one_line(claims: Claims) -> None:
    with pytest.raises(SettingsError) as caught:
        choose("http.port", "127.0.0.1", 8080, claims, free=lambda host, port: False)
    assert caught.value.lines == [
        "http.port: port 8080 is in use on 127.0.0.1; choose another one, or 0 for any free one"
    ]


def test_ranges_for_sound_never_leave_the_possible_ports(claims: Claims) -> None:
    start, end = choose_rtp(0, 20000, claims)
    assert end - start + 1 == 20000
    assert end <= 65535
    with pytest.raises(SettingsError, match=r"sip\.rtp_ports"):
        choose_rtp(0, 20000, claims.other(), cells=(60,))  # type: ignore[attr-defined]


def test_what_is_configured_is_not_brought_along(tmp_path: Path, claims: Claims) -> None:
    settings = Settings(
        redis={"url": "redis://127.0.0.1:6379/0"}, database={"url": "postgresql://db/x"},
        shop={"url": "https://shop.example"}, sample={"enabled": False},
    )  # fmt: skip
    plan = plan_of(tmp_path, claims, settings=settings)
    assert (plan.redis.own, plan.shop.own, plan.agents) == (False, False, ())
    assert plan.database == "postgresql://db/x"


def test_the_plan_is_written_for_us_alone_and_read_again(tmp_path: Path, claims: Claims) -> None:
    plan = plan_of(tmp_path, claims)
    (plan.home / "run").mkdir()
    file = plan.write()
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_plan(plan.home) == plan
    file.write_text("{}")
    with pytest.raises(NoPlan, match="another version"):
        read_plan(plan.home)


def test_the_handle_has_the_keys_outsiders_script_against(tmp_path: Path, claims: Claims) -> None:
    handle = plan_of(tmp_path, claims).handle(asterisk_pid=7, pids={"asterisk": 7}, orders=[])
    assert set(handle) == {
        "http", "sip", "admin", "agents", "trunk", "dids", "sample", "ami", "agi", "redis", "database", "shop",
        "asterisk", "pids",
    }  # fmt: skip
    assert set(handle["agents"][0]) == {"name", "extension", "user", "password", "sip_password", "token"}
    assert set(handle["ami"]) == {"host", "port", "user", "password"}
    assert set(handle["dids"]) == {"menu", "queue", "echo"}
    assert handle["asterisk"] == {"version": "22.10.1", "pid": 7}
    json.dumps(handle)


def test_two_hundred_agents_have_names_and_secrets_of_their_own(tmp_path: Path, claims: Claims) -> None:
    plan = plan_of(tmp_path, claims, settings=Settings(sample={"agents": 200}))
    secrets = [secret for a in plan.agents for secret in (a.password, a.sip_password, a.token)]
    assert len(set(secrets)) == 600
    assert len({agent.name for agent in plan.agents}) == 200
    assert all(len(secret) >= 16 for secret in secrets)


def test_a_long_home_gets_a_short_place_for_the_control_socket(tmp_path: Path, claims: Claims) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    plan = plan_of(deep, claims)
    assert len(str(plan.folders.asterisk_run / "asterisk.ctl")) < 100


def test_secrets_that_others_can_read_are_refused(tmp_path: Path) -> None:
    store = SecretStore.open(tmp_path)
    kept = store["trunk.password"]
    store.save()
    assert SecretStore.open(tmp_path)["trunk.password"] == kept
    (tmp_path / "secrets.json").chmod(0o640)
    with pytest.raises(SettingsError, match="others may read the secrets; chmod 600"):
        SecretStore.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": "short"}', "a: shorter than 16"),
        ("[1]", "an object of texts"),
        ("{", "not JSON"),
        ('{"a": 1}', "an object of texts"),
    ],
)
def test_broken_secrets_are_told_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    write_private(tmp_path / "secrets.json", text)
    with pytest.raises(SettingsError, match=words):
        SecretStore.open(tmp_path)
