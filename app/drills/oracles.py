"""What must hold after every fault, whichever it was. Judged from outside: packets, the API, Asterisk's own records, files.

O4 (one effect per refund) has nothing to judge yet: no action of this release moves money at the shop.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from app.drills.field import FUSE, QUIET_S, Field, gaps
from app.drills.model import Missed, Oracle, require
from app.softphone import Call

GAP_S = 0.040
TOLD_S = 45.0
GROWTH, GROWTH_FILES = 1.05, 5
SLACK_MB = 12.0  # what a Python process may breathe


@dataclass(frozen=True)
class Baseline:
    """The world before any fault: what it may not outgrow."""

    memory_mb: float
    files: int
    sockets: int


def baseline(field: Field) -> Baseline:
    """Of all processes of the world together: proportional memory, open files, UDP ports."""
    pids = [pid for role, pid in field.told()["pids"].items() if role != "redis" and pid]
    memory = sum(
        _pss_mb(pid) for role, pid in field.told()["pids"].items() if role in ("controller", "standby", "launcher")
    )
    return Baseline(memory, sum(_files(pid) for pid in pids), _udp_ports(field.pid("asterisk")))


def _pss_mb(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        return 0.0
    return 0.0


def _files(pid: int) -> int:
    """What it has open. A database's file counts once: how often it is open is bounded by its pool, which grows when it must."""
    found: set[str] = set()
    try:
        for number in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                target = os.readlink(number)
                found.add(target if ".sqlite" in target else number.name)
    except OSError:
        return 0
    return len(found)


def _udp_ports(pid: int) -> int:
    """How many UDP sockets the process holds."""
    inodes = set()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            target = entry.readlink().name
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        rows = Path(f"/proc/{pid}/net/udp").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return 0
    return sum(row.split()[9] in inodes for row in rows)


async def judge(field: Field, before: Baseline, since: float) -> tuple[Oracle, ...]:
    """All oracles, after everybody has hung up. Each is asked even when another fails."""

    async def established() -> str:
        """O5: whoever talked when the fault came met no gap worth the name."""
        worst = max(0.0, gaps(field.established, since) - field.own_lag_s(since))
        require(worst <= GAP_S * FUSE, f"an established talk met a gap of {worst * 1000:.0f} ms")
        return f"{worst * 1000:.0f} ms"

    checks: list[tuple[str, Callable[[], Awaitable[str]]]] = [
        ("O1", lambda: _one_end_each(field)),
        ("O2", lambda: _no_overlap(field)),
        ("O3", lambda: _nobody_stuck(field)),
        ("O5", established),
        ("O6", lambda: _as_asterisk_counts(field)),
        ("O7", lambda: _every_recording_whole(field)),
        ("O8", lambda: _nothing_in_logs(field)),
        ("O10", lambda: no_growth(field, before)),
    ]
    found = []
    for name, check in checks:
        try:
            found.append(Oracle(name, measured=await check()))
        except Missed as error:
            found.append(Oracle(name, wrong=str(error)))
    return tuple(found)


async def _calls(field: Field) -> dict[str, list[dict[str, Any]]]:
    by_number: dict[str, list[dict[str, Any]]] = {}
    after = ""
    while after is not None:
        page = await field.world.get(f"calls?limit=200&after={after}")
        for call in page["items"]:
            by_number.setdefault(call["ani"][-11:], []).append(call)
        after = page["next"]
    return by_number


def _accepted(field: Field) -> dict[str, Call]:
    return {ani: call for ani, call in field.outgoing.items() if "talking" in call.at}


async def _one_end_each(field: Field) -> str:
    """O1: every accepted call ends in exactly one final state with a reason."""
    known, begun = await _calls(field), field.now()
    # A call that came and went while the queues changed hands is told from the switch's own book, half a minute later.
    while field.now() - begun < TOLD_S and any(ani not in known for ani in _accepted(field)):
        await asyncio.sleep(0.5)
        known = await _calls(field)
    for ani in _accepted(field):
        rows = known.get(ani, [])
        require(len(rows) == 1, f"the accepted call of {ani} is told {len(rows)} times")
        require(rows[0]["state"] == "ended" and bool(rows[0]["reason"]), f"the call of {ani} has no end with a reason")
        story = await field.world.get(f"calls/{rows[0]['id']}")
        ends = sum(event["kind"] == "CallEnded" for event in story["timeline"])
        require(ends == 1, f"the call of {ani} ended {ends} times")
    return f"{len(_accepted(field))} calls"


