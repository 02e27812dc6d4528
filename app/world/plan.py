"""The plan of one world: its folders, ports, accounts and addresses, as values.

Says what a world is made of; `planner.py` decides the values, `launcher.py` brings it about. The launcher writes it to
`HOME/run/plan.json` (0600) before anything of ours starts, and the controller reads it there. `handle` is what outsiders
are given. Invariant: a plan holds secrets, so it is never logged and its file is never readable by others.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from core.errors import AftercallError


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Endpoint(Part):
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Account(Part):
    user: str
    password: str


class AgentPlan(Part):
    """A sample agent: a person who logs in as `user`, with the SIP account `extension` / `sip_password`."""

    name: str
    extension: str
    user: str
    password: str
    sip_password: str
    token: str
    skills: dict[str, int]


class AdminPlan(Part):
    user: str
    password: str
    token: str


class Dids(Part):
    """The sample numbers: `menu` → voice menu, `queue` → straight to the express queue, `echo` → plain dialplan."""

    menu: str
    queue: str
    echo: str


class AmiPlan(Part):
    """`controller` is our own client's account, `doctor` the second opinion's (reads only)."""

    host: str
    port: int
    controller: Account
    doctor: Account


class RtpPlan(Part):
    """UDP ports `start` to `end`, both included; no other world on this machine has any of them."""

    start: int
    end: int


class ShopPlan(Part):
    """`own`: the sample shop, started by the launcher."""

    url: str
    token: str
    own: bool
    port: int = 0


class RedisPlan(Part):
    url: str
    own: bool
    port: int = 0
    password: str = ""


class AsteriskPlan(Part):
    """How Asterisk is started, and where its parts are. `environment` is added to the child's."""

    command: tuple[str, ...]
    environment: dict[str, str] = {}
    version: str
    modules: Path
    data: Path
    program_folder: Path
    sounds_language: str


class Folders(Part):
    home: Path
    run: Path
    asterisk: Path
    asterisk_etc: Path
    asterisk_run: Path
    db: Path
    journal: Path
    recordings: Path
    log: Path
    shop: Path

    @property
    def incoming(self) -> Path:
        """Where Asterisk writes `{interaction}-rx.wav` (caller) and `-tx.wav` (agent)."""
        return self.recordings / "incoming"

    @property
    def book(self) -> Path:
        """Where Asterisk writes its own book of calls (CEL)."""
        return self.asterisk / "log" / "cel-custom"

    def all(self) -> tuple[Path, ...]:
        """Every folder a world owns, parents first."""
        own = (self.home, self.run, self.asterisk, self.asterisk_etc, self.asterisk_run, self.db, self.journal)
        names = ("lib", "db", "keys", "spool", "log", "log/cel-custom", "cache", "agi", "moh")
        parts = tuple(self.asterisk / name for name in names)
        return (*own, *parts, self.recordings, self.incoming, self.log, self.shop)


class WorldPlan(Part):
    """Everything the parts of one world have to know of each other. `instance` names this home for ever.

    `http` is where the server binds and `http_url` what a browser is told; `sip` is where phones send to and `sip_bind`
    the address the transport binds.
    """

    instance: str
    home: Path
    node: str
    folders: Folders
    http: Endpoint
    http_url: str
    sip: Endpoint
    sip_bind: str
    rtp: RtpPlan
    ami: AmiPlan
    agi: Endpoint
    standby_agi: Endpoint
    redis: RedisPlan
    database: str
    shop: ShopPlan
    admin: AdminPlan
    agents: tuple[AgentPlan, ...]
    trunk: Account
    dids: Dids
    voicemail_pin: str
    asterisk: AsteriskPlan

    def write(self) -> Path:
        """Writes `HOME/run/plan.json` in one move."""
        file = plan_file(self.home)
        write_private(file, self.model_dump_json(indent=1))
        return file

    def handle(self, *, asterisk_pid: int, pids: dict[str, int], orders: list[dict[str, Any]]) -> dict[str, Any]:
        """What `world.json` says; outsiders script against it, so keys are only ever added."""
        return {
            "http": self.http_url,
            "sip": self.sip.model_dump(),
            "admin": self.admin.model_dump(),
            "agents": [agent.model_dump(exclude={"skills"}) for agent in self.agents],
            "trunk": self.trunk.model_dump(),
            "dids": self.dids.model_dump(),
            "sample": {"orders": orders},
            "ami": {"host": self.ami.host, "port": self.ami.port, **self.ami.controller.model_dump()},
            "agi": self.agi.model_dump(),
            "redis": self.redis.url,
            "database": self.database,
            "shop": self.shop.url,
            "asterisk": {"version": self.asterisk.version, "pid": asterisk_pid},
            "pids": pids,
        }


class NoPlan(AftercallError):
    def __init__(self, home: Path, why: str) -> None:
        super().__init__("world:no-plan", f"There is no world in {home}: {why}.", hint="`aftercall run` makes one.")


def plan_file(home: Path) -> Path:
    return home / "run" / "plan.json"


def read_plan(home: Path) -> WorldPlan:
    """The plan of the world in `home`. Raises NoPlan when there is none or it cannot be read."""
    try:
        return WorldPlan.model_validate_json(plan_file(home).read_text(encoding="utf-8"))
    except OSError as error:
        raise NoPlan(home, (error.strerror or "unreadable").lower()) from error
    except ValueError as error:
        raise NoPlan(home, "its plan is of another version") from error


def write_private(file: Path, text: str) -> None:
    """Writes `text` for the owner's eyes only, in one move: nobody ever sees half of it."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
