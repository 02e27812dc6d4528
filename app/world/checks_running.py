"""The doctor's look at a world that runs: its processes, what they listen on, and a second opinion from Asterisk.

Asks over the same doors as anybody (AMI's reading account, REST) and changes nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.world import privilege, switch
from app.world.findings import Finding, good, judge, note, wrong
from app.world.plan import WorldPlan
from app.world.process import ProcessId

CAPABILITIES = {
    1 << privilege.CAP_DAC_READ_SEARCH: "may read every file",
    1 << privilege.CAP_NET_BIND_SERVICE: "may use ports below 1024",
}


def pids(world: dict[str, Any]) -> dict[str, int]:
    return {role: int(pid) for role, pid in world.get("pids", {}).items() if int(pid)}


def processes(world: dict[str, Any], plan: WorldPlan) -> list[Finding]:
    """Everybody lives, nobody is root, no secret stands in an argument list."""
    found = []
    dead = [role for role, pid in pids(world).items() if ProcessId.of(pid) is None]
    found.append(judge(not dead, f"{len(pids(world))} processes live", f"{', '.join(dead)}: see {plan.folders.log}"))
    secrets = _secrets(plan)
    for role, pid in pids(world).items():
        try:
            owner = Path(f"/proc/{pid}").stat().st_uid
            kept = privilege.kept_capabilities(pid)
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if owner == 0:
            found.append(
                wrong(f"{role} runs as root", "start it as an ordinary user, or let `aftercall run` step down")
            )
        for bit, words in CAPABILITIES.items():
            if owner != 0 and kept & bit and role == "launcher":
                fix = (
                    "install it, and keep its home, where its user may read"
                    if bit == 4
                    else "use a proxy for that port"
                )
                found.append(note(f"our processes {words}", fix))
        if any(secret in arguments for secret in secrets):
            found.append(wrong(f"{role}: a secret stands in its arguments", "report this; it is a fault of ours"))
    if not any(finding.what.endswith("runs as root") for finding in found):
        found.append(good("nothing of ours runs as root"))
    return found


def _secrets(plan: WorldPlan) -> list[str]:
    known = [plan.admin.password, plan.admin.token, plan.trunk.password, plan.redis.password, plan.shop.token]
    known += [plan.ami.controller.password, plan.ami.doctor.password]
    return [secret for secret in known if secret]


def listeners(world: dict[str, Any], plan: WorldPlan) -> list[Finding]:
    """Nothing but the console and SIP listens beyond loopback (UDP ports for sound are open while a call uses them)."""
    meant = {plan.http.port, plan.sip.port}
    open_wide = []
    for role, pid in pids(world).items():
        for kind, address, port in listening(pid):
            # UDP from where the kernel gives ports is how a program asks others (names, mostly), as are our RTP ports.
            asks = kind.startswith("udp") and (plan.rtp.start <= port <= plan.rtp.end or port >= _first_given_port())
            if not address.is_loopback and port not in meant and not asks:
                open_wide.append(f"{role} on {address}:{port}")
    fix = f"{', '.join(sorted(set(open_wide)))}: bind it to 127.0.0.1"
    return [judge(not open_wide, "only the console and SIP can listen beyond loopback", fix)]


def _first_given_port() -> int:
    return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def listening(pid: int) -> list[tuple[str, Address, int]]:
    """The sockets on which a process waits for strangers; empty when we may not look."""
    inodes = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(entry.path)
            except OSError:
                continue
            if match := re.fullmatch(r"socket:\[(\d+)\]", target):
                inodes.add(match[1])
        tables = {
            kind: Path(f"/proc/{pid}/net/{kind}").read_text(encoding="ascii") for kind in ("tcp", "tcp6", "udp", "udp6")
        }
    except OSError:
        return []
    found = []
    for kind, text in tables.items():
        for row in text.splitlines()[1:]:
            fields = row.split()
            waiting = fields[3] == ("0A" if kind.startswith("tcp") else "07")
            if waiting and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.append((kind, _address(address), int(port, 16)))
    return found


def _address(text: str) -> Address:
    """The kernel writes addresses as words in its own byte order."""
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(words))
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def asterisk(plan: WorldPlan, believed: list[str] | None) -> list[Finding]:
    """Asks Asterisk by a client of another make; a difference is looked at twice, because calls come and go."""
    from pbx import doctor

    def ask() -> list[doctor.Finding]:
        return doctor.ask(
            plan.ami.host, plan.ami.port, plan.ami.doctor.user, plan.ami.doctor.password,
            believed_calls=believed or [], trunk="trunk", agents=[agent.extension for agent in plan.agents],
        )  # fmt: skip

    answers = ask()
    if any(not answer.ok for answer in answers):
        time.sleep(1.0)
        answers = ask()
    if believed is None:
        answers = [answer for answer in answers if not answer.what.startswith("calls") and " calls:" not in answer.what]
    return [judge(answer.ok, answer.what, answer.fix) for answer in answers]


def controller(plan: WorldPlan) -> tuple[list[Finding], list[str] | None]:
    """What the controller says of itself, and the calls it believes in (None when it cannot be asked)."""
    try:
        report = _get(plan, "/api/health")
        calls = _get(plan, "/api/calls?limit=200")["items"]
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        return [wrong(f"the controller does not answer: {error}", f"see {plan.folders.log / 'controller.log'}")], None
    found = []
    for part in report.get("parts", []):
        words = f"{part['name']}: {part.get('words') or 'works'}"
        fix = part.get("means") or "see the log"
        found.append(good(words) if part["state"] == "ok" else wrong(words, fix))
    return found or [good("the controller answers")], [call["id"] for call in calls if call.get("state") == "open"]


def _get(plan: WorldPlan, path: str) -> Any:
    url = urlsplit(plan.http_url)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.hostname or "127.0.0.1", url.port, timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {plan.admin.token}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status >= 400:
            raise ValueError(f"{path} answers {answer.status}")
        return json.loads(body)
    finally:
        connection.close()


def up_to_date(plan: WorldPlan) -> list[Finding]:
    """Whether the Asterisk that runs was started with the configuration that is wanted now."""
    record = switch.Record.read(switch.record_file(plan.home))
    if record is None:
        return [wrong("Asterisk does not run", f"see {plan.folders.log / 'asterisk.log'}")]
    return [good(f"Asterisk runs (pid {record.process.pid})")]
