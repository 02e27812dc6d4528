"""The doctor's look at what lies on disk: settings, file modes, the rendered configuration, room and limits.

Needs no running world and changes nothing.
"""

from __future__ import annotations

import importlib.metadata
import re
import resource
import shutil
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from app.world.bundle import RECIPES, version_of
from app.world.findings import Finding, good, judge, note, wrong
from app.world.plan import WorldPlan
from app.world.planner import is_loopback_url
from core.settings import Settings

LIBRARIES = {"aiohttp": (3, 14, 1)}
"""Floors of libraries below which a stranger can do harm."""
AMI_CLASSES = {
    "controller": ({"call", "user", "system"}, {"call", "originate"}),
    "doctor": ({"reporting"}, {"reporting"}),
}
FILES_WANTED = 65536
DISK_LEAST = 0.15


def versions(plan: WorldPlan | None) -> list[Finding]:
    """The floors of what we run on."""
    found = [judge(sys.version_info[:2] == (3, 11), f"Python {sys.version.split()[0]}", "use Python 3.11")]
    for name, least in LIBRARIES.items():
        text = importlib.metadata.version(name)
        have = tuple(int(part) for part in re.findall(r"\d+", text)[:3])
        wanted = ".".join(map(str, least))
        found.append(judge(have >= least, f"{name} {text}", f"install {wanted} or newer: make setup"))
    if plan is not None:
        floor = RECIPES["asterisk"].floors[0].least
        have = version_of(list(plan.asterisk.command), "-V", plan.asterisk.environment) or ()
        text = ".".join(map(str, have)) or "unknown"
        fix = "older ones lose all SIP to one unauthenticated NOTIFY: upgrade it, or leave asterisk.binary out"
        found.append(judge(have >= floor, f"Asterisk {text}", fix))
    return found


def file_modes(home: Path, plan: WorldPlan | None) -> list[Finding]:
    """Nobody else may enter the home or read a secret."""
    found = [_closed(home, "the home folder", 0o077, "700")]
    for name in ("secrets.json", "run/plan.json", "run/world.json"):
        if (home / name).exists():
            found.append(_closed(home / name, name, 0o077, "600"))
    if plan is None:
        return found
    open_files = [file for file in plan.folders.asterisk_etc.rglob("*") if file.is_file() and _mode(file) & 0o077]
    what = "Asterisk's configuration is for its owner only"
    found.append(judge(not open_files, what, f"chmod -R go= {plan.folders.asterisk_etc}"))
    outside = home not in plan.folders.recordings.parents
    if outside:
        found.append(_closed(plan.folders.recordings, "the recordings' folder", 0o007, "700"))
    else:
        found.append(good("recordings lie inside the home folder"))
    return found


def _mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def _closed(file: Path, what: str, bits: int, wanted: str) -> Finding:
    mode = _mode(file)
    return judge(not mode & bits, f"{what} has mode {mode:o}", f"chmod {wanted} {file}")


def bindings(settings: Settings, plan: WorldPlan) -> list[Finding]:
    """What is meant to be reached from elsewhere, and what must not be."""
    found = [judge(plan.ami.host.startswith("127."), f"AMI is on {plan.ami.host}", "AMI belongs on loopback")]
    if not plan.http.host.startswith("127.") and plan.http.host not in ("::1", "localhost"):
        fix = "set http.tls_certificate and http.tls_key, or bind http.host to 127.0.0.1 behind a proxy with TLS"
        found.append(judge(settings.http.tls_certificate is not None, f"the console is on {plan.http.host}", fix))
    else:
        found.append(good(f"the console is on {plan.http.host}"))
    for what, url in (("Redis", plan.redis.url), ("the database", plan.database), ("the shop", plan.shop.url)):
        if not url or url.startswith("sqlite"):
            continue
        safe = is_loopback_url(url) or url.startswith(("rediss://", "https://")) or "ssl" in url
        found.append(
            judge(safe, f"{what} is {'on loopback' if is_loopback_url(url) else 'elsewhere'}", "use TLS for it")
        )
    return found


