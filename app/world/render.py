"""Renders `asterisk-conf/` into the folder a world's Asterisk reads.

Decides no telephony: what is in the templates is `asterisk-conf`'s. Invariants: every variable a template uses exists
(StrictUndefined); no value can break out of its line (control characters are refused); files hold secrets, so they are
0600; the folder changes in one move, so an Asterisk that reads it never sees half of it.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from app.world.music import classes_of_music, music_folder
from app.world.plan import Account, WorldPlan
from core.errors import AftercallError
from core.prompts.library import OURS
from core.settings import Settings

MAX_TOLD = 10
"""So many of those whom we cannot take are told so in words at the same time; the others get the bare refusal."""

EMPTY = ("acl", "ccss", "pjproject", "sorcery", "stasis", "udptl")
"""Asterisk complains about these when they are missing; they need not say anything."""


class RenderError(AftercallError):
    def __init__(self, template: str, why: str) -> None:
        super().__init__("world:configuration", f"asterisk-conf/{template}: {why}")


def templates_folder() -> Path:
    """`asterisk-conf/` beside the packages in a checkout, inside ours in an installed wheel."""
    here = Path(__file__).resolve()
    for place in (here.parents[2] / "asterisk-conf", here.parent / "asterisk-conf"):
        if any(place.glob("*.j2")):
            return place
    raise RenderError("", "the templates are not there")


def context(plan: WorldPlan, settings: Settings) -> dict[str, Any]:
    """What templates may use; `asterisk-conf/README.md` tells what each is for."""
    folders = plan.folders
    return {
        "plan": plan,
        "settings": settings,
        "instance": plan.instance,
        "system_name": plan.node,
        "inst": str(folders.asterisk),
        "run": str(folders.asterisk_run),
        "modules": str(plan.asterisk.modules),
        "data": str(plan.asterisk.data),
        "sounds_language": plan.asterisk.sounds_language,
        "prompts": str(OURS),
        "recordings_dir": str(folders.recordings),
        "sip_host": plan.sip_bind,
        "sip_port": plan.sip.port,
        "rtp_start": plan.rtp.start,
        "rtp_end": plan.rtp.end,
        "ami_port": plan.ami.port,
        "ami_controller": _account(plan.ami.controller),
        "ami_doctor": _account(plan.ami.doctor),
        "agi_port": plan.agi.port,
        "standby_agi_port": plan.standby_agi.port,
        "agents": plan.agents,
        "trunk": plan.trunk,
        "dids": plan.dids,
        "voicemail_pin": plan.voicemail_pin,
        "ring_s": settings.asterisk.ring_s,
        "grace_s": settings.asterisk.grace_s,
        "lost_wait_s": settings.asterisk.lost_wait_s,
        "fallback_wait_s": settings.asterisk.fallback_wait_s,
        "max_calls": settings.asterisk.max_calls,
        "max_rate_half": max(1, round(settings.asterisk.max_calls_per_s / 2)),
        "max_told": MAX_TOLD,
        "language": settings.language,
        "music": classes_of_music(plan.home),
        "music_folder": str(music_folder(plan.home)),
    }


def _account(account: Account) -> dict[str, str]:
    return {"user": account.user, "secret": account.password, "password": account.password}


def render(plan: WorldPlan, settings: Settings, *, source: Path | None = None, to: Path | None = None) -> str:
    """Renders every template; other files are copied. Returns a fingerprint of the result. Raises RenderError.

    `to` defaults to the plan's folder; what was there before is replaced as a whole.
    """
    source = source or templates_folder()
    target = to or plan.folders.asterisk_etc
    new = target.with_name(target.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True, mode=0o700)
    environment, values = _environment(source), context(plan, settings)
    for file in sorted(source.rglob("*")):
        inside = file.relative_to(source)
        if file.is_dir() or inside.name == "README.md" or inside.parts[0].startswith((".", "__")):
            continue
        # Music is no configuration: it lies beside, where a caller who hears it keeps it across a change.
        place = (plan.folders.asterisk if inside.parts[0] == "moh" else new) / inside
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if file.suffix == ".j2":
            place.with_suffix("").write_text(_text(environment, inside.as_posix(), values), encoding="utf-8")
        else:
            shutil.copyfile(file, place)
    for name in EMPTY:
        (new / f"{name}.conf").touch()
    for place in new.rglob("*"):
        place.chmod(0o700 if place.is_dir() else 0o600)
    made = fingerprint(new, target)
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return made


def render_file(name: str, plan: WorldPlan, settings: Settings) -> str:
    """The text of one file of the folder, as `render` writes it. Raises RenderError."""
    return _text(_environment(templates_folder()), f"{name}.j2", context(plan, settings))


def _environment(source: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader(source), undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True,
        lstrip_blocks=True, finalize=_one_line, autoescape=False,  # noqa: S701 (Asterisk's files are not HTML)
    )  # fmt: skip


def _text(environment: Environment, template: str, values: dict[str, Any]) -> str:
    try:
        return environment.get_template(template).render(values)
    except (TemplateError, ValueError) as error:
        raise RenderError(template, str(error)) from error


def fingerprint(folder: Path, final: Path | None = None) -> str:
    """The same for the same files with the same content, wherever they were rendered to; '' when there are none."""
    digest = hashlib.sha256()
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    for file in files:
        digest.update(f"{file.relative_to(folder)}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest() if files else ""


def _one_line(value: Any) -> Any:
    """Every value that enters a template stays on its line."""
    if isinstance(value, str) and any(ord(sign) < 32 or ord(sign) == 127 for sign in value):
        raise ValueError(f"a value has a control character: {value[:40]!r}")
    return value
