"""Decides the plan of a world: settings and options first, then what it was last time, then what is free.

Does not start anything and writes only `secrets.json`. Invariant: while our Asterisk still runs with calls (`running`),
every value it relies on (SIP, AMI, AGI and RTP ports, secrets, node name) is the one it was started with.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from app.world import ports
from app.world.bundle import Bundle
from app.world.debian import TRIPLETS
from app.world.plan import (
    Account,
    AdminPlan,
    AgentPlan,
    AmiPlan,
    AsteriskPlan,
    Dids,
    Endpoint,
    Folders,
    RedisPlan,
    RtpPlan,
    ShopPlan,
    WorldPlan,
)  # fmt: skip
from app.world.ports import Claims
from app.world.secret_store import SecretStore
from core.settings import Settings

_Loopback = Callable[..., int]
LOOPBACK = "127.0.0.1"
DIDS = Dids(menu="4008001000", queue="4008002000", echo="4008003000")
SOCKET_PATH_MAX = 100  # the kernel's limit for a control socket's path is 107 bytes

_PEOPLE = (
    "Li Na", "Wang Wei", "Emma Clark", "Zhang Min", "James Reed", "Chen Jie", "Liu Yang", "Sofia Marsh", "Zhao Lei",
    "Oliver Hayes", "Huang Li", "Grace Turner", "Wu Gang", "Xu Jing", "Henry Cole", "Sun Yan", "Ma Chao", "Lucy Ward",
    "Zhu Ting", "Hu Bin",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; 0 = as the settings say. `roles`: only one process with these runs here."""

    http_port: int = 0
    sip_port: int = 0
    roles: frozenset[str] | None = None


def folders_of(home: Path, instance: str, settings: Settings) -> Folders:
    """Where everything of the world lies. Asterisk's control socket moves out when its path would be too long."""
    asterisk = home / "asterisk"
    run = asterisk / "run"
    if len(str(run / "asterisk.ctl").encode()) > SOCKET_PATH_MAX:
        run = Path(tempfile.gettempdir()) / f"aftercall-{instance[:16]}"
    return Folders(
        home=home, run=home / "run", asterisk=asterisk, asterisk_etc=asterisk / "etc", asterisk_run=run, db=home / "db",
        journal=home / "journal", recordings=settings.recordings.folder or home / "recordings", log=home / "log",
        shop=home / "shop",
    )  # fmt: skip


def sample_agents(count: int, secrets: SecretStore) -> tuple[AgentPlan, ...]:
    """The sample's people, from extension 101 on. All can serve both queues in both languages, better or worse."""
    agents = []
    for index in range(count):
        extension = str(101 + index)
        name = _PEOPLE[index % len(_PEOPLE)] + (f" {index // len(_PEOPLE) + 1}" if index >= len(_PEOPLE) else "")
        level = 3 + index % 3
        chinese_first = name.split()[0] not in ("Emma", "James", "Sofia", "Oliver", "Grace", "Henry", "Lucy")
        agents.append(
            AgentPlan(
                name=name,
                extension=extension,
                user=f"agent{extension}",
                password=secrets[f"agent.{extension}.password"],
                sip_password=secrets[f"agent.{extension}.sip"],
                token=secrets[f"agent.{extension}.token"],
                skills={
                    "service": level,
                    "express": level,
                    "zh": 5 if chinese_first else 2,
                    "en": 2 if chinese_first else 5,
                },
            )
        )
    return tuple(agents)


def asterisk_plan(bundle: Bundle) -> AsteriskPlan:
    """Where the parts of this Asterisk are; Debian's places first, then those of a build from source."""
    libraries = [f"usr/lib/{triplet}/asterisk/modules" for triplet in TRIPLETS.values()]
    modules = [
        bundle.path(place) for place in (*libraries, "usr/lib/asterisk/modules", "usr/local/lib/asterisk/modules")
    ]
    data = [bundle.path(place) for place in ("usr/share/asterisk", "var/lib/asterisk", "usr/local/share/asterisk")]
    data_folder = next((place for place in data if (place / "sounds").is_dir()), data[0])
    names = [name for name in ("en_US_f_Allison", "en", "en_US") if (data_folder / "sounds" / name).is_dir()]
    return AsteriskPlan(
        command=tuple(bundle.command("asterisk")),
        environment=dict(bundle.environment),
        version=_plain(bundle.versions.get("asterisk", "")),
        modules=next((place for place in modules if place.is_dir()), modules[0]),
        data=data_folder,
        program_folder=bundle.programs["asterisk"].parent,
        sounds_language=names[0] if names else "en",
    )