def configuration(etc: Path) -> list[Finding]:
    """The rendered files, read as Asterisk reads them: what is allowed to whom."""
    try:
        manager = sections(etc / "manager.conf")
        dialplan = (etc / "extensions.conf").read_text(encoding="utf-8")
        options = sections(etc / "asterisk.conf").get("options", {})
        modules = sections(etc / "modules.conf").get("modules", {})
    except OSError as error:
        return [wrong(f"{error.filename} cannot be read", "run `aftercall run` once")]
    found = []
    for account, (read, write) in AMI_CLASSES.items():
        have = manager.get(account, {})
        classes = _classes(have.get("read", "")), _classes(have.get("write", ""))
        what = f"AMI account {account}: read {_list(classes[0])}, write {_list(classes[1])}"
        found.append(judge(classes[0] <= read and classes[1] <= write, what, "restore asterisk-conf/manager.conf.j2"))
    extra = set(manager) - {"general", *AMI_CLASSES}
    found.append(judge(not extra, f"{len(AMI_CLASSES)} AMI accounts", f"remove {_list(extra)} from manager.conf"))
    fix = "restore asterisk-conf/asterisk.conf.j2"
    found.append(judge(options.get("live_dangerously") == "no", "live_dangerously = no", fix))
    fix = "restore asterisk-conf/modules.conf.j2"
    found.append(judge(modules.get("autoload") == "no", "only modules of the list are loaded", fix))
    risky = [f"line {number}" for number, line in enumerate(dialplan.splitlines(), 1) if _risky(line)]
    what = "the dialplan runs no program and uses no caller's text unfiltered"
    found.append(judge(not risky, what, f"look at extensions.conf, {', '.join(risky[:5])}"))
    dialled = re.findall(r"\bDial\(([^,)]*)", dialplan)
    outward = [target for target in dialled if not re.fullmatch(r"PJSIP/\d+", target) and target != AWAY]
    fix = "outgoing calls need an allow-list and caps first"
    found.append(judge(not outward, "no outgoing call but to the number the controller has allowed (AC_AWAY)", fix))
    return found


AWAY = "PJSIP/${FILTER(+0-9"  # set over AMI alone, after `outbound.allow` was asked
_CALLERS = re.compile(r"\$\{(EXTEN|CALLERID\((num|name|all)\))")


def _risky(line: str) -> bool:
    code = line.split(";")[0]
    if re.search(r"\b(System|TrySystem|SHELL|EVAL|ExternalIVR|Exec)\(", code, re.IGNORECASE) and "ExecIf" not in code:
        return True
    # Told to us in an event it is data: Asterisk encodes it and our parser knows it.
    return _CALLERS.search(code) is not None and "FILTER(" not in code and "UserEvent(" not in code


def sections(file: Path) -> dict[str, dict[str, str]]:
    """`[name]` → key → value of an Asterisk file; later lines win, doubled sections are one."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        text = line.split(";")[0].strip()
        if match := re.match(r"\[([^\]]+)\]", text):
            current = found.setdefault(match[1], {})
        elif "=" in text:
            key, _, value = text.partition("=")
            current[key.strip()] = value.lstrip(">").strip()
    return found


def _classes(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}


def _list(names: Iterable[str]) -> str:
    return ",".join(sorted(names)) or "nothing"


def room(home: Path, settings: Settings, plan: WorldPlan | None, asterisk_pid: int = 0) -> list[Finding]:
    """Disk, descriptors, ports for sound."""
    found = []
    folders = [folder for folder in (home, plan.folders.recordings if plan else home) if folder.exists()]
    for folder in {folder.stat().st_dev: folder for folder in reversed(folders)}.values():
        usage = shutil.disk_usage(folder)
        share = usage.free / usage.total
        fix = "make room, or shorten recordings.keep_days"
        found.append(judge(share > DISK_LEAST, f"{share:.0%} of the disk under {folder} is free", fix))
    files = _files_of(asterisk_pid)
    least = 1024 + 16 * settings.asterisk.max_calls
    if files >= FILES_WANTED:
        found.append(good(f"{files} open files are allowed"))
    elif files >= least:
        what = f"{files} open files are allowed, enough for {settings.asterisk.max_calls} calls"
        found.append(note(what, f"ulimit -n {FILES_WANTED} before a bigger asterisk.max_calls"))
    else:
        found.append(wrong(f"{files} open files are allowed, {least} are needed", f"ulimit -n {FILES_WANTED}"))
    ports, calls = settings.sip.rtp_ports, settings.asterisk.max_calls
    what = f"{ports} UDP ports for sound, {calls} calls at most"
    found.append(judge(ports >= 4 * calls, what, f"set sip.rtp_ports to {4 * calls} or more"))
    return found


def _files_of(pid: int) -> int:
    """How many files a process may open: the running Asterisk, else whatever we would start."""
    if pid:
        row = re.search(
            r"^Max open files +(\w+)", Path(f"/proc/{pid}/limits").read_text(encoding="ascii"), re.MULTILINE
        )
        return int(row[1]) if row and row[1].isdigit() else FILES_WANTED
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return hard if hard != resource.RLIM_INFINITY else FILES_WANTED


def belongings(settings: Settings) -> list[Finding]:
    """What the product can do without, and what is missing then."""
    from recordings.models import NoModel, resolve

    found = []
    if settings.speech.enabled:
        for language, given in (("en", settings.speech.model_en), ("zh", settings.speech.model_zh)):
            model = resolve(language, given)
            if isinstance(model, NoModel):
                found.append(note(f"{language}: {model}", f"aftercall models install {language}"))
            else:
                found.append(good(f"{language} is transcribed by {model.name}"))
    console = Path(__file__).resolve().parents[1] / "console" / "dist" / "index.html"
    found.append(
        good("the console is built") if console.is_file() else note("the console is not built", "make setup")
    )  # fmt: skip
    return found
