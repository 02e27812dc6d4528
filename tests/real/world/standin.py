"""`python -m tests.real.world.standin HOME`: a world whose controller is a stand-in that only beats.

It stops beating (but lives on) as soon as `HOME/run/freeze` is there; `python -m … beat HOME` is the controller itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path


async def beat(home: Path) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    run = home / "run"
    while not stop.is_set():
        if not (run / "freeze").exists():
            (run / "controller-1.beat").touch()
        if not (run / "controller-1.ready").exists():
            (run / "controller-1.ready").write_text(json.dumps({"state": "owner", "pid": os.getpid()}))
        try:
            async with asyncio.timeout(0.2):
                await stop.wait()
        except TimeoutError:
            continue


def main(arguments: list[str]) -> int:
    if arguments[0] == "beat":
        asyncio.run(beat(Path(arguments[1])))
        return 0
    from app.world import services, start
    from app.world.bundle import ensure
    from app.world.children import ChildSpec
    from app.world.launcher import Programs
    from app.world.plan import WorldPlan
    from app.world.planner import Options
    from core.errors import AftercallError

    os.environ["AFTERCALL_SUPERVISOR__STANDBY"] = "false"

    def controller(plan: WorldPlan, slot: int) -> ChildSpec:
        command = [sys.executable, "-m", "tests.real.world.standin", "beat", str(plan.home)]
        return ChildSpec(f"controller-{slot}", command, plan.folders.log / "controller.log", {}, services.CODE)

    http_port = int(arguments[1]) if len(arguments) > 1 else 0
    try:
        programs = Programs(ensure("asterisk"), ensure("redis"), controller)
        return start.run(Path(arguments[0]), Options(http_port=http_port), programs=programs)
    except AftercallError as error:
        print(f"aftercall: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
