"""A second opinion: an AMI client of another make (pyst2) asks Asterisk what our own client believes.

Synchronous, with a deadline. Its account may only read. Each finding says what was compared and, when it differs, what to do.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from asterisk.manager import Manager, ManagerException

VERSION_FLOOR = (22, 10, 1)
DEADLINE_S = 8.0
LIST_S = 3.0


@dataclass(frozen=True)
class Finding:
    ok: bool
    what: str
    fix: str = ""


def ask(
    host: str, port: int, user: str, secret: str, *, believed_calls: Iterable[str], trunk: str, agents: Iterable[str]
) -> list[Finding]:
    """Compares Asterisk's version, channels and phones with what is believed.

    Never raises for a switch that is down, and comes back within DEADLINE_S from one that is frozen.
    """
    answers: SimpleQueue[list[Finding]] = SimpleQueue()

    def wait() -> None:  # pyst2 waits without end; a daemon thread may be left waiting
        answers.put(_ask(host, port, user, secret, set(believed_calls), trunk, set(agents)))

    threading.Thread(target=wait, name="doctor", daemon=True).start()
    try:
        return answers.get(timeout=DEADLINE_S)
    except Empty:
        what = f"AMI at {host}:{port} does not answer within {DEADLINE_S:g} s"
        return [Finding(False, what, "Asterisk is frozen or overloaded: see its log, or restart it")]


def _ask(
    host: str, port: int, user: str, secret: str, believed: set[str], trunk: str, agents: set[str]
) -> list[Finding]:
    manager = Manager()
    try:
        try:
            manager.connect(host, port)
            manager.login(user, secret)
        except (ManagerException, OSError) as error:
            return [Finding(False, f"AMI at {host}:{port} does not let the doctor in: {error}", "is Asterisk running?")]
        findings = [_version(manager)]
        listed = _list(manager, "CoreShowChannels", "CoreShowChannel")
        real = {item["Uniqueid"] for item in listed if item.get("Channel", "").startswith(f"PJSIP/{trunk}-")}
        findings.append(_compare("calls", believed, real))
        endpoints = {
            item.get("Device", "").removeprefix("PJSIP/")
            for item in _list(manager, "DeviceStateList", "DeviceStateChange")
            if item.get("Device", "").startswith("PJSIP/")
        }
        missing = sorted(agents - endpoints)
        fix = f"no SIP account for {', '.join(missing)}: run `aftercall run` again" if missing else ""
        findings.append(Finding(not missing, f"{len(endpoints)} SIP accounts are configured", fix))
        return findings
    finally:
        with contextlib.suppress(ManagerException, OSError, ValueError):
            manager.close()  # logs off; the link may be gone before the answer is


def _version(manager: Manager) -> Finding:
    text = manager.send_action({"Action": "CoreSettings"}).get_header("AsteriskVersion", "")
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    version = tuple(map(int, found.groups())) if found else (0, 0, 0)
    fix = "" if version >= VERSION_FLOOR else "older ones lose all SIP to one unauthenticated NOTIFY: upgrade Asterisk"
    return Finding(version >= VERSION_FLOOR, f"Asterisk {text}", fix)


def _list(manager: Manager, action: str, item: str) -> list[dict[str, str]]:
    """The items of a list action. pyst2 hands events to callbacks in a thread of its own."""
    items: list[dict[str, str]] = []
    complete = threading.Event()

    def on_event(event: object, _manager: Manager) -> None:
        name = getattr(event, "name", "")
        if name == item:
            items.append(dict(getattr(event, "headers", {})))
        elif name.endswith("Complete"):
            complete.set()

    manager.register_event("*", on_event)
    manager.send_action({"Action": action})
    complete.wait(LIST_S)
    manager.unregister_event("*", on_event)
    return items


def _compare(noun: str, believed: set[str], real: set[str]) -> Finding:
    extra, missing = sorted(believed - real), sorted(real - believed)
    if not extra and not missing:
        return Finding(True, f"{len(real)} {noun}: the same in Asterisk and in our belief")
    what = f"{noun}: believed but not there {extra[:3]}, there but not believed {missing[:3]}"
    return Finding(False, what, "a resync within 10 s should mend this; if it stays, restart `aftercall run`")