def make_plan(
    home: Path, settings: Settings, options: Options, bundle: Bundle, claims: Claims, *,
    instance: str, previous: WorldPlan | None = None, running: bool = False,
) -> WorldPlan:  # fmt: skip
    """The plan for this start. Blocks up to 2 s for ports of last time to become free. Raises SettingsError."""
    secrets = SecretStore.open(home)
    http_host, sip_host = settings.http.host, settings.sip.host
    kept = previous

    def loopback(what: str, last: int, *, ours: bool = False) -> int:
        return ports.choose(what, LOOPBACK, 0, claims, kept=last, ours=ours)

    def agi(what: str, last: int) -> Endpoint:
        """Written into the dialplan that runs: while calls are up only the port of last time will do."""
        port = ports.choose(what, LOOPBACK, last if running else 0, claims, kept=last)
        return Endpoint(host=LOOPBACK, port=port)

    sip_port = ports.choose(
        "sip.port", sip_host, options.sip_port or settings.sip.port, claims, kept=kept.sip.port if kept else 0,
        usual=5060, ours=running, free=ports.tcp_and_udp_free,
    )  # fmt: skip
    http_port = ports.choose(
        "http.port", http_host, options.http_port or settings.http.port, claims, kept=kept.http.port if kept else 0, usual=8080
    )  # fmt: skip
    rtp_start, rtp_end = ports.choose_rtp(
        settings.sip.rtp_start, settings.sip.rtp_ports, claims, kept=kept.rtp.start if kept else 0, ours=running
    )
    plan = WorldPlan(
        instance=instance,
        home=home,
        node=settings.asterisk.node,
        folders=folders_of(home, instance, settings),
        http=Endpoint(host=http_host, port=http_port),
        http_url=settings.http.public_url.rstrip("/") or _http_url(settings, http_port),
        sip=Endpoint(host=_reachable(sip_host), port=sip_port),
        sip_bind=sip_host,
        rtp=RtpPlan(start=rtp_start, end=rtp_end),
        ami=AmiPlan(
            host=LOOPBACK,
            port=loopback("the port for AMI", kept.ami.port if kept else 0, ours=running),
            controller=Account(user="controller", password=secrets["ami.controller"]),
            doctor=Account(user="doctor", password=secrets["ami.doctor"]),
        ),
        agi=agi("the port for AGI", kept.agi.port if kept else 0),
        standby_agi=agi("the port for the second controller's AGI", kept.standby_agi.port if kept else 0),
        redis=_redis(settings, secrets, loopback, kept),
        database=settings.database.url or f"sqlite:///{home / 'db' / 'aftercall.sqlite'}",
        shop=_shop(settings, secrets, loopback, kept),
        admin=AdminPlan(user="admin", password=secrets["admin.password"], token=secrets["admin.token"]),
        agents=sample_agents(settings.sample.agents, secrets) if settings.sample.enabled else (),
        trunk=Account(user="trunk", password=secrets["trunk.password"]),
        dids=DIDS,
        voicemail_pin=secrets.digits("voicemail.pin"),
        asterisk=asterisk_plan(bundle),
    )  # fmt: skip
    secrets.save()
    return plan


def _redis(settings: Settings, secrets: SecretStore, loopback: _Loopback, kept: WorldPlan | None) -> RedisPlan:
    if settings.redis.url:
        return RedisPlan(url=settings.redis.url, own=False)
    port = loopback("the port for Redis", kept.redis.port if kept else 0)
    password = secrets["redis.password"]
    return RedisPlan(url=f"redis://:{password}@{LOOPBACK}:{port}/0", own=True, port=port, password=password)


def _shop(settings: Settings, secrets: SecretStore, loopback: _Loopback, kept: WorldPlan | None) -> ShopPlan:
    if settings.shop.url or not settings.sample.enabled:
        token = settings.shop.token.get_secret_value() if settings.shop.token else ""
        return ShopPlan(url=settings.shop.url, token=token, own=False)
    port = loopback("the port for the sample shop", kept.shop.port if kept else 0)
    return ShopPlan(url=f"http://{LOOPBACK}:{port}", token=secrets["shop.token"], own=True, port=port)


def _http_url(settings: Settings, port: int) -> str:
    scheme = "https" if settings.http.tls_certificate else "http"
    return f"{scheme}://{_reachable(settings.http.host)}:{port}"


def _reachable(host: str) -> str:
    """An address one can send to: bound to all addresses, the machine itself is reached on loopback."""
    return {"0.0.0.0": LOOPBACK, "::": "[::1]", "": LOOPBACK}.get(host, host)


def _plain(version: str) -> str:
    """`1:22.10.1+dfsg+~cs6…` → `22.10.1`."""
    return version.partition(":")[2].partition("+")[0].partition("~")[0] if ":" in version else version


def new_instance(home: Path) -> str:
    """A name for this home that no other home on this machine has, and that says nothing about it."""
    return hashlib.sha256(f"{home}|{os.urandom(16).hex()}".encode()).hexdigest()[:24]


def is_loopback_url(url: str) -> bool:
    """Whether a server's address stays on this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("", "localhost", "::1") or host.startswith("127.")
