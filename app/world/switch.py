"""This world's Asterisk as a process: how it is started, when it is up, what is up on it, whether it can be adopted.

Decides no telephony. Asked by its own control socket, which needs no account. Invariants: it outlives a killed launcher;
one is adopted only when pid, start time, boot and instance agree and it answers.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from app.world.children import ChildSpec
from app.world.plan import WorldPlan, write_private
from app.world.process import ProcessId

WATCHDOG = "ac-watchdog"  # its own channel in the dialplan, there for ever
ANSWER_S = 3.0


@dataclass(frozen=True, slots=True)
class Record:
    """Who runs for which instance, started with which configuration."""

    process: ProcessId
    instance: str
    configuration: str

    def write(self, file: Path) -> None:
        write_private(file, json.dumps(asdict(self)))

    @classmethod
    def read(cls, file: Path) -> Record | None:
        """The record, when its process still lives."""
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
            record = cls(ProcessId(**facts["process"]), facts["instance"], facts["configuration"])
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return record if record.process.alive() else None


def record_file(home: Path) -> Path:
    return home / "run" / "asterisk.json"


def spec(plan: WorldPlan, inherits: tuple[int, ...]) -> ChildSpec:
    return ChildSpec(
        role="asterisk",
        command=[*plan.asterisk.command, "-C", str(plan.folders.asterisk_etc / "asterisk.conf"), "-f"],
        log=plan.folders.log / "asterisk.log",
        environment=plan.asterisk.environment,
        folder=plan.folders.asterisk,
        stop_s=3.5,
        outlives_us=True,
        inherits=inherits,
    )


async def ask(plan: WorldPlan, question: str, *, timeout_s: float = ANSWER_S) -> str | None:
    """What Asterisk's console says to `question`; None when it does not answer in time."""
    command = [*plan.asterisk.command, "-C", str(plan.folders.asterisk_etc / "asterisk.conf"), "-r", "-x", question]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **plan.asterisk.environment},
    )  # fmt: skip
    try:
        async with asyncio.timeout(timeout_s):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return said.decode("utf-8", "replace") if process.returncode == 0 else None


async def fully_booted(plan: WorldPlan, *, timeout_s: float = 20.0) -> None:
    """Returns when every module is up. Raises TimeoutError."""
    socket = plan.folders.asterisk_run / "asterisk.ctl"
    async with asyncio.timeout(timeout_s):
        while True:
            if socket.exists():
                said = await ask(plan, "core waitfullybooted", timeout_s=timeout_s)
                if said is not None and "fully booted" in said:
                    return
            await asyncio.sleep(0.02)


async def channels(plan: WorldPlan) -> Sequence[str] | None:
    """The names of the channels that carry somebody; None when Asterisk does not answer."""
    said = await ask(plan, "core show channels concise")
    if said is None:
        return None
    rows = [line.split("!") for line in said.splitlines() if line.count("!") > 5]
    return [row[0] for row in rows if row[1] != WATCHDOG and WATCHDOG not in row[0]]