async def _no_overlap(field: Field) -> str:
    """O2: no agent has two offers or talks at a time, as their phones saw it."""
    for phone in field.agents:
        spans = sorted(
            (call.at["invite"], call.at.get("ended", field.now())) for call in field.incoming if call.phone is phone
        )
        for (_, end), (start, _) in zip(spans, spans[1:], strict=False):
            require(
                start >= end, f"the phone of {phone.user} rang {(end - start) * 1000:.0f} ms before its talk was over"
            )
    return f"{len(field.incoming)} offers"


async def _nobody_stuck(field: Field) -> str:
    """O3: within 30 s no agent is reserved or ringing without a live channel, and nobody stands in a queue without one."""
    begun = field.now()
    stuck = ("RESERVED", "ENGAGED")
    await field.until_api(
        "agents", lambda page: not any(a["state"] in stuck for a in page["items"]), "no agent is stuck", timeout_s=30
    )
    await field.until_api(
        "queues", lambda page: not any(q["waiting"] for q in page["items"]), "nobody waits who is gone", timeout_s=30
    )
    return f"{field.now() - begun:.1f} s"


async def _as_asterisk_counts(field: Field) -> str:
    """O6: our calls are those of Asterisk's own records (CEL), for the numbers of this drill."""
    folder = field.world.home / "asterisk" / "log" / "cel-custom"
    seen: set[str] = set()
    for file in folder.glob("*"):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if "CHAN_START" in line and "PJSIP/trunk-" in line:
                seen.update(word.strip('"') for word in line.split(",") if word.strip('"').startswith("n1-"))
    page = await field.world.get("calls?limit=200")
    unknown = [call["id"] for call in page["items"] if call["id"] not in seen]
    require(not unknown, f"Asterisk has no record of {unknown[:3]}")
    known = {call["id"] for call in page["items"]}
    ours = {rows[0]["id"] for ani, rows in (await _calls(field)).items() if ani in field.outgoing}
    require(len(ours) >= len(_accepted(field)), f"{len(_accepted(field))} calls were accepted, {len(ours)} are known")
    return f"{len(known & seen)} calls"


async def _every_recording_whole(field: Field) -> str:
    """O7: every recording that a call names has its file, with its hash and its length ± 1 s."""
    count = 0
    known = await _calls(field)
    for ani, rows in known.items():
        if ani not in field.outgoing or not rows[0]["has_recording"]:
            continue
        story = await field.until_api(
            f"calls/{rows[0]['id']}", lambda s: bool(s.get("recording")), "the recording is stored", timeout_s=QUIET_S
        )
        recording = story["recording"]
        data = await field.world.download(recording["url"])
        require(
            hashlib.sha256(data).hexdigest() == recording["sha256"], f"the recording of {ani} is not what was stored"
        )
        file = field.world.home / "run" / "drill.wav"
        file.write_bytes(data)
        seconds = soundfile.info(str(file)).duration
        file.unlink()
        require(abs(seconds - recording["seconds"]) <= 1.0, f"the recording of {ani} has another length")
        count += 1
    return f"{count} recordings"


async def _nothing_in_logs(field: Field) -> str:
    """O8: no secret of the world and no caller's number stands in a log of ours."""
    told = field.told()
    planted = {told["admin"]["password"], told["admin"]["token"], told["trunk"]["password"], told["ami"]["password"]}
    planted |= {agent[key] for agent in told["agents"] for key in ("password", "sip_password", "token")}
    planted |= set(field.outgoing)
    files = [*(field.world.home / "log").glob("controller*.log"), *(field.world.home / "log").glob("shop*.log")]
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        found = [word for word in planted if word in text]
        require(not found, f"{file.name} holds {len(found)} secrets or numbers")
    return f"{len(files)} logs"


async def no_growth(field: Field, before: Baseline) -> str:
    """O10: memory, open files and UDP ports are back where they were."""
    now = baseline(field)
    begun = field.now()
    while now.sockets > before.sockets * GROWTH + 1 and field.now() - begun < 15:
        await asyncio.sleep(0.5)
        now = baseline(field)
    require(now.memory_mb <= before.memory_mb * GROWTH + SLACK_MB, f"{before.memory_mb:.0f} → {now.memory_mb:.0f} MB")
    require(now.files <= before.files * GROWTH + GROWTH_FILES, f"{before.files} → {now.files} open files")
    require(now.sockets <= before.sockets * GROWTH + 1, f"{before.sockets} → {now.sockets} UDP ports")
    return f"{now.memory_mb:.0f} MB, {now.files} files"


def words(oracles: tuple[Oracle, ...]) -> str:
    """«all hold», or the ones that failed."""
    wrong = [f"{oracle.name}: {oracle.wrong}" for oracle in oracles if oracle.wrong]
    return "; ".join(wrong) or "all hold"
